//! Files as other programs write them: read for what they say, or refused with the place and a way out.
#![allow(clippy::print_stderr, reason = "tests say what they skipped")]

use std::path::PathBuf;

use pair2score_data::judgements::{JudgementLog, LogDefaults};
use pair2score_data::{
    Columns, Document, Layout, ScoreScale, Table, TableOptions, read_labelled, read_scored, read_texts,
};

/// A folder of its own for one test, with one file in it.
fn file(name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("pair2score-files-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// Three essays in the columns of a well-known corpus, with curly quotes and dashes.
fn essays(delimiter: char) -> String {
    let first =
        "Dear local newspaper, I don\u{2019}t think computers are bad; they\u{2019}re useful, and fun.";
    let second =
        "Computers help people, \u{201c}they said\u{201d}. It is true that \u{2014} mostly \u{2014} they do.";
    let rows = [
        ["essay_id", "essay_set", "essay", "rater1_domain1", "domain1_score"],
        ["1", "1", first, "4", "8"],
        ["2", "1", second, "5", "9"],
        ["3", "1", "Short one.", "4", "7"],
    ];
    let field = |text: &str| match text.contains(delimiter) {
        true => format!("\"{text}\""),
        false => text.to_owned(),
    };
    let row = |row: &[&str; 5]| row.map(field).join(&delimiter.to_string()) + "\r\n";
    rows.iter().map(row).collect()
}

fn layout(options: TableOptions) -> Layout {
    let columns = Columns { id: "essay_id".into(), text: "essay".into(), ..Columns::default() };
    Layout { columns, table: options }
}

fn assert_three_essays(path: PathBuf, options: TableOptions) {
    let table = Table::read(&path, &options).unwrap();
    assert_eq!(
        table.header,
        ["essay_id", "essay_set", "essay", "rater1_domain1", "domain1_score"],
        "{path:?}"
    );
    let set = read_texts(&path, &layout(options)).unwrap();
    assert_eq!(set.ids().collect::<Vec<_>>(), ["1", "2", "3"], "{path:?}");
    assert!(
        set.documents[0].text.contains("I don\u{2019}t think") && set.documents[0].text.ends_with("fun.")
    );
    assert!(set.documents[1].text.contains("\u{201c}they said\u{201d}. It is true that \u{2014} mostly"));
}

/// A file of the cases that are kept beside the repository; without them there is nothing to read.
fn case(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/cases")).join(name);
    if !path.is_file() {
        eprintln!("skipped: {} is not there", path.display());
    }
    path.is_file().then_some(path)
}

#[test]
fn labels_may_be_missing_or_continuous() {
    if let Some(path) = case("tables/missing_labels.csv") {
        for target in ["grammar", "vocabulary"] {
            let set = read_labelled(&path, &Layout::default(), target, &ScoreScale::default()).unwrap();
            assert_eq!((set.len(), set.n_unlabelled()), (6, 2), "{target}");
        }
    }
    if let Some(path) = case("tables/thirds.csv") {
        let scale = ScoreScale::continuous(-1.0, 4.0);
        let set = read_scored(&path, &Layout::default(), "grammar", &scale).unwrap();
        let labels: Vec<f64> = set.iter().filter_map(|document| document.label).collect();
        assert_eq!(labels, [3.33, 2.67, 3.0, -0.5]);
    }
}

#[test]
fn delimiters_of_spreadsheets_are_found() {
    for (name, delimiter) in [
        ("semicolon.csv", ';'),
        ("tab_named_csv.csv", '\t'),
        ("tab.tsv", '\t'),
        ("pipe.csv", '|'),
        ("comma.csv", ','),
    ] {
        assert_three_essays(file(name, essays(delimiter)), TableOptions::default());
    }
}

#[test]
fn encodings_are_followed_by_their_mark_or_when_asked_for() {
    let utf16 = |text: String| -> Vec<u8> {
        format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect()
    };
    assert_three_essays(file("utf16.csv", utf16(essays(','))), TableOptions::default());
    assert_three_essays(file("utf16_tab.tsv", utf16(essays('\t'))), TableOptions::default());

    let byte = |letter: char| match letter {
        '\u{2019}' => 0x92,
        '\u{201c}' => 0x93,
        '\u{201d}' => 0x94,
        '\u{2014}' => 0x97,
        letter => u8::try_from(letter).unwrap(),
    };
    let path = file("windows1252.csv", essays(',').chars().map(byte).collect::<Vec<u8>>());
    let message = read_texts(&path, &layout(TableOptions::default())).unwrap_err().to_string();
    let expected =
        "row 2: column \"essay\" is not UTF-8; save the file as UTF-8, or try --encoding windows-1252";
    assert!(message.ends_with(expected), "{message}");
    let asked = TableOptions { encoding: Some("windows-1252".parse().unwrap()), ..TableOptions::default() };
    assert_three_essays(path, asked);
}

#[test]
fn quotes_escaped_by_backslashes_are_refused_or_read_as_asked() {
    let text = "text_id,full_text\n1,\"He said \\\"homework\\\" is good for all of us.\"\n\
                2,\"He said \"\"homework\"\" is good for all of us.\"\n";
    let path = file("backslash_quotes.csv", text);
    let message = read_texts(&path, &Layout::default()).unwrap_err().to_string();
    let expected = "row 2: a quote inside a field is not followed by a separator; double the quotes, or use --escape '\\'";
    assert!(message.ends_with(expected), "{message}");
    let table = TableOptions { escape: Some("\\".parse().unwrap()), ..TableOptions::default() };
    let set = read_texts(&path, &Layout { table, ..Layout::default() }).unwrap();
    assert!(set.iter().all(|document| document.text == "He said \"homework\" is good for all of us."));

    let text = "text_id,full_text,grammar\n1,One.,3.0\n2,\"quoted\" tail text,2.0\n";
    let message = read_texts(file("quote_then_text.csv", text), &Layout::default()).unwrap_err().to_string();
    assert!(message.contains("row 3: a quote inside a field"), "{message}");
}

#[test]
fn json_comes_as_lines_or_as_a_list_with_any_keys() {
    let pairs = |documents: &[Document]| -> Vec<(String, String)> {
        documents.iter().map(|document| (document.id.clone(), document.text.clone())).collect()
    };
    let expected = [("a", "One."), ("b", "Two.")].map(|(id, text)| (id.to_owned(), text.to_owned()));
    let list = "[{\"id\":\"a\",\"text\":\"One.\"},\n{\"id\":\"b\",\"text\":\"Two.\"}]\n";
    let set = read_texts(file("array_lines.jsonl", list), &Layout::default()).unwrap();
    assert_eq!(pairs(&set.documents), expected);
    let own = "{\"essay_id\":\"a\",\"full_text\":\"One.\"}\n{\"essay_id\":\"b\",\"full_text\":\"Two.\"}\n";
    let columns = Columns { id: "essay_id".into(), text: "full_text".into(), ..Columns::default() };
    let set = read_texts(file("own_keys.jsonl", own), &Layout::from(&columns)).unwrap();
    assert_eq!(pairs(&set.documents), expected);
    let pretty = file("pretty.jsonl", "{\n  \"id\": \"a\",\n  \"text\": \"One.\"\n}\n");
    let message = read_texts(pretty, &Layout::default()).unwrap_err().to_string();
    assert!(message.contains("one object a line; this looks pretty-printed"), "{message}");
    assert_eq!(message.matches("line ").count(), 2, "one number, one remedy: {message}");
}

#[test]
fn judgements_of_other_tools_are_read() {
    let defaults = LogDefaults { target: Some("quality".into()), judge: Some("me".into()) };
    let read = |name: &str, text: &str| -> Vec<(String, String, String, f64)> {
        let log = JudgementLog::read(&[file(name, text)], &defaults).unwrap();
        let pairs = log.judgements.into_iter().map(|judgement| judgement.pair);
        pairs.map(|pair| (pair.judge.unwrap(), pair.a, pair.b, pair.y)).collect()
    };
    let own = |rows: &[(&str, &str, &str, f64)]| -> Vec<(String, String, String, f64)> {
        rows.iter().map(|&(judge, a, b, y)| (judge.into(), a.into(), b.into(), y)).collect()
    };
    let decisions = "Judge,Chosen,Not Chosen,Time Taken,Date\n\
                     j1@example.org,AB12CD,XY34ZW,12000,2026-01-01 10:00\n\
                     j1@example.org,XY34ZW,QQ00QQ,9000,2026-01-01 10:01\n";
    let expected =
        own(&[("j1@example.org", "AB12CD", "XY34ZW", 1.0), ("j1@example.org", "XY34ZW", "QQ00QQ", 1.0)]);
    assert_eq!(read("decisions.csv", decisions), expected);
    let minimal = "{\"a\": \"d1\", \"b\": \"d2\", \"y\": 1, \"judge\": \"ann\", \"at\": \"1\"}\n\
                   {\"a\": \"d2\", \"b\": \"d3\", \"y\": 0, \"judge\": \"bob\", \"at\": \"2\"}\n";
    assert_eq!(read("minimal.jsonl", minimal), own(&[("ann", "d1", "d2", 1.0), ("bob", "d2", "d3", 0.0)]));
    let whole = "{\"run\": 0, \"trait\": \"quality\", \"split\": \"train\", \"index\": 0, \"a\": 1, \"b\": 2, \"y\": 1, \
                 \"judge\": \"ann\", \"at\": \"2026-01-01T00:00:00001\"}\n";
    assert_eq!(read("integer_ids.jsonl", whole), own(&[("ann", "1", "2", 1.0)]));
    let studio = "[{\"id\": 1, \"data\": {\"text1\": \"A\", \"text2\": \"B\"}, \"annotations\": [{\"completed_by\": 1, \
                  \"result\": [{\"type\": \"pairwise\", \"value\": {\"selected\": \"left\"}}]}]}]";
    assert_eq!(read("label_studio.json", studio), own(&[("1", "A", "B", 1.0)]));
}
