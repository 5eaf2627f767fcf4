//! CSV and JSONL files of documents.

use super::{EVALUATE, RUN, Row, SCORE};

const FOLDS: &str = "folds --input essays.csv --assign 4 --stratify grammar --output out.csv";
const SCORE_LINES: &str = "score --scorer scorer --input texts.jsonl --output out.csv";

pub(super) const ROWS: &[Row] = &[
    Row(
        "missing trait column",
        |_| "run config.yaml --set pipeline.trait=spelling",
        &[
            "essays.csv: no column \"spelling\" (label); its columns are text_id, full_text, fold, grammar; ",
            "data.columns",
        ],
    ),
    Row(
        "missing text column",
        |f| {
            f.scorer(true);
            "score --scorer scorer --input essays.csv --output out.csv --text-col essay"
        },
        &[
            "essays.csv: no column \"essay\" (text); its columns are text_id, full_text, fold, grammar; ",
            "--text-col",
        ],
    ),
    Row(
        "separated by colons",
        |f| {
            f.scorer(true);
            f.write("essays.csv", "text_id:full_text\na:One.\n");
            SCORE
        },
        &[
            "essays.csv: no column \"text_id\" (id)",
            "text_id:full_text; if that is several, name what separates them with --delimiter",
        ],
    ),
    Row(
        "columns that would move the cursor",
        |f| {
            f.scorer(true);
            f.write("essays.csv", "\u{1b}[2Jx,\"a\nb\",full_text\n1,2,3\n");
            SCORE
        },
        &["essays.csv: no column \"text_id\" (id); its columns are  [2Jx, a b, full_text"],
    ),
    Row(
        "id used twice",
        |f| {
            f.edit("essays.csv", "\nC1,", "\nA0,");
            RUN
        },
        &["essays.csv: row 9: id \"A0\" is already used in row 2; give every document its own id"],
    ),
    Row(
        "label off the scale",
        |f| {
            f.scorer(true);
            f.edit("essays.csv", ",C,5\n", ",C,5.25\n");
            EVALUATE
        },
        &[
            "essays.csv: row 9: label 5.25 is not on the scale",
            "\"C1\"",
            "\"grammar\"",
            "scale 1 to 5 by 0.5",
        ],
    ),
    Row(
        "label that is no number",
        |f| {
            f.edit("essays.csv", ",C,5\n", ",C,good\n");
            RUN
        },
        &["essays.csv: row 9: label \"good\" is not a number (document \"C1\""],
    ),
    Row(
        "empty label",
        |f| {
            f.edit("essays.csv", ",C,5\n", ",C,\n");
            "run config.yaml --require-labels"
        },
        &["essays.csv: row 9: document \"C1\" has no label, and labels are required"],
    ),
    Row(
        "document without a fold",
        |f| {
            f.edit("essays.csv", ",C,5\n", ",,5\n");
            RUN
        },
        &["essays.csv: row 9: document \"C1\" has no fold; give every document a fold"],
    ),
    Row(
        "row with too many fields",
        |f| {
            f.edit("essays.csv", ",C,5\n", ",C,5,6\n");
            RUN
        },
        &["essays.csv: row 9: 5 fields where the header has 4; put fields that hold commas", "in quotes"],
    ),
    Row(
        "open quote",
        |f| {
            f.write("essays.csv", "text_id,full_text,fold,grammar\na,One.,A,1\nb,\"Two.,B,2\n");
            RUN
        },
        &["essays.csv: row 3: "],
    ),
    Row(
        "empty file",
        |f| {
            f.scorer(true);
            f.write("essays.csv", "");
            SCORE
        },
        &["essays.csv: empty; give a CSV file with a header and one row per document"],
    ),
    Row(
        "header only",
        |f| {
            f.scorer(true);
            f.write("essays.csv", "text_id,full_text\n");
            SCORE
        },
        &["essays.csv: a header but no rows; add one row per document"],
    ),
    Row(
        "not UTF-8",
        |f| {
            f.scorer(true);
            f.write("essays.csv", b"text_id,full_text\na,One.\nb,caf\xe9\n");
            SCORE
        },
        &[
            "essays.csv: row 3: column \"full_text\" is not UTF-8; save the file as UTF-8, or try --encoding windows-1252",
        ],
    ),
    Row(
        "quotes escaped by backslashes",
        |f| {
            f.scorer(true);
            f.write("essays.csv", "text_id,full_text\n1,\"He said \\\"so\\\".\"\n");
            SCORE
        },
        &[
            "essays.csv: row 2: a quote inside a field is not followed by a separator; double the quotes, or use --escape '\\'",
        ],
    ),
    Row(
        "text after a quoted field",
        |f| {
            f.write("essays.csv", "text_id,full_text,grammar\n1,One.,3\n2,\"quoted\" tail,2\n");
            FOLDS
        },
        &["essays.csv: row 3: a quote inside a field is not followed by a separator"],
    ),
    Row(
        "delimiter of two characters",
        |_| "folds --input essays.csv --assign 4 --stratify grammar --output out.csv --delimiter ;;",
        &["--delimiter", "\";;\" cannot separate or escape; give one character"],
    ),
    Row(
        "unknown encoding",
        |_| "pairs propose --scorer scorer --documents essays.csv --n 5 --output list.jsonl --encoding ebcdic",
        &["--encoding", "unknown encoding \"ebcdic\"; give one of utf-8, utf-16, windows-1252, latin-1"],
    ),
    Row(
        "spreadsheet of another kind",
        |f| {
            f.scorer(true);
            f.write("essays.ods", "PK");
            "score --scorer scorer --input essays.ods --output out.csv"
        },
        &["essays.ods: a spreadsheet (.ods); save it as .xlsx or .csv"],
    ),
    Row(
        "archive",
        |_| "folds --input essays.zip --assign 4 --stratify grammar --output out.csv",
        &["essays.zip: an archive (.zip); unpack it and give the file in it"],
    ),
    Row(
        "object over several lines",
        |f| {
            f.scorer(true);
            f.write("texts.jsonl", "{\n  \"id\": \"a\",\n  \"text\": \"One.\"\n}\n");
            SCORE_LINES
        },
        &["texts.jsonl: line 1: one object a line; this looks pretty-printed; write every object on a line"],
    ),
    Row(
        "two columns of one name",
        |f| {
            f.edit("essays.csv", "fold,grammar", "grammar,grammar");
            RUN
        },
        &["essays.csv: row 1: two columns are called \"grammar\"; rename one of them"],
    ),
    Row(
        "neither CSV nor JSONL",
        |f| {
            f.scorer(true);
            f.write("essays.txt", "text");
            "score --scorer scorer --input essays.txt --output out.csv"
        },
        &["essays.txt: neither .csv, .tsv, .xlsx, .parquet nor .jsonl; give a file of one of these kinds"],
    ),
    Row(
        "missing documents",
        |f| {
            f.scorer(true);
            "score --scorer scorer --input nowhere.csv --output out.csv"
        },
        &["cannot read nowhere.csv; check that it exists and may be read: ", "(os error"],
    ),
    Row(
        "empty id",
        |f| {
            f.scorer(true);
            f.edit("essays.csv", "\nC0,", "\n ,");
            SCORE
        },
        &["essays.csv: row 4: the id is empty; give every document an id"],
    ),
    Row(
        "line that is no JSON",
        |f| {
            f.scorer(true);
            f.write("texts.jsonl", "{\"id\": \"a\", \"text\": \"One.\"}\n\n{\"id\": \"b\", \"text\": }\n");
            SCORE_LINES
        },
        &[
            "texts.jsonl: line 3: not a document; write {\"id\": \"…\", \"text\": \"…\"} on each line: expected",
        ],
    ),
    Row(
        "line without text",
        |f| {
            f.scorer(true);
            f.write("texts.jsonl", "{\"id\": \"a\", \"text\": \"One.\"}\n{\"id\": \"b\"}\n");
            SCORE_LINES
        },
        &[
            "texts.jsonl: line 2: no \"text\" (text), which objects before it have; its keys are id; name the right one: in a configuration with data.columns, else with --id-col, --text-col",
        ],
    ),
    Row(
        "line whose id is a list",
        |f| {
            f.scorer(true);
            f.write("texts.jsonl", "{\"id\": [1], \"text\": \"One.\"}\n");
            SCORE_LINES
        },
        &["texts.jsonl: line 1: \"id\" is a list; write ids as text or whole numbers"],
    ),
    Row(
        "line whose id is used twice",
        |f| {
            f.scorer(true);
            f.write("texts.jsonl", "{\"id\": \"1\", \"text\": \"One.\"}\n{\"id\": 1, \"text\": \"Two.\"}\n");
            SCORE_LINES
        },
        &["texts.jsonl: line 2: id \"1\" is already used in line 1; give every document its own id"],
    ),
    Row(
        "empty JSONL file",
        |f| {
            f.scorer(true);
            f.write("texts.jsonl", "\n");
            SCORE_LINES
        },
        &["texts.jsonl: empty; write one document per line"],
    ),
    Row(
        "folds already there",
        |_| FOLDS,
        &["essays.csv: already has a column \"fold\"; use it as it is, or remove that column first"],
    ),
    Row(
        "folds by a column of words",
        |f| {
            f.write("essays.csv", "text_id,grammar\na,1\nb,2\nc,good\nd,1\n");
            FOLDS
        },
        &["essays.csv: row 4: \"good\" in column \"grammar\" is not a number; correct it, or stratify by"],
    ),
    Row(
        "more folds than documents",
        |f| {
            f.write("essays.csv", "text_id,grammar\na,1\nb,2\nc,3\n");
            FOLDS
        },
        &["essays.csv: 3 documents cannot fill 4 folds; ask for fewer folds"],
    ),
    Row(
        "fold map that lacks ids",
        |f| {
            f.write("texts.csv", "text_id,full_text\na,One.\nb,Two.\n");
            f.write("map.json", "{\"a\": \"A\"}");
            "folds --input texts.csv --fold-map map.json --output out.csv"
        },
        &["texts.csv: 1 of 2 ids are not in the fold map: \"b\" (row 3); add them to the map"],
    ),
    Row(
        "fold map that is a list",
        |f| {
            f.write("texts.csv", "text_id,full_text\na,One.\n");
            f.write("map.json", "[1]");
            "folds --input texts.csv --fold-map map.json --output out.csv"
        },
        &["map.json: line 1: not a fold map; write {\"id\": \"fold\", …}"],
    ),
];
