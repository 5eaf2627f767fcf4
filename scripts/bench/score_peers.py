#!/usr/bin/env python3
"""`pair2score score` beside what one would use instead: scripts/bench/score_peers.py PROGRAM SCORER DOCUMENTS [N]

    python3 scripts/bench/score_peers.py ~/.cache/pair2score/target/release/pair2score checkpoints/mine essays.csv 64

Scores the first N (64) documents of a CSV file with the columns text_id and full_text, in every way, ROUNDS (3) times in
turns, one process each, so that a machine that slows down slows all of them. The others run the scorer's own exports:
sentence-transformers (PyTorch) in f32 and with bf16 by autocast, onnxruntime in f32 and in the 8 bits that
`quantize_dynamic` makes, llama.cpp in Q8_0, which needs a scorer that reads all layers. WAYS="pair2score onnxruntime"
chooses by the first words. Loading counts. Prints a table: medians and ranges of seconds and of processor seconds, the
median of the ratios of processor seconds within a round, peak memory, and how the scores agree with ours in f32. LINES=FILE
keeps a line of JSON for each process.
"""

import csv
import json
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


def run_sentence_transformers(folder, documents, output, dtype):
    """What a process of its own does."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(THREADS)
    model = SentenceTransformer(folder, device="cpu")
    with open(documents, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    # It puts texts of similar length into one batch by itself.
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bf16"):
        scores = model.encode([row["full_text"] for row in rows], batch_size=16, convert_to_tensor=True)
    with open(output, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "score"])
        writer.writerows([row["text_id"], value] for row, value in zip(rows, scores[:, 0].tolist()))


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


def exports(binary, scorer, work):
    """The scorer in the formats that the others run, and its weights in bf16 for ours."""
    forms = {"onnx": [], "sentence-transformers": [], "hf": [], "bf16": ["--dtype", "bf16"]}
    for name, options in forms.items():
        form = "hf" if name == "bf16" else name
        command = [binary, "export", "--scorer", scorer, "--format", form, "--output", work / name, *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    # In a process of its own: the peak of a process counts what its parent held when it began.
    quantize = "import sys; from onnxruntime.quantization import quantize_dynamic as q, QuantType as t; " \
        "q(sys.argv[1], sys.argv[2], weight_type=t.QInt8)"
    model = work / "onnx/onnx/model.onnx"
    subprocess.run([sys.executable, "-c", quantize, model, model.with_name("int8.onnx")], check=True)


def all_ways(binary, scorer, work):
    """The command of each way, given where it writes."""
    documents = work / "documents.csv"
    ours = [binary, "score", "--input", documents, "--scorer"]
    other = [sys.executable, __file__]
    model = work / "onnx/onnx/model.onnx"
    llama = [sys.executable, Path(__file__).with_name("llama_q8.py")]
    gguf = work / "q8_0.gguf"
    ways = {
        "pair2score f32": lambda output: [*ours, scorer, "--output", output],
        "pair2score bf16": lambda output: [*ours, work / "bf16", "--output", output],
        "pair2score q8": lambda output: [*ours, scorer, "--quantize", "q8", "--output", output],
    }
    for dtype in ("f32", "bf16"):
        ways[f"sentence-transformers {dtype}"] = lambda output, dtype=dtype: \
            [*other, "--sentence-transformers", work / "sentence-transformers", documents, output, dtype]
    for name, file in (("f32", model), ("int8", model.with_name("int8.onnx"))):
        ways[f"onnxruntime {name}"] = lambda output, file=file: [*other, "--onnxruntime", file, documents, output]
    ways["llama.cpp Q8_0"] = lambda output: [*llama, "score", gguf, work / "hf", documents, output, str(THREADS)]
    chosen = os.environ.get("WAYS", "").split()
    ways = {name: way for name, way in ways.items() if not chosen or name.split()[0] in ["pair2score", *chosen]}
    if "llama.cpp Q8_0" in ways:
        subprocess.run([*llama, "write", work / "hf", gguf], check=True)
    return ways


def table(runs, scores):
    """The rows, of figures of processes and scores by the name of the way."""
    first = next(iter(runs))
    expected = scores[first]
    print("| | Seconds | Processor seconds | Of ours in f32 | Peak MiB | Pearson with f32 | Largest difference |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, figures in runs.items():
        seconds, processor, peak = zip(*figures)
        ratio = statistics.median(one[1] / ours[1] for one, ours in zip(figures, runs[first]))
        pairs = [(expected[key], scores[name][key]) for key in expected]
        pearson = statistics.correlation(*zip(*pairs))
        largest = max(abs(a - b) for a, b in pairs)
        print(f"| {name} | {cell(seconds)} | {cell(processor)} | {ratio:.2f} | {max(peak):.0f} | {pearson:.5f} "
              f"| {largest:.3f} |")


def main():
    enter("export")
    match sys.argv[1:]:
        case ["--onnxruntime", *rest]:
            return run_onnxruntime(*rest)
        case ["--sentence-transformers", *rest]:
            return run_sentence_transformers(*rest)
        case [path, scorer, essays, *count] if len(count) <= 1:
            binary = program(path)
        case _:
            sys.exit("usage: scripts/bench/score_peers.py PROGRAM SCORER DOCUMENTS [N]")
    with open(essays, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[: int(count[0]) if count else 64]
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        with (work / "documents.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["text_id", "full_text"], extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        exports(binary, scorer, work)
        ways = all_ways(binary, scorer, work)
        runs = {name: [] for name in ways}
        for _ in range(int(os.environ.get("ROUNDS", 3))):
            for name, command in ways.items():
                runs[name].append(measured(command(work / f"{name}.csv")))
                print(name, *(f"{number:.1f}" for number in runs[name][-1]), file=sys.stderr)
        if kept := os.environ.get("LINES"):
            with open(kept, "w", encoding="utf-8") as file:
                for name, figures in runs.items():
                    for seconds, _, peak in figures:
                        line = {"way": name, "documents": len(rows), "seconds": seconds, "peak_mib": peak}
                        print(json.dumps(line), file=file)
        print(f"{len(rows)} documents, {THREADS} threads\n")
        table(runs, {name: read_scores(work / f"{name}.csv") for name in ways})


if __name__ == "__main__":
    main()
