#!/usr/bin/env python3
"""What judgements buy: labels and pairwise judgements together, on a frozen backbone.

    scripts/studies/judgements_buy.py ESSAYS_WITH_FOLDS.csv BACKBONE FOLDER [--trait grammar] [--draws 10]

Simulated raters judge random pairs of the essays outside the test fold: a rater sees the score of either essay with a
normal error of 0.5 score units, anew for every judgement, and prefers the one that looks better. Every row is
`pair2score run` with as many labels (stage2_absolute.max_labels) and as many judgements (stage1_relative.max_pairs); no
judgement is the ridge, else it is the joint head. A draw changes which essays are labelled, which pairs are judged and the
errors of the raters.

With --adapter there is a second column for every number of judgements: the joint head on an adapter that stage 1 trained
on these judgements. Training is dear, so all draws share one draw of judgements and differ in their labels; and its pairs
lie within groups of eight essays, ten in each, so that an epoch reads each essay once.

What is done is not done again; PAIR2SCORE names the program. Prints the mean of Pearson's correlation on the test fold with
half the width of its 95 % interval over the draws, and writes every number to FOLDER.
"""

import argparse
import csv
import itertools
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
GROUP = 8
PAIRS_OF_GROUP = 10
# Student's t at 0.975 for one to nine degrees of freedom, then nearly the normal's.
T = [12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26]


def random_pairs(draw, pool):
    while True:
        yield draw.sample(pool, 2)


def pairs_within_groups(draw, pool):
    """Pairs within groups of essays, no essay in two groups before each was in one."""
    while True:
        essays = draw.sample(pool, len(pool))
        for first in range(0, len(essays) - GROUP + 1, GROUP):
            group = essays[first:first + GROUP]
            yield from draw.sample(list(itertools.combinations(group, 2)), PAIRS_OF_GROUP)


def judged(draw, pairs, count, trait):
    """Lines of a pair cache, the better essay (as it was seen) first."""
    lines = []
    for index, pair in enumerate(itertools.islice(pairs, count + MEASURED)):
        seen = [float(essay[trait]) + draw.gauss(0, RATER_ERROR) for essay in pair]
        a, b = pair if seen[0] >= seen[1] else pair[::-1]
        da, db = float(a[trait]), float(b[trait])
        # The last ones measure stage 1; it learns from the others.
        split = "train" if index < count else "val"
        lines.append({"run": 1, "trait": trait, "split": split, "index": index, "a": a["text_id"],
                      "b": b["text_id"], "y": 1, "da": da, "db": db, "d": da - db})
    return "".join(json.dumps(line) + "\n" for line in lines)


class Study:
    def __init__(self, options):
        with options.essays.open(newline="", encoding="utf-8") as file:
            essays = list(csv.DictReader(file))
        self.options = options
        self.folder = options.folder / options.trait
        self.pool = [essay for essay in essays if essay["fold"] != TEST_FOLD]
        self.folds = sorted({essay["fold"] for essay in self.pool})

    def pairs(self, name, seed, choose, count):
        """The file of a draw of judgements."""
        file = self.folder / f"{name}_{seed}.jsonl"
        if not file.is_file():
            draw = random.Random(f"judgements {seed}")
            file.write_text(judged(draw, choose(draw, self.pool), count, self.options.trait))
        return file

    def run(self, name, seed, labels, changes):
        """Pearson's correlation on the test fold, and the folder of stage 1."""
        done = self.folder / name
        result = done / "absolute_metrics_info.txt"
        if not result.is_file():
            sets = {
                "pipeline.experiment_id": name, "pipeline.trait": self.options.trait,
                "pipeline.train_folds": f"[{', '.join(self.folds)}]", "pipeline.test_fold": TEST_FOLD,
                "pipeline.seed": seed, "pipeline.share_val_split": "false",
                "paths.essays_csv": self.options.essays, "paths.output_dir": done, "paths.checkpoint_dir": done,
                "model.base_model": self.options.backbone, "model.layers": self.options.layers,
                "stage2_absolute.max_labels": labels, **changes,
            }
            empty = self.folder / "empty.yaml"
            empty.write_text("pipeline: {}\n")
            command = [os.environ.get("PAIR2SCORE", "pair2score"), "run", str(empty), "--resume",
                       "--cache", str(self.options.cache or self.folder / "embeddings")]
            command += [part for key, value in sets.items() for part in ("--set", f"{key}={value}")]
            outcome = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            if outcome.returncode:
                sys.exit(outcome.stderr)
        values = dict(line.split(": ", 1) for line in result.read_text().splitlines())
        return float(values["test_pearson"]), done / "relative"

    def labels_alone(self, seed, labels):
        changes = {"stage1_relative.enabled": "false", "stage2_absolute.mode": "head_only", "stage2_absolute.head": "ridge"}
        return self.run(f"s{seed}_k{labels}_n0", seed, labels, changes)[0]

    def head_only(self, seed, labels, count, pairs, name):
        changes = {"stage1_relative.mode": "head_only", "stage1_relative.pairs_file": pairs,
                   "stage1_relative.max_pairs": count, "stage2_absolute.mode": "head_only", "stage2_absolute.head": "joint"}
        return self.run(f"s{seed}_k{labels}_n{count}{name}", seed, labels, changes)[0]

    def on_adapter(self, seed, labels, count, pairs):
        """The first of these trains the adapter."""
        changes = {"stage1_relative.pairs_file": pairs, "model.dtype": "bf16", "stage2_absolute.mode": "warm_start",
                   "stage2_absolute.head": "joint", "stage2_absolute.lora.train_reused_adapter": "false"}
        training = {"epochs": 1, "document_grouped": "true", "max_batch_tokens": 512 * GROUP, "lr": 3e-4,
                    "schedule": "cosine", "warmup_steps": 10, "log_every": 5}
        trained = {**changes, "stage1_relative.outputs.save_embeddings": "false",
                   **{f"stage1_relative.training.{key}": value for key, value in training.items()}}
        # Not a row: of as many labels and with a seed of its own, whatever rows are asked for.
        stage1 = self.run(f"adapter_n{count}", 1, 20, trained)[1]
        return self.run(f"s{seed}_k{labels}_n{count}_adapter", seed, labels, {**changes, "stage1_relative.from": stage1})[0]

    def columns(self):
        """Of every column its heading and what it measures, from a seed and a number of labels."""
        if 0 in self.options.judgements:
            yield "0 judgements", self.labels_alone
        most = max(self.options.judgements)
        for count in filter(None, self.options.judgements):
            if not self.options.adapter:
                yield f"{count} judgements", lambda seed, labels, count=count: self.head_only(
                    seed, labels, count, self.pairs("pairs", seed, random_pairs, most), "")
                continue
            pairs = self.pairs(f"groups_{count}", 1, pairs_within_groups, count)
            yield f"{count} judgements", lambda seed, labels, count=count, pairs=pairs: self.head_only(
                seed, labels, count, pairs, "_groups")
            yield f"{count} judgements, adapter", lambda seed, labels, count=count, pairs=pairs: self.on_adapter(
                seed, labels, count, pairs)


def mean_and_half_interval(values):
    if len(values) < 2:
        return statistics.mean(values), 0.0
    t = T[min(len(values) - 1, len(T)) - 1]
    return statistics.mean(values), t * statistics.stdev(values) / len(values) ** 0.5


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
    parser.add_argument("--adapter", action="store_true", help="also with an adapter in stage 1")
    parser.add_argument("--cache", type=pathlib.Path, help="folder of embeddings; by default in FOLDER")
    study = Study(parser.parse_args())
    study.folder.mkdir(parents=True, exist_ok=True)
    columns = list(study.columns())
    rows = []
    print(f"| Labels | {' | '.join(heading for heading, _ in columns)} |")
    print("|---:|" + "---:|" * len(columns))
    for labels in study.options.labels:
        cells = []
        for heading, measure in columns:
            values = [measure(seed, labels) for seed in range(1, study.options.draws + 1)]
            rows += [[labels, heading, seed, value] for seed, value in enumerate(values, 1)]
            cells.append("{:.3f} ± {:.3f}".format(*mean_and_half_interval(values)))
        print(f"| {labels} | {' | '.join(cells)} |", flush=True)
    name = "pearson_adapter.csv" if study.options.adapter else "pearson.csv"
    with (study.folder / name).open("w", newline="") as file:
        csv.writer(file).writerows([["labels", "column", "draw", "pearson"], *rows])


if __name__ == "__main__":
    main()
