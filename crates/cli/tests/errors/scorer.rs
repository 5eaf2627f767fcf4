//! Adapters, heads and `scorer.json`.

use serde_json::json;

use super::{EMBED_ADAPTER, EVALUATE, Row, SCORE};
use crate::common::{Folder, ramp};

const PEFT: &str = "adapter/adapter_config.json";
const FACTORS: &str = "adapter/adapter_model.safetensors";
const SETTINGS: &str = "scorer/scorer.json";

/// Puts the oracle's adapter with some keys of its configuration changed.
fn adapter(folder: &Folder, changes: &[(&str, serde_json::Value)]) -> &'static str {
    folder.oracle("adapter", "adapter");
    for (key, value) in changes {
        folder.set_json(PEFT, key, value.clone());
    }
    EMBED_ADAPTER
}

pub(super) const ROWS: &[Row] = &[
    Row(
        "unsupported kinds of adapters",
        |f| {
            adapter(
                f,
                &[("use_dora", true.into()), ("bias", "all".into()), ("modules_to_save", json!(["score"]))],
            )
        },
        &["adapter/adapter_config.json: use_dora = true is not supported; bias = \"all\" is not supported; \
             modules_to_save = [\"score\"] is not supported"],
    ),
    Row(
        "not LoRA",
        |f| adapter(f, &[("peft_type", "IA3".into())]),
        &["adapter/adapter_config.json: peft_type is \"IA3\", only \"LORA\" is supported"],
    ),
    Row(
        "unknown projection",
        |f| adapter(f, &[("target_modules", json!(["q_proj", "lm_head"]))]),
        &["adapter/adapter_config.json: target_modules names \"lm_head\", supported are q_proj, k_proj"],
    ),
    Row(
        "rank that is no rank",
        |f| adapter(f, &[("r", 0.into()), ("lora_alpha", "x".into())]),
        &["adapter/adapter_config.json: r must be an integer from 1 to 65536; lora_alpha must be a number"],
    ),
    Row(
        "numbers that are no ranks, alphas and shares",
        |f| {
            adapter(
                f,
                &[
                    ("rank_pattern", json!({"q_proj": 0.5, "v_proj": 100_000})),
                    ("alpha_pattern", json!({"q_proj": -1})),
                    ("lora_alpha", json!(1e300)),
                    ("lora_dropout", "0.1".into()),
                    ("use_rslora", 1.into()),
                ],
            )
        },
        &["adapter/adapter_config.json: lora_alpha must be a number of 32 bits; \
             lora_dropout is \"0.1\", it must be in [0, 1); use_rslora is 1, it must be true or false; \
             rank_pattern.q_proj is 0.5, it must be an integer from 1 to 65536; \
             rank_pattern.v_proj is 100000, it must be an integer from 1 to 65536; \
             alpha_pattern.q_proj is -1, it must be a number of 32 bits above 0"],
    ),
    Row(
        "rank other than the factors'",
        |f| adapter(f, &[("r", 8.into())]),
        &["adapter/adapter_model.safetensors: wrong tensors: \
             base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight has shape [4, 64], expected [8, 64]"],
    ),
    Row(
        "damaged adapter configuration",
        |f| {
            adapter(f, &[]);
            f.write(PEFT, "[]");
            EMBED_ADAPTER
        },
        &["adapter/adapter_config.json: not a JSON object: "],
    ),
    Row(
        "names without PEFT's prefix",
        |f| {
            adapter(f, &[]);
            f.edit_tensors(FACTORS, |tensors| {
                let bare = |(name, tensor): (String, _)| (name.replace("base_model.model.", ""), tensor);
                *tensors = std::mem::take(tensors).into_iter().map(bare).collect();
            });
            EMBED_ADAPTER
        },
        &["adapter/adapter_model.safetensors: its names lack base_model.model., with which PEFT begins them"],
    ),
    Row(
        "an adapter of an older PEFT",
        |f| {
            adapter(f, &[]);
            f.remove(FACTORS);
            f.write("adapter/adapter_model.bin", "pickled");
            EMBED_ADAPTER
        },
        &["adapter: has adapter_model.bin, which is not read: load it with PEFT and save it again"],
    ),
    Row(
        "missing factor",
        |f| {
            adapter(f, &[]);
            f.edit_tensors(FACTORS, |tensors| {
                tensors.remove("base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight");
            });
            EMBED_ADAPTER
        },
        &["adapter/adapter_model.safetensors: missing tensors: \
             base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight"],
    ),
    Row(
        "adapter for more layers",
        |f| {
            adapter(f, &[]);
            f.edit_tensors(FACTORS, |tensors| {
                tensors.insert(
                    "base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight".into(),
                    ramp(&[4, 64]),
                );
            });
            EMBED_ADAPTER
        },
        &["adapter/adapter_model.safetensors: does not fit a backbone of 3 layers: unexpected tensors: \
             base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight"],
    ),
    Row(
        "adapter without factors",
        |f| {
            adapter(f, &[]);
            f.remove(FACTORS);
            EMBED_ADAPTER
        },
        &["cannot read or write adapter/adapter_model.safetensors; check that it exists"],
    ),
    Row(
        "missing scorer",
        |_| SCORE,
        &["scorer: is not a scorer: no scorer.json in it, in absolute/ or in relative/"],
    ),
    Row(
        "scorer of another version",
        |f| {
            f.scorer(true);
            f.set_json(SETTINGS, "format", 3);
            f.set_json(SETTINGS, "temperature", 1.5);
            SCORE
        },
        &["scorer/scorer.json: has format 3, this program reads formats 1 and 2"],
    ),
    Row(
        "scorer of several traits with the keys of one",
        |f| {
            f.scorer(true);
            f.set_json(SETTINGS, "format", 2);
            SCORE
        },
        &["scorer/scorer.json: not a scorer: has keys of another format than 2"],
    ),
    Row(
        "damaged scorer",
        |f| {
            f.scorer(true);
            let text = f.text(SETTINGS);
            f.write(SETTINGS, &text[..text.len() / 2]);
            SCORE
        },
        &["scorer/scorer.json: not a scorer: EOF while parsing", "line "],
    ),
    Row(
        "unknown key of a scorer",
        |f| {
            f.scorer(true);
            f.set_json(SETTINGS, "temperature", 1.5);
            SCORE
        },
        &[
            "scorer/scorer.json: not a scorer: unknown field `temperature`, expected one of `format`, `target`",
        ],
    ),
    Row(
        "scorer without its backbone",
        |f| {
            f.scorer(true);
            f.set_json(SETTINGS, "backbone", "../nowhere");
            SCORE
        },
        &[
            "scorer/scorer.json: names a backbone that cannot be used (scorer/../nowhere: is not a folder",
            "correct its `backbone` entry",
        ],
    ),
    Row(
        "scorer without stages",
        |f| {
            f.scorer(false);
            f.set_json(SETTINGS, "relative", ());
            SCORE
        },
        &["scorer/scorer.json: has neither stage 1 (relative) nor stage 2 (score)"],
    ),
    Row(
        "a fusion scorer without stage 1",
        |f| {
            f.scorer(true);
            f.set_json(SETTINGS, "relative", ());
            f.edit(SETTINGS, "\"fusion\":false", "\"fusion\":true");
            SCORE
        },
        &["scorer/scorer.json: has fusion but no stage 1 (relative) to fuse with"],
    ),
    Row(
        "grades too close to tell apart",
        |f| {
            f.scorer(true);
            f.set_json(SETTINGS, "scale", json!({"min": 0.0, "max": 1e-10, "step": 1e-11}));
            SCORE
        },
        &[
            "scorer/scorer.json: scale 0 to 0.0000000001 by 0.00000000001: step is too small to tell grades apart; \
             rescale the labels",
        ],
    ),
    Row(
        "head for other grades",
        |f| {
            f.scorer(true);
            let link = json!({"kind": "cumulative", "min": 1.0, "step": 0.5, "grades": 5});
            let mut settings = f.json(SETTINGS);
            settings["score"]["link"] = link;
            f.write(SETTINGS, settings.to_string());
            SCORE
        },
        &["scorer/scorer.json: has a head for 5 grades on a scale of 9"],
    ),
    Row(
        "head of another width",
        |f| {
            f.scorer(true);
            f.edit_tensors("scorer/head.safetensors", |tensors| {
                tensors.insert("0.weight".into(), ramp(&[32, 128]));
            });
            SCORE
        },
        &["scorer/head.safetensors: wrong tensors: 0.weight has shape [32, 128], expected ["],
    ),
    Row(
        "missing head of stage 1",
        |f| {
            f.scorer(true);
            f.remove("scorer/relative_head.safetensors");
            SCORE
        },
        &["cannot read or write scorer/relative_head.safetensors; check that it exists"],
    ),
    Row(
        "scores of a scorer that only ranks",
        |f| {
            f.scorer(false);
            SCORE
        },
        &[
            "scorer: holds stage 1 only, which ranks and does not score; run `pair2score absolute CONFIG` first",
        ],
    ),
    Row(
        "output that is a folder",
        |f| {
            f.scorer(true);
            f.write("out.csv/file", "");
            SCORE
        },
        &["out.csv: is a folder; name a file in it"],
    ),
    Row(
        "fold without documents",
        |f| {
            f.scorer(true);
            "evaluate --scorer scorer --input essays.csv --fold Z"
        },
        &["essays.csv: no document is in fold \"Z\"; its folds are A, "],
    ),
    Row(
        "fold of a table without folds",
        |f| {
            f.scorer(true);
            f.write("texts.csv", "text_id,full_text,grammar\na,One.,1\nb,Two.,2\n");
            "evaluate --scorer scorer --input texts.csv --fold E"
        },
        &["texts.csv: has no column \"fold\" with folds", "--fold-col"],
    ),
    Row(
        "scores under the name of a workbook",
        |f| {
            f.scorer(true);
            "score --scorer scorer --input essays.csv --output scores.xlsx"
        },
        &[
            "scores.xlsx: would hold CSV under the name of another kind of file; write a .csv or a .parquet file",
        ],
    ),
    Row(
        "scores under the name of a compressed file",
        |f| {
            f.scorer(true);
            "score --scorer scorer --input essays.csv --output scores.csv.gz"
        },
        &["scores.csv.gz: would hold CSV under the name of another kind of file"],
    ),
    Row(
        "trait of another scorer",
        |f| {
            f.scorer(true);
            f.set_json(SETTINGS, "target", "syntax");
            EVALUATE
        },
        &["essays.csv: no column \"syntax\" (label); its columns are text_id, full_text, fold, grammar"],
    ),
    Row(
        "missing text to compare",
        |f| {
            f.scorer(true);
            f.write("a.txt", "One.");
            "compare --scorer scorer a.txt b.txt"
        },
        &["cannot read b.txt; check that it exists and may be read"],
    ),
    Row(
        "text to compare that is not UTF-8",
        |f| {
            f.scorer(true);
            f.write("a.txt", b"caf\xe9");
            f.write("b.txt", "Two.");
            "compare --scorer scorer a.txt b.txt"
        },
        &["a.txt: not UTF-8 at byte 3; save it as UTF-8"],
    ),
];
