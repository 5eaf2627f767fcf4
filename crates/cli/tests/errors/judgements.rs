//! Judgement logs and proposals.

use super::Row;

const LOG: &str = "\
{\"run\":0,\"trait\":\"grammar\",\"split\":\"train\",\"index\":0,\"a\":\"A0\",\"b\":\"B0\",\"y\":1,\"judge\":\"ann\",\"at\":\"1\"}
{\"run\":0,\"trait\":\"grammar\",\"split\":\"train\",\"index\":1,\"a\":\"C0\",\"b\":\"B0\",\"y\":1,\"judge\":\"ann\",\"at\":\"2\"}
";
const IMPORT: &str = "judgements import log.jsonl --documents essays.csv --output-dir cache";
const FIT: &str = "judgements fit log.jsonl --output fit.csv";

pub(super) const ROWS: &[Row] = &[
    Row("missing log", |_| FIT, &["cannot read log.jsonl; check that it exists"]),
    Row(
        "judgement without a judge",
        |f| {
            f.write("log.jsonl", LOG);
            f.edit("log.jsonl", "\"judge\":\"ann\",\"at\":\"2\"", "\"at\":\"2\"");
            FIT
        },
        &[
            "log.jsonl: line 2: no judge; its keys are run, trait, split, index, a, b, y, at; write who judged as \"judge\"",
        ],
    ),
    Row(
        "document on the left that is neither",
        |f| {
            f.write("log.jsonl", LOG);
            f.edit("log.jsonl", "\"at\":\"1\"", "\"at\":\"1\",\"shown_left\":\"D0\"");
            FIT
        },
        &["log.jsonl: line 1: \"D0\" on the left is neither document; write a or b as \"shown_left\""],
    ),
    Row(
        "judgements about several traits",
        |f| {
            f.write("log.jsonl", LOG);
            f.edit("log.jsonl", "grammar", "syntax");
            FIT
        },
        &["log.jsonl: judgements about several traits (grammar, syntax); choose one with --trait"],
    ),
    Row(
        "trait nobody judged",
        |f| {
            f.write("log.jsonl", LOG);
            "judgements stats log.jsonl --trait syntax"
        },
        &["log.jsonl: no judgement about \"syntax\", only about grammar; name one of those"],
    ),
    Row(
        "prior without a width",
        |f| {
            f.write("log.jsonl", LOG);
            "judgements fit log.jsonl --output fit.csv --prior-sd 0"
        },
        &["a prior with standard deviation 0; use a number above 0, 3 for example"],
    ),
    Row(
        "gold answers that contradict each other",
        |f| {
            f.write("log.jsonl", LOG);
            let line = LOG.lines().next().unwrap();
            f.write("gold.jsonl", format!("{line}\n{}", line.replace("\"y\":1", "\"y\":0")));
            "judgements stats log.jsonl --gold gold.jsonl"
        },
        &["gold.jsonl: line 2: another answer about \"A0\" and \"B0\" than before; keep one"],
    ),
    Row(
        "judged document that is not in the CSV file",
        |f| {
            f.write("log.jsonl", LOG);
            f.edit("log.jsonl", "\"C0\"", "\"Q0\"");
            IMPORT
        },
        &["log.jsonl: line 2: document \"Q0\" is not in essays.csv; give the documents that were judged"],
    ),
    Row(
        "too few judgements to train on",
        |f| {
            f.write("log.jsonl", LOG);
            IMPORT
        },
        &["log.jsonl: 2 judgements leave ", "for validation", "; collect more"],
    ),
    Row(
        "held-out fold that does not occur",
        |f| {
            f.write("log.jsonl", LOG);
            "judgements import log.jsonl --documents essays.csv --output-dir cache --heldout-fold Z"
        },
        &["essays.csv: no fold \"Z\"; its folds are A, B, C, D, E"],
    ),
    Row(
        "share above one",
        |f| {
            f.scorer(false);
            "pairs propose --scorer scorer --documents essays.csv --n 5 --output list.jsonl --random-share 1.5"
        },
        &["--random-share 1.5 is not a share; give a number from 0 to below 1"],
    ),
    Row(
        "scorer without texts to read",
        |f| {
            f.write("log.jsonl", LOG);
            "judgements fit log.jsonl --scorer scorer --output fit.csv"
        },
        &["scorer: has no texts to read; name them with --documents"],
    ),
    Row(
        "judgement of a document that is not in the table",
        |f| {
            f.write("log.jsonl", LOG);
            f.write("one.csv", "text_id,full_text\na,Text.\n");
            "judgements fit log.jsonl --documents one.csv --output fit.csv"
        },
        &["log.jsonl: line 1: document", "is not here; add the documents that were judged first"],
    ),
    Row(
        "one document to compare",
        |f| {
            f.scorer(false);
            f.write("one.csv", "text_id,full_text\na,Text.\n");
            "pairs propose --scorer scorer --documents one.csv --n 5 --output list.jsonl"
        },
        &["one.csv: no pair is left to propose; give more documents"],
    ),
];
