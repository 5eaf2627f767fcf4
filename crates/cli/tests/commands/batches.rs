//! Scoring many documents: formats, shards, and going on after a stop.

use super::*;

/// Parquet by pyarrow's layout rules: two row groups, a nullable column, dictionary pages.
fn write_parquet(path: &std::path::Path, documents: &[[String; 2]]) {
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    let schema = "message texts { optional int64 number; required binary text_id (UTF8); optional binary full_text (UTF8); }";
    let schema = std::sync::Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let file = std::fs::File::create(path).unwrap();
    let mut writer =
        parquet::file::writer::SerializedFileWriter::new(file, schema, Default::default()).unwrap();
    for rows in documents.chunks(documents.len().div_ceil(2)) {
        let mut group = writer.next_row_group().unwrap();
        let levels = vec![1; rows.len()];
        let numbers: Vec<i64> = (0..rows.len() as i64).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&numbers, Some(&levels), None).unwrap();
        column.close().unwrap();
        for (place, levels) in [(0, None), (1, Some(levels.as_slice()))] {
            let values: Vec<ByteArray> = rows.iter().map(|row| row[place].as_str().into()).collect();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&values, levels, None).unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
}

/// As a data frame of `text_id, full_text, fold, grammar` is written.
pub fn write_labelled_parquet(path: &std::path::Path, records: &[Vec<String>]) {
    use parquet::data_type::{ByteArray, ByteArrayType, DoubleType};
    let schema = "message essays { optional binary text_id (UTF8); optional binary full_text (UTF8); \
                  optional binary fold (UTF8); optional double grammar; }";
    let schema = std::sync::Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let file = std::fs::File::create(path).unwrap();
    let mut writer =
        parquet::file::writer::SerializedFileWriter::new(file, schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let levels = vec![1; records.len()];
    for place in 0..3 {
        let values: Vec<ByteArray> = records.iter().map(|record| record[place].as_str().into()).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
        column.close().unwrap();
    }
    let labels: Vec<f64> = records.iter().map(|record| record[3].parse().unwrap()).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<DoubleType>().write_batch(&labels, Some(&levels), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

fn read_parquet(path: &std::path::Path) -> Vec<Vec<String>> {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap().map(|row| {
        let text = |field: Field| match field {
            Field::Str(text) => text,
            Field::Double(number) => number.to_string(),
            other => other.to_string(),
        };
        row.unwrap().into_columns().into_iter().map(|(_, field)| text(field)).collect()
    });
    rows.collect()
}

/// A scorer that was never trained, on the forty documents of `essays.csv`.
fn untrained() -> Folder {
    let folder = Folder::new();
    folder.scorer(true);
    folder
}

const SCORE: &str = "score --scorer scorer --input essays.csv --output";

#[test]
fn parquet_and_csv_hold_the_same() {
    let folder = untrained();
    folder.run(&format!("{SCORE} scores.csv")).expect(0);
    folder.run(&format!("{SCORE} scores.parquet --window 7")).expect(0);
    let expected = records(&folder.text("scores.csv"));
    let ids = |rows: &[Vec<String>]| rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    let rows = read_parquet(&folder.path("scores.parquet"));
    assert_eq!(ids(&rows), ids(&expected[1..]));
    for (row, expected) in rows.iter().zip(&expected[1..]) {
        let difference = row[1].parse::<f64>().unwrap() - expected[1].parse::<f64>().unwrap();
        // Other documents in the batch, other rounding.
        assert!(difference.abs() < 1e-5 && row[2..] == expected[2..], "{row:?} {expected:?}");
    }

    let essays = records(&folder.text("essays.csv"));
    let documents: Vec<[String; 2]> =
        essays[1..].iter().map(|row| [row[0].clone(), row[1].clone()]).collect();
    write_parquet(&folder.path("essays.parquet"), &documents);
    folder.run("score --scorer scorer --input essays.parquet --output again.csv").expect(0);
    assert_eq!(folder.text("again.csv"), folder.text("scores.csv"));
    // Row 33 lies in the second row group.
    folder.run("score --scorer scorer --input essays.parquet --output part.csv --shard 5/5").expect(0);
    let part = records(&folder.text("part-00005-of-00005.csv"));
    assert_eq!(ids(&part[1..]), ids(&expected[33..]));
}

#[test]
fn ends_of_intervals_follow_the_grade_of_their_trait() {
    let folder = Folder::new();
    let scorer = |targets: &[&str]| {
        folder.scorer_of(targets, true);
        let mut traits = folder.json("scorer/scorer.json")["traits"].clone();
        for (place, half) in [0.5, 1.5].into_iter().enumerate() {
            traits[place]["intervals"] =
                json!({ "level": 0.9, "documents": 9, "thresholds": [], "half_widths": [half] });
        }
        folder.set_json("scorer/scorer.json", "traits", traits);
    };
    scorer(&["grammar", "style"]);
    folder.run(&format!("{SCORE} scores.csv --intervals")).expect(0);
    folder.run(&format!("{SCORE} scores.parquet --intervals")).expect(0);
    let rows = records(&folder.text("scores.csv"));
    let of = ["", "_grade", "_low", "_high"];
    let columns = ["grammar", "style"].into_iter().flat_map(|target| of.map(|end| format!("{target}{end}")));
    let header: Vec<String> =
        ["id".to_owned()].into_iter().chain(columns).chain(["truncated".to_owned()]).collect();
    assert_eq!(rows[0], header);
    assert!(rows[1..].iter().all(|row| row[7] <= row[6] && row[6] <= row[8]), "{rows:?}");
    assert_eq!(read_parquet(&folder.path("scores.parquet")), rows[1..]);

    // A trait may be called like an end; then there would be two of one name.
    scorer(&["grammar", "grammar_low"]);
    folder.run(&format!("{SCORE} plain.csv")).expect(0);
    let outcome = folder.run(&format!("{SCORE} x.csv --intervals"));
    let expected = "scorer: rates a trait that is called grammar_low, like an end of the interval of another";
    assert!(outcome.code == Some(2) && outcome.stderr.contains(expected), "{outcome:?}");
}

#[test]
fn a_shard_does_not_pass_over_a_mistake_before_it() {
    let folder = untrained();
    // Row 8, in the second row group, has the id of row 6.
    let id = |row: usize| format!("d{}", if row == 8 { 6 } else { row });
    let documents: Vec<[String; 2]> = (1..=10).map(|row| [id(row), "Text.".into()]).collect();
    write_parquet(&folder.path("texts.parquet"), &documents);
    let outcome = folder.run("score --scorer scorer --input texts.parquet --output scores.csv --shard 10/10");
    assert!(outcome.stderr.contains("row 8: id \"d6\" is already used in row 6"), "{outcome:?}");
    assert_eq!(outcome.code, Some(2));
    assert!(!folder.files("").iter().any(|name| name.contains("scores")));
}

#[test]
fn parquet_of_other_programs_is_read() {
    let folder = untrained();
    for codec in ["gzip", "lz4"] {
        let file = format!("{}/tests/fixtures/{codec}.parquet", env!("CARGO_MANIFEST_DIR"));
        let args = format!("score --scorer scorer --input {file} --output {codec}.csv");
        folder.run(&args).expect(0);
        assert_eq!(records(&folder.text(&format!("{codec}.csv"))).len(), 4);
    }
}

#[test]
fn what_is_wrong_with_a_parquet_file_is_named() {
    let folder = untrained();
    let score = "score --scorer scorer --input texts.parquet --output scores.csv";
    folder.write("texts.parquet", "text_id,full_text\n1,a\n");
    let error = folder.run(score);
    assert!(error.stderr.contains("texts.parquet: not a Parquet file, or damaged"), "{error:?}");
    let documents: Vec<[String; 2]> = (0..9).map(|n| [format!("d{}", n % 8), "Text.".into()]).collect();
    write_parquet(&folder.path("texts.parquet"), &documents);
    let error = folder.run(score);
    assert!(error.stderr.contains("texts.parquet: row 9: id \"d0\" is already used in row 1"), "{error:?}");
    let error = folder.run(&format!("{score} --text-col essay"));
    assert!(
        error.stderr.contains("no column \"essay\" (text); its columns are number, text_id, full_text"),
        "{error:?}"
    );
    let error = folder.run(&format!("{score} --text-col number"));
    assert!(error.stderr.contains("column \"number\" (text) is no text; name the right one"), "{error:?}");
    assert!(!folder.files("").iter().any(|name| name.contains("partial")));
}

#[test]
fn shards_one_after_the_other_are_the_whole() {
    let folder = untrained();
    folder.run(&format!("{SCORE} scores.csv")).expect(0);
    let mut ids = Vec::new();
    for shard in 1..=3 {
        folder.run(&format!("{SCORE} parts/scores.csv --shard {shard}/3")).expect(0);
        let part = records(&folder.text(&format!("parts/scores-0000{shard}-of-00003.csv")));
        assert_eq!(part[0], ["id", "score", "grade", "truncated"]);
        ids.extend(part[1..].iter().map(|row| row[0].clone()));
    }
    let whole: Vec<String> =
        records(&folder.text("scores.csv"))[1..].iter().map(|row| row[0].clone()).collect();
    assert_eq!(ids, whole);
    let marks: Vec<String> =
        folder.files("parts").into_iter().filter(|name| name.ends_with(".state.json")).collect();
    assert_eq!(marks.len(), 3);
    assert_eq!(folder.json(&format!("parts/{}", marks[0]))["finished"], true);
    // What is done is not done again.
    let again = folder.run(&format!("{SCORE} parts/scores.csv --shard 2/3 --resume")).expect(0);
    assert!(again.contains("is done, 13 documents scored"), "{again}");
    folder.remove("parts/scores-00002-of-00003.csv");
    let again = folder.run(&format!("{SCORE} parts/scores.csv --shard 2/3 --resume")).expect(0);
    assert!(again.starts_with("wrote "), "{again}");
}

#[test]
fn scoring_that_was_stopped_goes_on_to_the_same_bytes() {
    let folder = untrained();
    folder.run(&format!("{SCORE} whole.csv --window 8")).expect(0);
    let essays = folder.text("essays.csv");
    // A mistake in row 30, after three windows of eight; the row is mended, and what was done before it stays.
    let broken = essays.replacen("\nA5,", "\n,", 1);
    assert_ne!(essays, broken);
    folder.write("essays.csv", &broken);
    let stopped = folder.run(&format!("{SCORE} scores.csv --window 8 --resume"));
    assert_eq!(stopped.code, Some(2), "{stopped:?}");
    assert!(!folder.path("scores.csv").exists());
    let state = folder.json("scores.csv.state.json");
    assert_eq!((&state["documents"], &state["finished"]), (&24.into(), &false.into()));

    folder.write("essays.csv", &essays);
    // Half of a file is not computed on another device, but which one has computed a whole file is the same.
    folder.set_json("scores.csv.state.json", "device", "cuda:9");
    let other = folder.run(&format!("{SCORE} scores.csv --window 8 --resume"));
    let expected = "scores.csv: the device was cuda:9 and is cpu; undo that to go on with it, or start over";
    assert!(other.code == Some(2) && other.stderr.contains(expected), "{other:?}");
    folder.set_json("scores.csv.state.json", "device", state["device"].clone());
    let other = folder.run(&format!("{SCORE} scores.csv --window 16 --resume"));
    assert!(other.code == Some(2) && other.stderr.contains("the --window was 8 and is 16"), "{other:?}");
    folder.run(&format!("{SCORE} scores.csv --window 8 --resume")).expect(0);
    assert_eq!(folder.text("scores.csv"), folder.text("whole.csv"));
    folder.set_json("scores.csv.state.json", "device", "cuda:9");
    assert!(folder.run(&format!("{SCORE} scores.csv --resume")).expect(0).contains("is done, 40 documents"));
    // Another scorer is not gone on with.
    folder.set_json("scorer/scorer.json", "max_length", 40);
    let other = folder.run(&format!("{SCORE} scores.csv --window 8 --resume"));
    assert!(other.stderr.contains("scores.csv: was made from another scorer, or with other"), "{other:?}");
    assert_eq!(other.code, Some(2));
    // Without --resume nothing is left of what was stopped.
    folder.write("essays.csv", &broken);
    folder.run(&format!("{SCORE} new.csv --window 8")).expect(2);
    assert!(!folder.files("").iter().any(|name| name.contains("new.csv")));
}

#[test]
fn what_is_done_is_known_by_its_content() {
    let folder = untrained();
    let (score, resume) = (format!("{SCORE} scores.csv"), format!("{SCORE} scores.csv --resume"));
    folder.run(&resume).expect(0);
    let (essays, whole) = (folder.text("essays.csv"), folder.text("scores.csv"));
    assert!(folder.run(&resume).expect(0).contains("is done, 40 documents scored"));

    // Output of the same length, and no output.
    folder.edit("scores.csv", "A0,", "Z0,");
    assert!(folder.run(&resume).expect(0).starts_with("wrote "));
    assert_eq!(folder.text("scores.csv"), whole);

    // An input of the same length, and one that has grown.
    folder.edit("essays.csv", "school", "chapel");
    let other = folder.run(&resume);
    assert!(other.stderr.contains("scores.csv: was made from another input"), "{other:?}");
    folder.write("essays.csv", format!("{essays}new,Text.,A,1\n"));
    let other = folder.run(&resume);
    assert!(other.stderr.contains("scores.csv: was made from another input"), "{other:?}");
    // The backbone lies outside of the scorer's folder.
    folder.write("essays.csv", &essays);
    folder.edit("backbone/config.json", "{", "{ ");
    let other = folder.run(&resume);
    assert!(other.stderr.contains("scores.csv: was made from another scorer"), "{other:?}");

    // What is kept beside a scorer is not the scorer.
    let cached = format!("{SCORE} cached.csv --resume --cache scorer/embeddings");
    folder.run(&cached).expect(0);
    assert!(folder.run(&cached).expect(0).contains("is done, 40 documents scored"));

    // Without --resume the file is another one, and nothing says that it is whole.
    folder.run(&score).expect(0);
    assert!(!folder.path("scores.csv.state.json").exists());
}

#[test]
fn two_commands_do_not_write_one_file() {
    let folder = untrained();
    folder.write(".scores.csv.partial", "id,score\n");
    let other = std::fs::File::open(folder.path(".scores.csv.partial")).unwrap();
    other.lock().unwrap();
    let outcome = folder.run(&format!("{SCORE} scores.csv"));
    assert!(outcome.stderr.contains("scores.csv: another process writes it; wait for it"), "{outcome:?}");
    assert_eq!(folder.text(".scores.csv.partial"), "id,score\n");
    drop(other);
    folder.run(&format!("{SCORE} scores.csv")).expect(0);
    assert!(!folder.path(".scores.csv.partial").exists());
}

#[test]
fn scores_of_packed_weights_are_close_and_no_others_are_gone_on_with() {
    let folder = untrained();
    folder.run(&format!("{SCORE} exact.csv")).expect(0);
    folder.run(&format!("{SCORE} packed.csv --resume --quantize q8")).expect(0);
    let scores = |file: &str| -> Vec<f64> {
        records(&folder.text(file))[1..].iter().map(|row| row[1].parse().unwrap()).collect()
    };
    let (exact, packed) = (scores("exact.csv"), scores("packed.csv"));
    assert!(
        exact != packed && exact.iter().zip(&packed).all(|(a, b)| (a - b).abs() < 0.1),
        "{exact:?} {packed:?}"
    );
    let outcome = folder.run(&format!("{SCORE} packed.csv --resume"));
    assert!(outcome.code == Some(2) && outcome.stderr.contains("another scorer"), "{outcome:?}");
    let outcome = folder.run(&format!("{SCORE} packed.csv --quantize q4"));
    assert!(outcome.stderr.contains("expected q8"), "{outcome:?}");
}

#[test]
fn a_spreadsheet_gets_a_mark_and_no_formula() {
    let folder = untrained();
    folder.write("texts.csv", "text_id,full_text\n=1+1,Text.\n@x,Text.\n-2,Text.\n+3,Text.\nd=4,Text.\n");
    let args = "score --scorer scorer --input texts.csv --output";
    folder.run(&format!("{args} plain.csv")).expect(0);
    folder.run(&format!("{args} sheet.csv --spreadsheet")).expect(0);
    let (plain, sheet) = (folder.text("plain.csv"), folder.text("sheet.csv"));
    let ids = |text: &str| records(text)[1..].iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&plain), ["=1+1", "@x", "-2", "+3", "d=4"]);
    assert_eq!(ids(sheet.strip_prefix('\u{feff}').unwrap()), ["'=1+1", "'@x", "'-2", "'+3", "d=4"]);
    let outcome = folder.run(&format!("{args} sheet.parquet --spreadsheet"));
    assert!(outcome.stderr.contains("--spreadsheet is about CSV"), "{outcome:?}");
}
