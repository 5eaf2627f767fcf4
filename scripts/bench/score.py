#!/usr/bin/env python3
"""Documents a second and peak memory of `pair2score score`: scripts/bench/score.py PROGRAM SCORER

    python3 scripts/bench/score.py ~/.cache/pair2score/target/release/pair2score export/bundle

Scores 1,000 and 10,000 texts of about 500 bytes and 100,000 of 12 words: essays of data/demo with their sentences
shuffled, the same ones in every run. Prints the rows of docs/performance.md. Linux and macOS.
"""

import csv
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import ROOT, program  # noqa: E402

ESSAYS = ROOT / "data/demo/essays.csv"


def write_texts(path, n, words):
    """`n` texts, of so many words each where that is given."""
    with ESSAYS.open(newline="") as file:
        essays = [re.split(r"(?<=[.!?])\s+", row["full_text"].strip()) for row in csv.DictReader(file)]
    choice = random.Random(36)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text_id", "full_text"])
        for i in range(n):
            sentences = list(essays[i % len(essays)])
            choice.shuffle(sentences)
            text = " ".join(sentences)
            writer.writerow([f"text-{i:06}", " ".join(text.split()[:words]) if words else text])


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: scripts/bench/score.py PROGRAM SCORER")
    binary, scorer = program(sys.argv[1]), sys.argv[2]
    print("| Documents | Each | Seconds | Documents/s | Peak of the process, MiB |\n|---:|---|---:|---:|---:|")
    for n, words in [(1_000, None), (10_000, None), (100_000, 12)]:
        with tempfile.TemporaryDirectory() as folder:
            texts, scores = Path(folder) / "texts.csv", Path(folder) / "scores.csv"
            write_texts(texts, n, words)
            with texts.open(newline="") as file:
                mean = sum(len(row["full_text"].encode()) for row in csv.DictReader(file)) / n
            command = [binary, "score", "--scorer", scorer, "--input", texts, "--output", scores]
            started = time.monotonic()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            errors = process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.monotonic() - started
            if status:
                sys.exit(errors.decode())
            lines = sum(1 for _ in scores.open()) - 1
            assert lines == n, f"{lines} scores of {n} texts"
        peak = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
        each = f"{words} words" if words else f"{mean:.0f} bytes"
        print(f"| {n:,} | {each} | {seconds:.1f} | {n / seconds:,.0f} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    main()
