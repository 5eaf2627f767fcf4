//! Tests of [`super`], apart because the oddities of real files are many.

use super::*;
use crate::table::LONGEST_ROW;
use crate::testing::Scratch;

const GOOD: &str = "text_id,full_text,fold,grammar\nx1,First,A,3.5\nx2,\"Second,\nlong\",B,2\n";

fn labelled(content: impl AsRef<[u8]>) -> Result<DocumentSet> {
    let scratch = Scratch::new();
    let path = scratch.file("essays.csv", content);
    read_labelled(path, &Layout::default(), "grammar", &ScoreScale::default())
}

fn texts(name: &str, content: &str) -> Result<DocumentSet> {
    let scratch = Scratch::new();
    read_texts(scratch.file(name, content), &Layout::default())
}

fn assert_says(result: Result<DocumentSet>, parts: &[&str]) {
    let message = result.unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "\"{part}\" not in: {message}");
    }
}

#[test]
fn labelled_documents_carry_everything() {
    let set = labelled(GOOD).unwrap();
    let second = Document {
        id: "x2".into(),
        text: "Second,\nlong".into(),
        fold: Some("B".into()),
        label: Some(2.0),
        row: 3,
        ..Document::default()
    };
    assert_eq!(set.documents[1], second);
    assert_eq!(set.get("x2"), Some(&second));
    assert_eq!((set.index_of("x1"), set.index_of("x3")), (Some(0), None));
    assert_eq!(set.ids().collect::<Vec<_>>(), ["x1", "x2"]);
}

#[test]
fn spreadsheet_export_reads_like_a_plain_file() {
    let exported = format!("\u{feff}{}\r\n,,,\r\n", GOOD.replace('\n', "\r\n"));
    let set = labelled(exported).unwrap();
    assert_eq!(set.len(), 2);
    assert_eq!(set.documents[1].text, "Second,\r\nlong");
}

#[test]
fn blank_texts_are_recorded() {
    let set = labelled("text_id,full_text,fold,grammar\na,x,A,1\nb,,A,1\nc,\" \n\",A,1\n").unwrap();
    assert_eq!(set.empty, [3, 4]);
    assert_eq!(set.len(), 3);
}

#[test]
fn missing_columns_list_those_found() {
    let expected = ["no column \"grammar\" (label)", "text_id, full_text, fold, syntax", "data.columns"];
    assert_says(labelled("text_id,full_text,fold,syntax\na,x,A,1\n"), &expected);
    assert_says(labelled("text_id,full_text,grammar\na,x,1\n"), &["no column \"fold\""]);
    assert_says(labelled("id,full_text,fold,grammar\na,x,A,1\n"), &["no column \"text_id\" (id)"]);
}

#[test]
fn columns_can_be_mapped() {
    let scratch = Scratch::new();
    let path = scratch.file("essays.csv", "who,what,group,mark\na,x,A,1.5\n");
    let columns = Columns {
        id: "who".into(),
        text: "what".into(),
        fold: "group".into(),
        label: Some("mark".into()),
        ..Columns::default()
    };
    let set = read_labelled(path, &Layout::from(&columns), "grammar", &ScoreScale::default()).unwrap();
    assert_eq!((set.documents[0].label, set.documents[0].fold.as_deref()), (Some(1.5), Some("A")));
}

#[test]
fn bad_labels_name_row_id_value_and_scale() {
    let with = |label: &str| labelled(format!("text_id,full_text,fold,grammar\na,x,A,1\nb,x,A,{label}\n"));
    assert_says(with("5.5"), &["row 3", "\"b\"", "5.5", "1 to 5 by 0.5"]);
    assert_says(with("3.25"), &["3.25 is not on the scale"]);
    assert_says(with("good"), &["\"good\" is not a number"]);
    assert_says(with("inf"), &["not a number"]);
}

#[test]
fn a_second_rating_is_read_beside_the_label() {
    let read = |rows: &str, second: &str| {
        let scratch = Scratch::new();
        let path = scratch.file("essays.csv", format!("text_id,full_text,fold,grammar,other\n{rows}"));
        let columns = Columns { second_rating: Some(second.into()), ..Columns::default() };
        read_labelled(path, &Layout::from(&columns), "grammar", &ScoreScale::default())
    };
    let set = read("a,x,A,1,2.5\nb,x,A,,3\nc,x,A,4,NA\n", "other").unwrap();
    let ratings: Vec<_> = set.iter().map(|document| (document.label, document.second_rating)).collect();
    assert_eq!(ratings, [(Some(1.0), Some(2.5)), (None, Some(3.0)), (Some(4.0), None)]);
    assert_says(
        read("a,x,A,1,2.6\n", "other"),
        &["second rating 2.6 is not on the scale", "correct the second rating"],
    );
    assert_says(read("a,x,A,1,2\n", "third"), &["no column \"third\" (second rating)"]);
    assert_says(
        read("a,x,A,1,2\n", "grammar"),
        &["the second rating is in the column \"grammar\", which has the labels"],
    );
}

#[test]
fn texts_are_no_prompts_of_their_own() {
    let scratch = Scratch::new();
    let columns = Columns { prompt: Some("full_text".into()), ..Columns::default() };
    for (name, content) in
        [("a.csv", "text_id,full_text\na,x\n"), ("a.jsonl", "{\"text_id\": \"a\", \"full_text\": \"x\"}\n")]
    {
        assert_says(
            read_texts(scratch.file(name, content), &Layout::from(&columns)),
            &["the prompts are in the column \"full_text\", which has the texts"],
        );
    }
}

#[test]
fn a_label_may_be_missing() {
    let rows: String = NO_LABEL.iter().enumerate().map(|(i, label)| format!("m{i},x,A,{label}\n")).collect();
    let table = format!("text_id,full_text,fold,grammar\na,x,A,1\n{rows}n,x,A, na \nz,x,A,2\n");
    let set = labelled(table).unwrap();
    let (all, missing) = (set.len(), NO_LABEL.len() + 1);
    assert_eq!((all, set.n_unlabelled()), (missing + 2, missing));
    assert_eq!((set.documents[0].label, set.documents[all - 1].label), (Some(1.0), Some(2.0)));
    let message = set.require_labels().unwrap_err().to_string();
    assert!(message.contains("row 3") && message.contains("\"m0\" has no label"), "{message}");
    assert!(labelled("text_id,full_text,fold,grammar\na,x,A,1\n").unwrap().require_labels().is_ok());
}

#[test]
fn missing_fold_names_the_row() {
    assert_says(
        labelled("text_id,full_text,fold,grammar\na,x,A,1\nb,x,,1\n"),
        &["row 3", "\"b\" has no fold"],
    );
}

#[test]
fn ids_are_unique_and_not_empty() {
    let expected = ["row 4", "\"a\" is already used in row 2"];
    assert_says(labelled("text_id,full_text,fold,grammar\na,x,A,1\nb,x,A,1\n a,x,A,1\n"), &expected);
    assert_says(labelled("text_id,full_text,fold,grammar\n,x,A,1\n"), &["row 2", "id is empty"]);
}

#[test]
fn documents_of_json_are_named_by_their_lines() {
    let scratch = Scratch::new();
    let objects = |second: &str| {
        let first = r#"{"id": "a", "text": "x", "fold": "A", "grammar": 1}"#;
        scratch.file("essays.jsonl", format!("{first}\n\n{second}\n"))
    };
    for (second, expected) in [
        (
            r#"{"id": "a", "text": "x", "fold": "A", "grammar": 1}"#,
            "essays.jsonl: line 3: id \"a\" is already used in line 1; give",
        ),
        (r#"{"id": "", "text": "x", "fold": "A", "grammar": 1}"#, "line 3: the id is empty"),
        (r#"{"id": "b", "text": "x", "fold": "A", "grammar": 9}"#, "line 3: label 9 is not on the scale"),
        (r#"{"id": "b", "text": "x", "grammar": 1}"#, "line 3: document \"b\" has no fold"),
    ] {
        let path = objects(second);
        let read = read_labelled(&path, &Layout::default(), "grammar", &ScoreScale::default());
        assert_says(read, &[expected]);
    }
}

#[test]
fn scored_documents_need_no_fold() {
    let scratch = Scratch::new();
    let path = scratch.file("essays.csv", "text_id,full_text,grammar\na,x,4.5\n");
    let set = read_scored(path, &Layout::default(), "grammar", &ScoreScale::default()).unwrap();
    assert_eq!((set.documents[0].label, set.documents[0].fold.clone()), (Some(4.5), None));
    let path = scratch.file("folds.csv", "text_id,full_text,grammar,fold\na,x,4.5,A\nb,x,4.5,\n");
    let set = read_scored(path, &Layout::default(), "grammar", &ScoreScale::default()).unwrap();
    assert_eq!(set.folds().into_iter().collect::<Vec<_>>(), ["A"]);
}

#[test]
fn texts_need_only_id_and_text() {
    let set = texts("essays.CSV", "text_id,full_text,grammar\na,x,not a label\n").unwrap();
    assert_eq!((set.documents[0].text.as_str(), set.documents[0].label), ("x", None));
}

#[test]
fn jsonl_ignores_other_keys_and_blank_lines() {
    let set =
        texts("essays.jsonl", "{\"id\":\"a\",\"text\":\"x\",\"n\":1}\n\n{\"text\":\"\",\"id\":7}\n").unwrap();
    assert_eq!(set.ids().collect::<Vec<_>>(), ["a", "7"]);
    assert_eq!(set.empty, [3]);
}

#[test]
fn bad_jsonl_names_the_line() {
    assert_says(
        texts("essays.jsonl", "{\"id\":\"a\",\"text\":\"x\"}\n{\"id\":\"b\"}\n"),
        &["line 2", "no \"text\""],
    );
    assert_says(texts("essays.jsonl", "\n"), &["empty"]);
}

#[test]
fn other_endings_are_refused() {
    assert_says(texts("essays.ods", ""), &["essays.ods: a spreadsheet (.ods)", ".csv"]);
    assert_says(texts("essays", ""), &[".csv", ".jsonl"]);
}

#[test]
fn columns_default_where_absent_and_refuse_unknown_keys() {
    let columns: Columns = serde_json::from_str(r#"{"id": "who"}"#).unwrap();
    assert_eq!((columns.id.as_str(), columns.text.as_str()), ("who", "full_text"));
    assert!(serde_json::from_str::<Columns>(r#"{"ids": "who"}"#).is_err());
}

#[test]
fn a_stream_gives_what_a_reader_gives() {
    let scratch = Scratch::new();
    let long = "x".repeat(40_000);
    for (name, text) in [
        ("a.csv", format!("\u{feff}text_id,full_text,fold\n\n1,\"a\n\nb\",A\n,,\n2,{long},\n3,\"\",B\n")),
        ("b.csv", format!("text_id,full_text\r\n1,{long}\r\n\r\n2,\"c\r\nd\"\r\n")),
        ("c.jsonl", "\u{feff}{\"id\": 1, \"text\": \"a\"}\n\n{\"id\": \"2\", \"text\": \"\"}".to_owned()),
    ] {
        let path = scratch.file(name, text.as_bytes());
        let layout = Layout::default();
        let whole = read_texts(&path, &layout).unwrap().documents;
        let stream: Vec<_> = stream_texts(&path, &layout, 0).unwrap().map(Result::unwrap).collect();
        assert_eq!(stream, whole, "{name}");
        assert_eq!(count_texts(&path, &layout).unwrap(), whole.len() as u64);
    }
}

#[test]
fn the_first_error_ends_a_stream() {
    let scratch = Scratch::new();
    let path = scratch.file("a.csv", b"text_id,full_text\n1,a\n2,b\n1,c\n3,d\n");
    let results: Vec<_> = stream_texts(&path, &Layout::default(), 0).unwrap().collect();
    assert_eq!(results.len(), 3);
    let message = results[2].as_ref().unwrap_err().to_string();
    assert!(message.contains("row 4: id \"1\" is already used in row 2"), "{message}");
}

#[test]
fn a_file_without_documents_is_refused_at_once() {
    let scratch = Scratch::new();
    for (name, text, problem) in [
        ("a.csv", "", "empty"),
        ("b.csv", "text_id,full_text\n", "a header but no rows"),
        ("c.jsonl", "\n \n", "empty"),
        ("d.txt", "x", "neither .csv, .tsv, .xlsx, .parquet nor .jsonl"),
    ] {
        let path = scratch.file(name, text.as_bytes());
        let error = stream_texts(&path, &Layout::default(), 0).err().expect(name).to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn a_text_that_is_longer_than_a_row_may_be_is_named() {
    let document = |id: &str, bytes: usize, row| Document {
        id: id.into(),
        text: "x".repeat(bytes),
        fold: None,
        label: None,
        row,
        ..Document::default()
    };
    // As from a Parquet file, which has no limit of rows.
    let documents = || [document("1", LONGEST_ROW, 1), document("2", LONGEST_ROW + 1, 2)];
    let named = "a.parquet: row 2: the text of document \"2\" is longer than 64 MiB; shorten it";
    let whole = DocumentSet::new("a.parquet", documents().into()).unwrap_err().to_string();
    assert!(whole.contains(named), "{whole}");
    let mut stream = TextStream::new(Path::new("a.parquet"), documents().into_iter().map(Ok));
    assert!(stream.next().unwrap().is_ok());
    let stream = stream.next().unwrap().unwrap_err().to_string();
    assert!(stream.contains(named), "{stream}");
}

#[test]
fn a_fold_may_say_that_it_is_missing() {
    for fold in ["NA", "nan", "#N/A", ""] {
        let set = texts("a.csv", &format!("text_id,full_text,fold\na,x,A\nb,x,{fold}\n")).unwrap();
        assert_eq!(set.documents[1].fold, None, "{fold}");
        assert_says(
            labelled(format!("text_id,full_text,fold,grammar\na,x,A,1\nb,x,{fold},1\n")),
            &["row 3", "fold"],
        );
    }
}

#[test]
fn a_header_within_a_file_is_named() {
    for again in ["text_id,full_text", "\u{feff}text_id,full_text", "Text_ID,Full_Text"] {
        let twice = format!("text_id,full_text\na,x\n{again}\nb,y\n");
        assert_says(texts("a.csv", &twice), &["row 3: the header once more", "remove this row"]);
    }
    assert_says(
        texts("a.csv", "\u{feff}\u{feff}text_id,full_text\na,x\n"),
        &["its columns are \\u{feff}text_id, full_text"],
    );
}

#[test]
fn a_comma_is_a_decimal_point_where_it_cannot_divide_thousands() {
    let labels = |grade: &str| labelled(format!("text_id;full_text;fold;grammar\na;x;A;{grade}\n"));
    assert_eq!(labels("3,5").unwrap().documents[0].label, Some(3.5));
    for (field, expected) in [
        ("3,50", Some(3.5)),
        ("-0,125", Some(-0.125)),
        ("1,2345", Some(1.2345)),
        ("1,250", None),
        ("1,2,3", None),
        ("1.5,5", None),
        ("3,", None),
        (",5", Some(0.5)),
        ("1,5e3", None),
        ("inf", None),
    ] {
        assert_eq!(super::number(field), expected, "{field}");
    }
    assert_says(
        labels("1,250"),
        &["row 2: label \"1,250\" may be 1.250 or 1250 (write the one that is meant)"],
    );
}
