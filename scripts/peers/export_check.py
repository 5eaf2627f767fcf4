#!/usr/bin/env python3
"""Scores texts with exported folders in the programs they are for, and compares with `pair2score score`.

    cargo build --release -p pair2score-cli
    python3 scripts/peers/export_check.py --scorer demo/checkpoints/labels_and_pairs EXPORT...

Prints one row per folder and program: largest and mean difference from the trained scorer on the CPU. Exit code 1 when
a difference is above the tolerance that the export itself was held to, 2 when a program fails.

The programs (about 6 GB with PyTorch) go into a virtual environment in ${XDG_CACHE_HOME:-~/.cache}/pair2score/export
on the first run, from PyPI. No model and no data is downloaded.
"""

import argparse
import csv
import json
import math
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import ROOT, TARGET, enter  # noqa: E402
import onnx_check  # noqa: E402

BATCH = onnx_check.BATCH

# Texts that are no essays; with them come essays and one that is longer than the scorer reads.
ODD = [
    "",
    " leading and trailing blanks ",
    "a",
    "Yes.",
    "First line.\n\nSecond paragraph,\twith a tab.",
    "Der Fluß fließt über die Straße – täglich.",
    "Нет ничего лучше хорошей книги.",
    "这是一篇很短的作文。",
    "هذا نص قصير جدا.",
    "🙂👩‍👩‍👧 e\u0301",
    "He said <|end_of_text|> and left.",
]


class Reference:
    """The trained scorer on the CPU, through the command line."""

    def __init__(self, binary, scorer, texts, work):
        self.binary, self.texts, self.work = binary, texts, Path(work)
        self.input = self.work / "texts.jsonl"
        lines = [json.dumps({"id": str(i), "text": text}) for i, text in enumerate(texts)]
        self.input.write_text("\n".join(lines) + "\n")
        self.scores = self.score(scorer)
        self.pairs = [(i, i + 1) for i in range(len(texts) - 6, len(texts) - 1, 2)]
        self.utilities = [self.compare(scorer, pair) for pair in self.pairs]

    def score(self, scorer, device="cpu"):
        """The scores of each text, one for each trait."""
        output = self.work / "scores.csv"
        self.run("score", "--scorer", scorer, "--input", self.input, "--output", output, device=device)
        with open(output, newline="") as file:
            table = csv.DictReader(file)
            columns = table.fieldnames
            self.traits = [name for name in columns if name == "score" or f"{name}_grade" in columns]
            return [[float(row[name]) for name in self.traits] for row in table]

    def compare(self, scorer, pair):
        """The utilities of two texts, for each trait."""
        files = [self.work / "a.txt", self.work / "b.txt"]
        for file, place in zip(files, pair):
            file.write_text(self.texts[place])
        answer = json.loads(self.run("compare", "--scorer", scorer, *files, "--json"))
        traits = answer if isinstance(answer, list) else [answer]
        return [[trait["utilities"][side] for trait in traits] for side in (0, 1)]

    def run(self, *args, device="cpu"):
        command = [self.binary, *args, "--device", device]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


class Transformers:
    """`AutoModel` and `AutoTokenizer` on an hf folder, with the heads of the folder in plain PyTorch."""

    def __init__(self, folder):
        from safetensors.torch import load_file
        from transformers import AutoModel, AutoTokenizer

        self.folder = folder
        self.settings = json.loads((folder / "scorer.json").read_text())
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModel.from_pretrained(folder).eval()
        heads = lambda files: [load_file(folder / file) for file in files if file]
        traits = self.settings["traits"]
        self.score_heads = heads(trait["score"]["head"] for trait in traits)
        self.utility_heads = heads(trait.get("relative") for trait in traits)

    def tokens(self, texts):
        encoded = self.tokenizer(texts, truncation=True, max_length=self.settings["max_length"])["input_ids"]
        # A text without tokens is one pad token, as in the scorer.
        return [ids or [self.tokenizer.pad_token_id] for ids in encoded]

    def embed(self, model, rows):
        import torch

        pad = self.tokenizer.pad_token_id
        pooled = []
        for places in onnx_check.batches(rows):
            length = max(len(rows[i]) for i in places)
            ids = torch.tensor([rows[i] + [pad] * (length - len(rows[i])) for i in places])
            mask = torch.tensor([[1] * len(rows[i]) + [0] * (length - len(rows[i])) for i in places])
            with torch.no_grad():
                output = model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
            # Read between the layers, or after the final norm.
            between = not self.settings.get("final_norm", True)
            hidden = output.hidden_states[self.settings["layers"]] if between else output.last_hidden_state
            hidden = hidden.float()
            if self.settings["pooling"] == "last":
                pooled.append(hidden[torch.arange(len(places)), mask.sum(1) - 1])
            else:
                pooled.append((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))
        return torch.cat(pooled)

    def scores(self, texts):
        import torch

        rows = self.tokens(texts)
        embedding = self.embed(self.model, rows)
        if self.settings["score"]["fusion"]:
            embedding = torch.cat([embedding, self.stage1(rows)], 1)
        links = [trait["score"]["link"] for trait in self.settings["traits"]]
        columns = [self.score(embedding, head, link) for head, link in zip(self.score_heads, links, strict=True)]
        return torch.stack(columns, 1).tolist()

    def score(self, embedding, head, link):
        import torch

        hidden = torch.relu(embedding @ head["0.weight"].T + head["0.bias"])
        output = hidden @ head["2.weight"].T + head["2.bias"]
        if link["kind"] == "cumulative":
            return link["min"] + link["step"] * torch.sigmoid(output).sum(1)
        if link["kind"] == "expected":
            grades = torch.arange(link["grades"], dtype=torch.float32)
            return link["min"] + link["step"] * (torch.softmax(output, 1) * grades).sum(1)
        return output[:, 0]

    def stage1(self, rows):
        adapter = self.settings["relative"]["adapter"]
        if adapter is None:
            return self.embed(self.model, rows)
        from peft import PeftModel
        from transformers import AutoModel

        # PEFT changes the model it is given.
        model = AutoModel.from_pretrained(self.folder)
        return self.embed(PeftModel.from_pretrained(model, self.folder / adapter).eval(), rows)

    def utilities(self, texts):
        import torch

        embedding = self.stage1(self.tokens(texts))
        return torch.cat([embedding @ head["weight"].T for head in self.utility_heads], 1).tolist()


def sentence_transformers_scores(folder, texts):
    from sentence_transformers import SentenceTransformer

    output = SentenceTransformer(str(folder), device="cpu").encode(texts, batch_size=BATCH)
    assert output.shape[0] == len(texts) and output.ndim == 2, output.shape
    return output.tolist()


def version(package):
    from importlib.metadata import version as installed

    return f"{package} {installed(package)}"


def within(scales, scores):
    """Beyond its scale a score says no more than that it is beyond: a linear head gives a single letter -18 of 1 to 5."""
    clamp = lambda score, scale: min(max(score, scale["min"]), scale["max"]) if math.isfinite(score) else score
    return [[clamp(score, scale) for score, scale in zip(row, scales, strict=True)] for row in scores]


def checks(folder, reference, devices):
    """Name of a program, its numbers for each text, ours, and the tolerance, for each that loads this folder."""
    marker = json.loads((folder / "pair2score_export.json").read_text())
    tolerance = marker["score_differences"]["tolerance"]
    if marker["format"] in ["hf", "web"]:
        yield marker, "pair2score", reference.score(folder), reference.scores, tolerance
        for device in devices:
            yield marker, f"pair2score on {device}", reference.score(folder, device), reference.scores, tolerance
    if marker["format"] == "hf":
        model = Transformers(folder)
        yield marker, version("transformers"), model.scores(reference.texts), reference.scores, tolerance
        if marker["utility_differences"]:
            texts = [reference.texts[i] for pair in reference.pairs for i in pair]
            ours = [row for pair in reference.utilities for row in pair]
            tolerance = marker["utility_differences"]["tolerance"]
            yield marker, version("peft") + ", utilities", model.utilities(texts), ours, tolerance
    elif marker["format"] == "sentence-transformers":
        # Where a tokenizer adds no token of its own, an empty text has none there, and one of padding in the scorer.
        texts, ours = zip(*[pair for pair in zip(reference.texts, reference.scores, strict=True) if pair[0]])
        scores = sentence_transformers_scores(folder, list(texts))
        yield marker, version("sentence-transformers"), scores, list(ours), tolerance
    elif marker["format"] == "onnx":
        scores = onnx_check.scores(folder, reference.texts)
        yield marker, version("onnxruntime"), scores, reference.scores, tolerance
    elif marker["format"] != "web":
        print(f"{folder}: nothing here loads the format {marker['format']}", file=sys.stderr)


def rows(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def texts(path, column, n):
    essays = [row[column] for row in rows(path)]
    step = max(1, len(essays) // n)
    return ODD + [" ".join(essays[:12])] + essays[::step][:n]


def qwk(scores, labels, scale):
    """Quadratic weighted kappa of the nearest grades (Cohen 1968)."""
    import numpy

    last = round((scale["max"] - scale["min"]) / scale["step"])
    place = lambda values: numpy.clip(numpy.floor((numpy.array(values) - scale["min"]) / scale["step"] + 0.5), 0, last)
    a, b = place(scores), place(labels)
    by_chance = ((a[:, None] - b[None, :]) ** 2).mean()
    return 1 - ((a - b) ** 2).mean() / by_chance


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scorer", type=Path, required=True, help="the trained scorer")
    parser.add_argument("--input", type=Path, default=ROOT / "data/demo/essays.csv", help="CSV file of essays")
    parser.add_argument("--text-col", default="full_text")
    parser.add_argument("--essays", type=int, default=40, help="how many essays to take, evenly spread")
    parser.add_argument("--trait", help="column of human scores: takes all essays and nothing else, and prints QWK")
    parser.add_argument("--binary", type=Path, default=TARGET / "release/pair2score")
    parser.add_argument("--devices", nargs="*", default=[], help="also score hf and web folders here: cuda, wgpu")
    parser.add_argument("exports", type=Path, nargs="+", help="folders that `pair2score export` wrote")
    args = parser.parse_args()
    # The programs must not ask a model hub for anything.
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    enter("export", **offline, TOKENIZERS_PARALLELISM="false", TQDM_DISABLE="1")

    failed = False
    settings = next(path for path in args.scorer.rglob("scorer.json") if "relative" not in path.parts)
    traits = json.loads(settings.read_text())["traits"]
    scales = [trait["scale"] for trait in traits]
    with tempfile.TemporaryDirectory() as work:
        kappa = lambda scores: ""
        if args.trait:
            taken = [row[args.text_col] for row in rows(args.input)]
            labels = [float(row[args.trait]) for row in rows(args.input)]
            place = next(place for place, trait in enumerate(traits) if trait["target"] == args.trait)
            of_trait = lambda scores: qwk([row[place] for row in scores], labels, traits[place]["scale"])
            kappa = lambda scores: f" QWK {of_trait(scores):.4f} |" if len(scores) == len(labels) else " |"
        else:
            taken = texts(args.input, args.text_col, args.essays)
        reference = Reference(args.binary, args.scorer, taken, work)
        print("| export | dtype | loaded by | numbers | largest difference | mean difference | tolerance |")
        print("|---|---|---|---:|---:|---:|---:|")
        if args.trait:
            print(f"| trained scorer | | pair2score | {len(taken)} | | | |{kappa(reference.scores)}")
        for folder in args.exports:
            for marker, program, theirs, ours, tolerance in checks(folder.resolve(), reference, args.devices):
                if "utilities" not in program:
                    theirs, ours = within(scales, theirs), within(scales, ours)
                rows_of_both = zip(theirs, ours, strict=True)
                apart = [abs(a - b) for row in rows_of_both for a, b in zip(*row, strict=True)]
                # A number that is none compares false, and fails.
                passes = all(difference <= tolerance for difference in apart)
                failed |= not passes
                print(
                    f"| {marker['format']} | {marker['quantize'] or marker['dtype']} | {program} | {len(apart)} "
                    f"| {max(apart):.1e} | {sum(apart) / len(apart):.1e} "
                    f"| {tolerance:.1e}{'' if passes else ' **exceeded**'} |{kappa(theirs)}",
                    flush=True,
                )
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Exception:
        # Which program failed, and where in it, is what one wants to know here.
        traceback.print_exc()
        sys.exit(2)
