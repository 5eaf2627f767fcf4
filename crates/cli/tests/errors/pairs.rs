//! Pair caches.

use super::{RUN, Row};

const PAIRS: &str = "pairs/run1_grammar.jsonl";

pub(super) const ROWS: &[Row] = &[
    Row(
        "line that is no pair",
        |f| {
            f.edit(PAIRS, "\"index\": 2,", "\"index\": two,");
            RUN
        },
        &[
            "pairs/run1_grammar.jsonl: line 3: not a pair; write run, trait, split, index, a, b and y on each line",
        ],
    ),
    Row(
        "y out of range",
        |f| {
            f.edit(PAIRS, "\"b\": \"D0\", \"y\": 0", "\"b\": \"D0\", \"y\": 2");
            RUN
        },
        &["pairs/run1_grammar.jsonl: line 3: y is 2; write 1 (a is better), 0 (b is better) or 0.5 (tie)"],
    ),
    Row(
        "weight of zero",
        |f| {
            f.edit(PAIRS, "\"index\": 1,", "\"index\": 1, \"weight\": 0,");
            RUN
        },
        &["pairs/run1_grammar.jsonl: line 2: weight is 0; give a number above 0, or leave it out"],
    ),
    Row(
        "document against itself",
        |f| {
            f.edit(PAIRS, "\"a\": \"B0\", \"b\": \"C0\"", "\"a\": \"B0\", \"b\": \"B0\"");
            RUN
        },
        &["pairs/run1_grammar.jsonl: line 2: document \"B0\" is paired with itself; name two documents"],
    ),
    Row(
        "document that is not in the CSV file",
        |f| {
            f.edit(PAIRS, "\"b\": \"C0\"", "\"b\": \"Q0\"");
            RUN
        },
        &["pairs/run1_grammar.jsonl: pair 2 names document \"Q0\", which is not in essays.csv"],
    ),
    Row(
        "document of the test fold",
        |f| {
            f.edit(PAIRS, "\"b\": \"C0\"", "\"b\": \"E0\"");
            RUN
        },
        &[
            "pairs/run1_grammar.jsonl: pair 2 uses document \"E0\" of the test fold E; training on it would spoil \
             the test: use the pairs of the run that holds out fold E",
        ],
    ),
    Row(
        "document of the test fold without a label",
        |f| {
            let unlabelled = |line: &str| match line.rsplit_once(',') {
                Some((rest, _)) if line.starts_with("E0,") => format!("{rest},\n"),
                _ => format!("{line}\n"),
            };
            let essays: String = f.text("essays.csv").lines().map(unlabelled).collect();
            f.write("essays.csv", essays);
            f.edit(PAIRS, "\"b\": \"C0\"", "\"b\": \"E0\"");
            RUN
        },
        &["pairs/run1_grammar.jsonl: pair 2 uses document \"E0\" of the test fold E"],
    ),
    Row(
        "pairs of another trait",
        |f| {
            f.edit(PAIRS, "\"trait\": \"grammar\"", "\"trait\": \"syntax\"");
            RUN
        },
        &["pairs/run1_grammar.jsonl: pair 1 is about \"syntax\", the configuration trains \"grammar\""],
    ),
    Row(
        "missing pairs",
        |_| "run config.yaml --set stage1_relative.pairs_file=nowhere.jsonl",
        &[
            "nowhere.jsonl: is not there; make it with `pair2score pairs generate --essays essays.csv --trait \
             grammar --pair-folds A,B,C,D --heldout-fold E",
        ],
    ),
    Row(
        "no pairs to train on",
        |f| {
            let pairs = f.text(PAIRS).replace("\"train\"", "\"test\"");
            f.write(PAIRS, pairs);
            RUN
        },
        &["pairs/run1_grammar.jsonl: leaves 0 training and 5 validation pairs; both need at least one"],
    ),
    Row(
        "empty pair file",
        |f| {
            f.write(PAIRS, "");
            RUN
        },
        &["pairs/run1_grammar.jsonl: no pairs; generate them again, or give another file"],
    ),
    Row("folder without pair files", |_| "pairs stats backbone", &["backbone: has no .jsonl file"]),
    Row("missing file to count", |_| "pairs stats nowhere.jsonl", &["cannot read nowhere.jsonl; check that"]),
    Row(
        "held-out fold that is paired",
        |_| {
            "pairs generate --essays essays.csv --trait grammar --run-id 1 --seed 1 --pair-folds A,B \
             --heldout-fold B --output-dir new"
        },
        &["held-out fold \"B\" is also a fold to pair; remove it from those"],
    ),
    Row(
        "too few documents to pair",
        |_| {
            "pairs generate --essays essays.csv --trait grammar --run-id 1 --seed 1 --pair-folds A \
             --output-dir new"
        },
        &["essays.csv: 1 of 8 documents in the ", "pair at least 15 documents"],
    ),
    Row(
        "one column of labels for two traits",
        |_| {
            "pairs generate --essays essays.csv --trait grammar --trait syntax --label-col grammar --run-id 1 --seed 1 \
             --pair-folds A,B,C,D --output-dir new"
        },
        &["--label-col grammar: is the column of one trait; give each trait the name of its column"],
    ),
    Row(
        "trait given twice",
        |_| {
            "pairs generate --essays essays.csv --trait grammar --trait grammar --run-id 1 --seed 1 \
             --pair-folds A,B,C,D --output-dir new"
        },
        &["--trait grammar: is given twice"],
    ),
    Row(
        "trait that is no file name",
        |f| {
            f.edit("essays.csv", "grammar", "a/b");
            "pairs generate --essays essays.csv --trait a/b --run-id 1 --seed 1 --pair-folds A,B,C,D \
             --output-dir new"
        },
        &["trait \"a/b\" cannot be part of a file name; name a trait without slashes and colons"],
    ),
];
