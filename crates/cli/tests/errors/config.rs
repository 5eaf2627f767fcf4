//! Configurations, devices and the command line.

use super::{RUN, Row};

pub(super) const ROWS: &[Row] = &[
    Row(
        "unknown key",
        |f| {
            f.edit("config.yaml", "val_ratio", "val_ration");
            RUN
        },
        &["config.yaml: pipeline.val_ration: unknown key, did you mean val_ratio?"],
    ),
    Row(
        "key in the wrong section",
        |f| {
            f.edit("config.yaml", "  seed: 36", "  pooling: last\n  seed: 36");
            RUN
        },
        &["config.yaml: pipeline.pooling: unknown key, did you mean model.pooling?"],
    ),
    Row(
        "value of a wrong type",
        |f| {
            f.edit("config.yaml", "epochs: 1", "epochs: many");
            RUN
        },
        &[
            "config.yaml: stage1_relative.training.epochs: invalid type: string \"many\"",
            "expected a whole number",
            "at line 18",
        ],
    ),
    Row(
        "several conflicts",
        |f| {
            f.edit("config.yaml", "test_fold: E", "test_fold: A");
            f.edit("config.yaml", "max_length: 48", "max_length: 1");
            f.edit("config.yaml", "r: 2", "r: 0");
            "run config.yaml --set stage2_absolute.training.lr=2 --set stage2_absolute.objective=rank"
        },
        &[
            "config.yaml: ",
            "pipeline.test_fold: \"A\" is also a training fold",
            "model.max_length: 1 is not in 2 to 131072",
            "stage1_relative.lora.r: 0 is not in 1 to 4096",
            "stage2_absolute.training.lr: 2 is not above 0 and at most 1",
            "stage2_absolute.objective: \"rank\" is not known, use one of l1, mse",
        ],
    ),
    Row(
        "missing configuration",
        |_| "run nowhere.yaml",
        &["cannot read nowhere.yaml; check the path", "(os error"],
    ),
    Row("configuration that is a folder", |_| "run backbone", &["cannot read backbone; check the path"]),
    Row(
        "empty configuration",
        |f| {
            f.write("config.yaml", "# nothing\n");
            RUN
        },
        &["config.yaml: the file is empty, begin with one of configs/examples"],
    ),
    Row(
        "indented by a tab",
        |f| {
            f.edit("config.yaml", "  seed: 36", "\tseed: 36");
            RUN
        },
        &["config.yaml: not valid YAML", "line 7", "indent with spaces, not tabs"],
    ),
    Row(
        "contradictory fusion",
        |_| {
            "run config.yaml --set stage2_absolute.mode=fusion \
             --set stage2_absolute.embedding_fusion.enabled=false"
        },
        &[
            "config.yaml: stage2_absolute.embedding_fusion.enabled: false contradicts stage2_absolute.mode fusion, \
             change one",
        ],
    ),
    Row(
        "fusion without stage 1",
        |_| {
            "run config.yaml --set stage1_relative.enabled=false \
             --set stage2_absolute.embedding_fusion.enabled=true"
        },
        &["stage2_absolute.embedding_fusion.enabled: true needs the stage-1 adapter", "enable stage 1"],
    ),
    Row(
        "scale without whole steps",
        |_| "run config.yaml --set scale.step=0.3",
        &["config.yaml: scale 1 to 5 by 0.3: max is not a whole number of steps above min, correct"],
    ),
    Row(
        "labels beyond the scale",
        |_| "run config.yaml --set scale.max=3",
        &[
            "essays.csv: row 5: label 4 is not on the scale (document \"D0\", column \"grammar\", scale 1 to 3 by \
             0.5); correct the label, or give the scale that it is on: `scale` of a configuration, or",
        ],
    ),
    Row(
        "fold that does not occur",
        |_| "run config.yaml --set pipeline.test_fold=Z",
        &["essays.csv: no fold \"Z\"; its folds are A, B, C, D, E; name folds that occur"],
    ),
    Row(
        "set of an unknown key",
        |_| "run config.yaml --set stage1_relative.training.epoch=1",
        &["config.yaml: stage1_relative.training.epoch: unknown key, did you mean epochs?"],
    ),
    Row(
        "set without a value",
        |_| "run config.yaml --set pipeline.seed",
        &["config.yaml: --set \"pipeline.seed\": no \"=\", write KEY=VALUE"],
    ),
    Row(
        "relative without stage 1",
        |_| "relative config.yaml --set stage1_relative.enabled=false",
        &["config.yaml: stage1_relative.enabled is false"],
    ),
    Row(
        "absolute before relative",
        |_| "absolute config.yaml",
        &["ckpt/relative: has no stage 1 to start from; run `pair2score relative CONFIG`"],
    ),
    Row(
        "output folder that is a file",
        |f| {
            f.write("out", "");
            RUN
        },
        &["cannot create out/.lock; choose another folder or allow writing there"],
    ),
    Row(
        "run configuration for pretraining",
        |_| "pretrain config.yaml",
        &[
            "config.yaml: pipeline, paths, model, stage1_relative, stage2_absolute: unknown keys, the sections are pretrain, data",
        ],
    ),
    Row(
        "missing documents to pretrain on",
        |f| {
            f.write("pretrain.yaml", "pretrain: {documents: [nowhere.csv], output: new}\n");
            "pretrain pretrain.yaml"
        },
        &["cannot read nowhere.csv; check that it exists"],
    ),
    #[cfg(not(feature = "cuda"))]
    Row(
        "device that is not in the build",
        |_| "run config.yaml --device cuda",
        &["this build has no cuda device; build with `--features cuda`"],
    ),
    Row(
        "device that does not exist",
        |_| "run config.yaml --device quantum",
        &["invalid value 'quantum' for '--device <DEVICE>': expected cpu, cuda, cuda:N or wgpu"],
    ),
    Row("unknown command", |_| "rate essays.csv", &["unrecognized subcommand 'rate'"]),
    Row(
        "folds from nowhere",
        |_| "folds --input essays.csv --output out.csv",
        &["required arguments were not provided"],
    ),
];
