#!/usr/bin/env python3
"""Seconds per 500-token text in a browser: our page against onnxruntime-web with the same scorer, in one run.

    cargo build --release -p pair2score-cli && scripts/web.sh
    python3 scripts/bench/browser.py [--shapes demo smollm2-135m] [--backends cpu webgpu] [--runs 3]

Makes scorers with random weights, exports each as a site and as ONNX, and lets Chromium score the same texts with both,
in turns. onnxruntime-web runs with one thread, as our page does. Prints a row per shape and backend: milliseconds of
both, their ratio, and the largest difference of the scores. Exit code 1 when scores differ by more than 0.001.

Python packages come as for scripts/peers/export_check.py, onnxruntime-web from npm, both into the cache.
"""

import argparse
import json
import os
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


def make_scorer(folder, shape, seed=1):
    """An untrained scorer in Hugging Face layout, with the tokenizer of the ready one."""
    import numpy as np
    from safetensors.numpy import save_file

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
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
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


def long_texts(n):
    """Texts of the demonstration, each long enough to be cut."""
    import csv

    with open(ROOT / "data" / "demo" / "essays.csv", newline="") as file:
        texts = [row["full_text"] for row in csv.DictReader(file)]
    return [" ".join(texts[i * 12 : (i + 1) * 12]) for i in range(n)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--backends", nargs="+", choices=["cpu", "webgpu"], default=["cpu", "webgpu"])
    parser.add_argument("--runs", type=int, default=3, help="texts per shape and backend")
    parser.add_argument("--binary", type=Path, default=TARGET / "release" / "pair2score")
    arguments = parser.parse_args()
    enter("export", HF_HUB_OFFLINE="1")
    from tokenizers import Tokenizer

    if not (NPM / "node_modules" / "onnxruntime-web" / "package.json").is_file():
        NPM.mkdir(parents=True, exist_ok=True)
        package = f"onnxruntime-web@{ONNXRUNTIME_WEB}"
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--prefix", NPM, package], check=True)

    texts = long_texts(arguments.runs)
    differs = False
    print(f"{'shape':<14}{'backend':<9}{'ours ms':>10}{'onnxruntime-web ms':>20}{'ratio':>8}{'difference':>12}", flush=True)
    with tempfile.TemporaryDirectory() as work:
        for shape in arguments.shapes:
            folder = Path(work) / shape
            make_scorer(folder, SHAPES[shape])
            for form, more in [("web", ["--page", ROOT / "web" / "dist"]), ("onnx", [])]:
                command = [arguments.binary, "export", "--scorer", folder, "--format", form, "--output", folder / form]
                export = subprocess.run([*command, *more], capture_output=True, text=True)
                if export.returncode != 0:
                    sys.exit(export.stderr)
            tokenizer = Tokenizer.from_file(str(folder / "onnx" / "tokenizer.json"))
            job = {
                "binary": str(arguments.binary),
                "site": str(folder / "web"),
                "onnx": str(folder / "onnx"),
                "runtime": str(NPM / "node_modules" / "onnxruntime-web" / "dist"),
                "texts": texts,
                "ids": [tokenizer.encode(text).ids for text in texts],
            }
            assert all(len(ids) == TOKENS for ids in job["ids"]), [len(ids) for ids in job["ids"]]
            for backend in arguments.backends:
                path = Path(work) / "job.json"
                path.write_text(json.dumps({**job, "backend": backend}))
                script = ROOT / "web" / "scripts" / "bench.mjs"
                lines = subprocess.run(["node", script, path], check=True, stdout=subprocess.PIPE, text=True).stdout
                rows = json.loads(lines)
                ours, theirs = (sum(row[who]["ms"] for row in rows) / len(rows) for who in ("ours", "theirs"))
                difference = max(abs(row["ours"]["score"] - row["theirs"]["score"]) for row in rows)
                differs |= difference > TOLERANCE
                print(
                    f"{shape:<14}{backend:<9}{ours:>10.0f}{theirs:>20.0f}{theirs / ours:>8.2f}{difference:>12.1e}",
                    flush=True,
                )
    sys.exit(int(differs))


if __name__ == "__main__":
    main()
