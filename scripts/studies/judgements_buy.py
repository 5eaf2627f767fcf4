#!/usr/bin/env python3
"""What judgements buy: labels and pairwise judgements together, on a frozen backbone.

    scripts/studies/judgements_buy.py ESSAYS_WITH_FOLDS.csv BACKBONE FOLDER [--trait grammar] [--draws 10]

Simulated raters judge random pairs of the essays outside the test fold: a rater sees the score of either essay with a
normal error of 0.5 score units, anew for every judgement, and prefers the one that looks better. Every row is
`pair2score run` with as many labels (stage2_absolute.max_labels) and as many judgements (stage1_relative.max_pairs); no
judgement is the ridge, else it is the joint head. A draw changes which essays are labelled, which pairs are judged and the
errors of the raters. What is done is not done again; PAIR2SCORE names the program. Prints the mean of Pearson's
correlation on the test fold with half the width of its 95 % interval over the draws, and writes every number to FOLDER.
"""

import argparse
import csv
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys

TEST_FOLD = "E"
RATER_ERROR = 0.5
MEASURED = 50
# Student's t at 0.975 for one to nine degrees of freedom, then nearly the normal's.
T = [12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26]


def judged_pairs(essays, trait, seed, count):
    """Lines of a pair cache, the better essay (as it was seen) first."""
    draw = random.Random(f"judgements {seed}")
    pool = [essay for essay in essays if essay["fold"] != TEST_FOLD]
    lines = []
    for index in range(count):
        pair = draw.sample(pool, 2)
        seen = [float(essay[trait]) + draw.gauss(0, RATER_ERROR) for essay in pair]
        a, b = pair if seen[0] >= seen[1] else pair[::-1]
        da, db = float(a[trait]), float(b[trait])
        # The last ones measure stage 1; it learns from the others.
        split = "train" if index < count - MEASURED else "val"
        lines.append({"run": 1, "trait": trait, "split": split, "index": index, "a": a["text_id"],
                      "b": b["text_id"], "y": 1, "da": da, "db": db, "d": da - db})
    return "".join(json.dumps(line) + "\n" for line in lines)


def run(options, folder, folds, pairs, seed, labels, judgements):
    """Pearson's correlation on the test fold."""
    done = folder / f"s{seed}_k{labels}_n{judgements}"
    result = done / "absolute_metrics_info.txt"
    if not result.is_file():
        sets = {
            "pipeline.experiment_id": done.name, "pipeline.trait": options.trait,
            "pipeline.train_folds": f"[{', '.join(folds)}]", "pipeline.test_fold": TEST_FOLD,
            "pipeline.seed": seed, "pipeline.share_val_split": "false",
            "paths.essays_csv": options.essays, "paths.output_dir": done, "paths.checkpoint_dir": done,
            "model.base_model": options.backbone, "model.layers": options.layers,
            "stage1_relative.enabled": str(judgements > 0).lower(), "stage1_relative.mode": "head_only",
            "stage1_relative.pairs_file": pairs, "stage2_absolute.mode": "head_only",
            "stage2_absolute.head": "joint" if judgements else "ridge", "stage2_absolute.max_labels": labels,
        }
        if judgements:
            sets["stage1_relative.max_pairs"] = judgements
        empty = folder / "empty.yaml"
        empty.write_text("pipeline: {}\n")
        command = [os.environ.get("PAIR2SCORE", "pair2score"), "run", str(empty), "--resume",
                   "--cache", str(options.cache or folder / "embeddings")]
        command += [part for key, value in sets.items() for part in ("--set", f"{key}={value}")]
        outcome = subprocess.run(command, capture_output=True, text=True)
        if outcome.returncode:
            sys.exit(outcome.stderr)
    values = dict(line.split(": ", 1) for line in result.read_text().splitlines())
    return float(values["test_pearson"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("essays", type=pathlib.Path)
    parser.add_argument("backbone")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--trait", default="grammar")
    parser.add_argument("--layers", default="21")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--labels", type=int, nargs="+", default=[20, 40, 80, 160, 320, 1601])
    parser.add_argument("--judgements", type=int, nargs="+", default=[0, 500, 1000, 2000])
    parser.add_argument("--cache", type=pathlib.Path, help="folder of embeddings; by default in FOLDER")
    options = parser.parse_args()
    with options.essays.open(newline="", encoding="utf-8") as file:
        essays = list(csv.DictReader(file))
    folds = sorted({essay["fold"] for essay in essays} - {TEST_FOLD})
    folder = options.folder / options.trait
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    print(f"| Labels | {' | '.join(f'{n} judgements' for n in options.judgements)} |")
    print("|---:|" + "---:|" * len(options.judgements))
    for labels in options.labels:
        cells = []
        for judgements in options.judgements:
            values = []
            for seed in range(1, options.draws + 1):
                pairs = folder / f"pairs_{seed}.jsonl"
                if not pairs.is_file():
                    pairs.write_text(judged_pairs(essays, options.trait, seed, max(options.judgements) + MEASURED))
                values.append(run(options, folder, folds, pairs, seed, labels, judgements))
                rows.append([labels, judgements, seed, values[-1]])
            half = 0.0
            if len(values) > 1:
                degrees = len(values) - 1
                t = T[degrees - 1] if degrees <= len(T) else 2.1
                half = t * statistics.stdev(values) / len(values) ** 0.5
            cells.append(f"{statistics.mean(values):.3f} ± {half:.3f}")
        print(f"| {labels} | {' | '.join(cells)} |", flush=True)
    with (folder / "pearson.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["labels", "judgements", "draw", "pearson"], *rows])


if __name__ == "__main__":
    main()
