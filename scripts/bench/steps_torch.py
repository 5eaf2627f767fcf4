#!/usr/bin/env python3
"""The work of `cargo run --example step`, done with PyTorch, transformers and PEFT; prints one line of JSON.

scripts/bench/steps_torch.py SHAPE LENGTHS WORK REPEATS [--form published|careful] [--dtype f32|bf16] [--device cpu|cuda]

published: as the public Python code does it: the language-model head runs, batches are padded, the two sides of the
pairs are encoded in two calls. careful: as someone would write it who knows PyTorch: no head, SDPA, one call for both
sides, frozen weights without gradients. Both have the same weights, documents and losses, and both encode a document
once for each pair that it is in.
"""

import argparse
import json
import os
import resource
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import ROOT, enter  # noqa: E402

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# PYTHON names an interpreter that has the packages already, for example with CUDA.
if "PYTHON" not in os.environ:
    enter("torch")

import torch  # noqa: E402
from peft import LoraConfig, get_peft_model  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM, LlamaModel  # noqa: E402

SHAPES = ROOT / "crates/cli/examples/step/shapes.json"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("shape")
    parser.add_argument("lengths")
    parser.add_argument("work", choices=["forward", "stage1", "stage1_shared", "stage2"])
    parser.add_argument("repeats", type=int)
    parser.add_argument("--form", choices=["published", "careful"], default="careful")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    return parser.parse_args()


def backbone(shapes, args):
    config = LlamaConfig(
        **shapes["shapes"][args.shape],
        max_position_embeddings=512,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        use_cache=False,
    )
    published = args.form == "published"
    if not published:
        config._attn_implementation = "sdpa"
    dtype = torch.bfloat16 if args.dtype == "bf16" else torch.float32
    torch.set_default_dtype(dtype)
    model = (LlamaForCausalLM if published else LlamaModel)(config)
    torch.set_default_dtype(torch.float32)
    # The language-model head has drawn numbers: without this the forms would start from different factors and heads.
    torch.manual_seed(2)
    lora = shapes["lora"]
    adapter = LoraConfig(
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules=lora["targets"],
    )
    # PEFT freezes everything but the factors, which it keeps in f32.
    return get_peft_model(model, adapter).to(args.device), config


class Scorer(torch.nn.Module):
    """A backbone with its adapter, mean pooling and the head of a stage."""

    def __init__(self, model, config, args):
        super().__init__()
        self.model, self.form, self.device = model, args.form, args.device
        d = config.hidden_size
        if args.work == "stage2":
            h = d // 2 if d > 256 else d
            self.head = torch.nn.Sequential(torch.nn.Linear(d, h), torch.nn.ReLU(), torch.nn.Linear(h, 1))
        else:
            self.head = torch.nn.Linear(d, 1, bias=False)
        self.head.to(args.device)

    def pooled(self, documents):
        # The batch is what it is: there are no other documents to group these with by length.
        longest = max(len(document) for document in documents)
        ids = torch.zeros(len(documents), longest, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, document in enumerate(documents):
            start = longest - len(document) if self.form == "published" else 0
            ids[row, start : start + len(document)] = torch.tensor(document)
            mask[row, start : start + len(document)] = 1
        ids, mask = ids.to(self.device), mask.to(self.device)
        if self.form == "published":
            out = self.model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
            hidden = out.hidden_states[-1]
        else:
            hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).float()
        return (hidden.float() * weights).sum(1) / weights.sum(1)

    def forward(self, *calls):
        return [self.head(self.pooled(documents)).squeeze(-1) for documents in calls]


def main():
    args = arguments()
    torch.manual_seed(1)
    shapes = json.loads(SHAPES.read_text())
    model, config = backbone(shapes, args)
    scorer = Scorer(model, config, args)
    vocabulary = config.vocab_size
    documents = [
        [(n * 7919 + i * 104729) % vocabulary for i in range(length)]
        for n, length in enumerate(shapes["lengths"][args.lengths])
    ]
    pairs = shapes["pairs"].get(args.work)
    left, right = ([documents[pair[side]] for pair in pairs or []] for side in (0, 1))
    trainable = [p for p in scorer.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=1e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    scorer.train(args.work != "forward")

    def step():
        if args.work == "forward":
            with torch.no_grad():
                return scorer.pooled(documents).sum().item()
        optimizer.zero_grad()
        if args.work == "stage2":
            (scores,) = scorer(documents)
            loss = (scores - 3.0).abs().mean()
        else:
            if args.form == "published":
                a, b = scorer(left, right)
            else:
                (both,) = scorer(left + right)
                a, b = both[: len(left)], both[len(left) :]
            logits = a - b
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
        loss.backward()
        optimizer.step()
        return loss.item()

    value = step()
    seconds = []
    for _ in range(args.repeats):
        started = time.perf_counter()
        value = step()
        seconds.append(time.perf_counter() - started)
    median = statistics.median(seconds)
    if args.device == "cuda":
        memory = torch.cuda.max_memory_allocated() / 2**20
    else:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            {
                "who": f"torch-{args.form}",
                "device": args.device,
                "shape": args.shape,
                "lengths": args.lengths,
                "work": args.work,
                "weights": args.dtype,
                "seconds": median,
                "tokens_per_second": sum(map(len, left + right if pairs else documents)) / median,
                "peak_mib": memory,
                "value": value,
            }
        )
    )


if __name__ == "__main__":
    main()
