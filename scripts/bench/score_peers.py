#!/usr/bin/env python3
"""`pair2score score` beside onnxruntime, in f32 and in 8 bits: scripts/bench/score_peers.py PROGRAM SCORER DOCUMENTS [N]

    python3 scripts/bench/score_peers.py ~/.cache/pair2score/target/release/pair2score checkpoints/mine essays.csv 64

Scores the first N (64) documents of a CSV file with the columns text_id and full_text, in every way, ROUNDS (3) times in
turns, one process each, so that a machine that slows down slows all of them. onnxruntime runs the scorer's own ONNX export,
which `quantize_dynamic` makes 8 bits of, on documents of similar length together, as ours does. Loading counts. Prints a
table: medians and ranges of seconds and of processor seconds, peak memory, and how the scores agree with ours in f32.
"""

import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import enter, program  # noqa: E402

THREADS = os.cpu_count()
BATCH_TOKENS = 8192


def run_onnxruntime(model, documents, output):
    """What a process of its own does."""
    import numpy
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(Path(model).parent.parent / "tokenizer.json"))
    with open(documents, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    encoded = [encoding.ids for encoding in tokenizer.encode_batch([row["full_text"] for row in rows])]
    batches = [[]]
    for place in sorted(range(len(rows)), key=lambda place: -len(encoded[place])):
        if (len(batches[-1]) + 1) * len(encoded[(batches[-1] or [place])[0]]) > BATCH_TOKENS:
            batches.append([])
        batches[-1].append(place)
    scores = {}
    for batch in batches:
        length = len(encoded[batch[0]])
        ids = numpy.zeros((len(batch), length), dtype=numpy.int64)
        mask = numpy.zeros_like(ids)
        for row, place in enumerate(batch):
            ids[row, : len(encoded[place])] = encoded[place]
            mask[row, : len(encoded[place])] = 1
        scores.update(zip(batch, session.run(["score"], {"input_ids": ids, "attention_mask": mask})[0].tolist()))
    with open(output, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "score"])
        writer.writerows([row["text_id"], scores[place]] for place, row in enumerate(rows))


def measured(command):
    """Seconds, processor seconds and peak MiB of a process."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    if status:
        sys.exit(f"error: {' '.join(map(str, command))} failed")
    peak = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return seconds, usage.ru_utime + usage.ru_stime, peak


def read_scores(path):
    with open(path, newline="", encoding="utf-8") as file:
        return {row["id"]: float(row["score"]) for row in csv.DictReader(file)}


def cell(values):
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def main():
    enter("onnx")
    if sys.argv[1:2] == ["--onnxruntime"]:
        return run_onnxruntime(*sys.argv[2:5])
    if len(sys.argv) not in (4, 5):
        sys.exit("usage: scripts/bench/score_peers.py PROGRAM SCORER DOCUMENTS [N]")
    binary, scorer = program(sys.argv[1]), sys.argv[2]
    with open(sys.argv[3], newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[: int(sys.argv[4]) if sys.argv[4:] else 64]
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        documents = work / "documents.csv"
        with documents.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["text_id", "full_text"], extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        exported = work / "exported"
        subprocess.run([binary, "export", "--scorer", scorer, "--format", "onnx", "--output", exported], check=True)
        model, small = exported / "onnx/model.onnx", exported / "onnx/int8.onnx"
        # In a process of its own: the peak of a process counts what its parent held when it began.
        quantize = "import sys; from onnxruntime.quantization import quantize_dynamic as q, QuantType as t; " \
            "q(sys.argv[1], sys.argv[2], weight_type=t.QInt8)"
        subprocess.run([sys.executable, "-c", quantize, model, small], check=True)
        ours = [binary, "score", "--scorer", scorer, "--input", documents, "--output"]
        other = [sys.executable, __file__, "--onnxruntime"]
        ways = {
            "pair2score f32": lambda output: [*ours, output],
            "pair2score q8": lambda output: [*ours, output, "--quantize", "q8"],
            "onnxruntime f32": lambda output: [*other, model, documents, output],
            "onnxruntime int8": lambda output: [*other, small, documents, output],
        }
        runs = {name: [] for name in ways}
        for _ in range(int(os.environ.get("ROUNDS", 3))):
            for name, command in ways.items():
                runs[name].append(measured(command(work / f"{name}.csv")))
                print(name, *(f"{number:.1f}" for number in runs[name][-1]), file=sys.stderr)
        expected = read_scores(work / "pair2score f32.csv")
        print(f"{len(rows)} documents, {THREADS} threads\n")
        print("| | Seconds | Processor seconds | Peak MiB | Pearson with f32 | Largest difference |")
        print("|---|---:|---:|---:|---:|---:|")
        for name, figures in runs.items():
            seconds, processor, peak = zip(*figures)
            scores = read_scores(work / f"{name}.csv")
            pairs = [(expected[key], scores[key]) for key in expected]
            pearson = statistics.correlation(*zip(*pairs))
            largest = max(abs(a - b) for a, b in pairs)
            print(f"| {name} | {cell(seconds)} | {cell(processor)} | {max(peak):.0f} | {pearson:.5f} | {largest:.3f} |")


if __name__ == "__main__":
    main()
