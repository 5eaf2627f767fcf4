#!/usr/bin/env python3
"""Seconds per text in a browser: our page against onnxruntime-web with the same scorer, in one run, in turns.

    cargo build --release -p pair2score-cli && scripts/web.sh
    python3 scripts/bench/browser.py [--shapes demo smollm2-135m] [--backends cpu webgpu] [--runs 3]
    python3 scripts/bench/browser.py --scorer checkpoints/mine --documents essays.csv [--texts 30] [--runs 3]

The first form makes scorers with random weights and scores texts of 500 tokens, with one thread on both sides. Prints a row
per shape and backend: milliseconds of both, their ratio, and the largest difference of the scores. Exit code 1 when scores
differ by more than 0.001.

The second takes a scorer and the column full_text of a CSV file, on the processor: one text as long as the scorer reads,
and a class of the first TEXTS. Ours is the page, in f32 and from a q8 bundle; onnxruntime-web is isolated and has as many
threads as there are cores, in f32 and with what `quantize_dynamic` makes of it. Prints the seconds of each way (median and
range), how many times as long as ours in f32 and in q8 it takes, and how far its score of the one text is from ours in f32.
Loading and, of theirs, tokenising do not count.

Python packages come as for scripts/peers/onnx_check.py, onnxruntime-web from npm, both into the cache.
"""

import argparse
import csv
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import CACHE, ROOT, TARGET, enter  # noqa: E402

NPM = CACHE / "browser_bench"
ONNXRUNTIME_WEB = "1.30.0"
TOKENS = 500
# Both compute in f32; what differs is the order of sums.
TOLERANCE = 1e-3
SHAPES = {
    "demo": None,
    "smollm2-135m": {
        "hidden_size": 576,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "head_dim": 64,
        "intermediate_size": 1536,
        "vocab_size": 49152,
    },
}


def save_file(tensors, path):
    """Arrays in f32 as a safetensors file."""
    header, start = {"__metadata__": {"format": "pt"}}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": values.shape, "data_offsets": [start, start + values.nbytes]}
        start += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for values in tensors.values():
            file.write(values.tobytes())


def make_scorer(folder, shape, seed=1):
    """An untrained scorer in Hugging Face layout, with the tokenizer of the ready one."""
    import numpy as np

    manifest = json.loads((ROOT / "export" / "bundle" / "manifest.json").read_text())
    config = {**manifest["config"], **(shape or {}), "max_position_embeddings": 2048}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_bytes((ROOT / "export" / "bundle" / "tokenizer.json").read_bytes())
    (folder / "tokenizer_config.json").write_text(json.dumps(manifest["tokenizer"]["config"]))

    rng = np.random.default_rng(seed)
    normal = lambda *shape, std=0.02: rng.normal(0, std, shape).astype(np.float32)
    d, f = config["hidden_size"], config["intermediate_size"]
    heads, kv, head = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]
    tensors = {"model.embed_tokens.weight": normal(config["vocab_size"], d, std=1.0), "model.norm.weight": np.ones(d, np.float32)}
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        for name, out, inputs in [
            ("self_attn.q_proj", heads * head, d),
            ("self_attn.k_proj", kv * head, d),
            ("self_attn.v_proj", kv * head, d),
            ("self_attn.o_proj", d, heads * head),
            ("mlp.gate_proj", f, d),
            ("mlp.up_proj", f, d),
            ("mlp.down_proj", d, f),
        ]:
            tensors[f"{layer}.{name}.weight"] = normal(out, inputs, std=inputs**-0.5)
        for name in ["input_layernorm", "post_attention_layernorm"]:
            tensors[f"{layer}.{name}.weight"] = np.ones(d, np.float32)
    save_file(tensors, folder / "model.safetensors")
    width = d // 2 if d > 256 else d
    head = {
        "0.weight": normal(width, d, std=d**-0.5),
        "0.bias": normal(width),
        "2.weight": normal(1, width, std=width**-0.5),
        "2.bias": np.array([3.0], np.float32),
    }
    save_file(head, folder / "head.safetensors")
    settings = {**manifest["scorer"], "backbone": ".", "max_length": TOKENS, "relative": None}
    settings["score"] = {"adapters": [], "fusion": False, "head": "head.safetensors", "link": {"kind": "identity"}}
    (folder / "scorer.json").write_text(json.dumps(settings))


def texts_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return [row["full_text"] for row in csv.DictReader(file)]


def long_texts(n):
    """Texts of the demonstration, each long enough to be cut."""
    texts = texts_of(ROOT / "data" / "demo" / "essays.csv")
    return [" ".join(texts[i * 12 : (i + 1) * 12]) for i in range(n)]


def export(binary, scorer, output, *options):
    command = [binary, "export", "--scorer", scorer, "--output", output, *options]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return str(output)


def measured(work, binary, **job):
    """What web/scripts/bench.mjs says of a job."""
    path = Path(work) / "job.json"
    job = {"rounds": 0, "binary": str(binary), "runtime": str(NPM / "node_modules" / "onnxruntime-web" / "dist"), **job}
    path.write_text(json.dumps(job))
    command = ["node", ROOT / "web" / "scripts" / "bench.mjs", path]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def compare_shapes(arguments, work):
    """Whether scores differ by more than they may."""
    from tokenizers import Tokenizer

    texts = long_texts(arguments.runs)
    differs = False
    print(f"{'shape':<14}{'backend':<9}{'ours ms':>10}{'onnxruntime-web ms':>20}{'ratio':>8}{'difference':>12}", flush=True)
    for shape in arguments.shapes:
        folder = Path(work) / shape
        make_scorer(folder, SHAPES[shape])
        site = export(arguments.binary, folder, folder / "web", "--format", "web", "--page", ROOT / "web" / "dist")
        onnx = export(arguments.binary, folder, folder / "onnx", "--format", "onnx")
        tokenizer = Tokenizer.from_file(f"{onnx}/tokenizer.json")
        ids = [tokenizer.encode(text).ids for text in texts]
        assert all(len(of_text) == TOKENS for of_text in ids), [len(of_text) for of_text in ids]
        ways = {"ours": {"site": site}, "theirs": {"model": f"{onnx}/onnx/model.onnx", "threads": 1}}
        for backend in arguments.backends:
            rows = measured(work, arguments.binary, backend=backend, ways=ways, texts=texts, ids=ids)["rows"]
            ours, theirs = (statistics.mean(row[who]["ms"] for row in rows) for who in ways)
            difference = max(abs(row["ours"]["score"] - row["theirs"]["score"]) for row in rows)
            differs |= difference > TOLERANCE
            print(
                f"{shape:<14}{backend:<9}{ours:>10.0f}{theirs:>20.0f}{theirs / ours:>8.2f}{difference:>12.1e}",
                flush=True,
            )
    return differs


def compare_class(arguments, work):
    """Ours and theirs in f32 and in 8 bits: one text, and a class."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from tokenizers import Tokenizer

    work, page = Path(work), ["--format", "web", "--page", ROOT / "web" / "dist"]
    onnx = export(arguments.binary, arguments.scorer, work / "onnx", "--format", "onnx")
    model, small = f"{onnx}/onnx/model.onnx", f"{onnx}/onnx/int8.onnx"
    quantize_dynamic(model, small, weight_type=QuantType.QInt8)
    threads = os.cpu_count()
    ways = {
        "the page, f32": {"site": export(arguments.binary, arguments.scorer, work / "f32", *page)},
        "the page, q8": {"site": export(arguments.binary, arguments.scorer, work / "q8", *page, "--quantize", "q8")},
        "onnxruntime-web, f32": {"model": model, "threads": threads},
        "onnxruntime-web, int8": {"model": small, "threads": threads},
    }
    tokenizer = Tokenizer.from_file(f"{onnx}/tokenizer.json")
    texts = texts_of(arguments.documents)
    ids = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    longest = max(range(len(ids)), key=lambda place: len(ids[place]))
    some = {"texts": texts[: arguments.texts], "ids": ids[: arguments.texts]}
    single = {"texts": [texts[longest]] * arguments.runs, "ids": [ids[longest]] * arguments.runs}
    found = measured(work, arguments.binary, backend="cpu", ways=ways, **{"class": some}, rounds=arguments.runs, **single)
    tokens = sum(map(len, some["ids"]))
    print(f"one text of {len(ids[longest])} tokens; a class of {len(some['texts'])} with {tokens}; {threads} cores\n")
    print("| | One text, s | of ours f32, q8 | Class, s | of ours f32, q8 | Difference |")
    print("|---|---:|---:|---:|---:|---:|")
    first, second = list(ways)[:2]
    seconds = {
        way: ([row[way]["ms"] / 1000 for row in found["rows"]], [row[way] / 1000 for row in found["classes"]]) for way in ways
    }
    for way in ways:
        cells = []
        for kind in range(2):
            values = seconds[way][kind]
            ratios = [
                statistics.median(a / b for a, b in zip(values, seconds[base][kind])) for base in (first, second)
            ]
            cells.append(f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})")
            cells.append(", ".join(f"{ratio:.2f}" for ratio in ratios))
        difference = abs(found["rows"][0][way]["score"] - found["rows"][0][first]["score"])
        print(f"| {way} | {' | '.join(cells)} | {difference:.1e} |")
    return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--backends", nargs="+", choices=["cpu", "webgpu"], default=["cpu", "webgpu"])
    parser.add_argument("--scorer", type=Path, help="a trained scorer, instead of shapes")
    parser.add_argument("--documents", type=Path, help="texts for it, in the column full_text")
    parser.add_argument("--texts", type=int, default=30, help="texts of the class")
    parser.add_argument("--runs", type=int, default=3, help="texts per shape and backend, or rounds")
    parser.add_argument("--binary", type=Path, default=TARGET / "release" / "pair2score")
    arguments = parser.parse_args()
    if (arguments.scorer is None) != (arguments.documents is None):
        parser.error("--scorer and --documents belong together")
    enter("onnx", HF_HUB_OFFLINE="1")
    if not (NPM / "node_modules" / "onnxruntime-web" / "package.json").is_file():
        NPM.mkdir(parents=True, exist_ok=True)
        package = f"onnxruntime-web@{ONNXRUNTIME_WEB}"
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--prefix", NPM, package], check=True)
    with tempfile.TemporaryDirectory() as work:
        sys.exit(int((compare_shapes if arguments.scorer is None else compare_class)(arguments, work)))


if __name__ == "__main__":
    main()
