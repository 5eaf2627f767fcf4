#!/usr/bin/env python3
"""Ours and what one would use instead, every row in one run: scripts/bench/peers.py DOCUMENTS [SHAPE=SCORER=N]...

    scripts/bench/peers.py essays.csv demo=demo/checkpoints/all_labels=500 smollm2_135m=checkpoints/all_layers=24

First `score` by scripts/bench/score_peers.py with each SCORER on the first N documents of a CSV file with the columns text_id
and full_text, beside its own exports in other programs; loading counts, and llama.cpp needs a scorer that reads all layers.
Then steps on random weights by scripts/bench/steps.sh: embedding (a forward pass), stage 1 and stage 2 in the shapes SHAPES
("demo smollm2_135m llama_1b_layer"), beside PyTorch. All take turns, ROUNDS (3) times. Prints tables in Markdown: rates in
medians and ranges, and peak memory.
"""

import collections
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))
from environment import ROOT, TARGET  # noqa: E402

# In the order of the columns; sentence-transformers is how PyTorch scores.
PROGRAMS = {"pair2score": "Ours", "torch-careful": "PyTorch", "sentence-transformers": "PyTorch",
            "onnxruntime": "onnxruntime", "llama.cpp": "llama.cpp"}
WEIGHTS = ["f32", "bf16", "q8", "int8", "Q8_0"]
WORKS = {"forward": "embedding, tokens/s", "stage1": "stage 1, tokens/s", "stage2": "stage 2, tokens/s"}
SCORE = "`score`, documents/s"


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def steps(runs, work):
    """Adds the steps to the runs: what was done by which column, each time with its rate and its peak."""
    environment = {"WORKS": " ".join(WORKS), "LENGTHS": "real", "WEIGHTS": "f32 bf16 q8", "FORMS": "careful", "OUT": work}
    shapes = os.environ.get("SHAPES", "demo smollm2_135m llama_1b_layer").split()
    subprocess.run([FOLDER / "steps.sh", *shapes], env={**os.environ, **environment}, stdout=subprocess.DEVNULL, check=True)
    for run in lines(Path(work) / "steps.jsonl"):
        column = PROGRAMS[run["who"]], run["weights"]
        runs[run["shape"], WORKS[run["work"]]][column].append((run["tokens_per_second"], run["peak_mib"]))


def scores(runs, work, documents, shape, scorer, count):
    """Adds scoring so many documents with a scorer to the runs."""
    kept = Path(work) / "score.jsonl"
    command = [sys.executable, FOLDER / "score_peers.py", TARGET / "release/pair2score", scorer, documents, count]
    subprocess.run(command, env={**os.environ, "LINES": kept}, stdout=sys.stderr, check=True)
    for run in lines(kept):
        who, weights = run["way"].split()
        runs[shape, SCORE][PROGRAMS[who], weights].append((run["documents"] / run["seconds"], run["peak_mib"]))


def rate(values):
    digits = 1 if max(values) < 100 else 0
    median, least, most = (f"{value:,.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return median if len(values) == 1 else f"{median} ({least} to {most})"


def table(runs, columns, cell):
    print("| | " + " | ".join(" ".join(column) for column in columns) + " |")
    print("|---" + "|---:" * len(columns) + "|")
    for what, by in runs.items():
        print("| " + " | ".join([", ".join(what), *(cell(by[column]) if column in by else "–" for column in columns)]) + " |")


def main():
    match sys.argv[1:]:
        case [documents, *named] if all(name.count("=") >= 2 for name in named):
            scorers = [(shape, *rest.rsplit("=", 1)) for shape, rest in (name.split("=", 1) for name in named)]
        case _:
            sys.exit("usage: scripts/bench/peers.py DOCUMENTS [SHAPE=SCORER=N]...")
    build = ["cargo", "build", "--release", "-p", "pair2score-cli", "--bin", "pair2score", "--example", "step", "--locked"]
    os.environ["CARGO_TARGET_DIR"] = str(TARGET)
    if not os.environ.get("NO_BUILD"):
        subprocess.run(build, cwd=ROOT, check=True)
    os.environ["NO_BUILD"] = "1"
    runs = collections.defaultdict(lambda: collections.defaultdict(list))
    with tempfile.TemporaryDirectory() as work:
        for scorer in scorers:
            scores(runs, work, documents, *scorer)
        steps(runs, work)
    columns = sorted({column for by in runs.values() for column in by},
                     key=lambda column: (list(PROGRAMS.values()).index(column[0]), WEIGHTS.index(column[1])))
    table(runs, columns, lambda kept: rate([rate for rate, _ in kept]))
    print("\nPeak MiB:\n")
    table(runs, columns, lambda kept: f"{max(peak for _, peak in kept):,.0f}")


if __name__ == "__main__":
    main()
