#!/usr/bin/env python3
"""Exports the ready scorer to ONNX and runs it in onnxruntime.

    python3 scripts/peers/onnx_check.py [PROGRAM]

onnxruntime shares nothing with the program but the format. The texts and the scores that they must get are the golden
ones of export/bundle; the largest difference may be what the export itself was held to. `onnx.checker` reads every file
first. Exit code 1 when a score differs. The packages (60 MB) go into a virtual environment in the cache.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import ROOT, enter, program  # noqa: E402

BUNDLE = ROOT / "export/bundle"
BATCH = 8


def batches(rows):
    """Places of rows in batches, as they come: short and long ones together, so that there is padding."""
    return [range(start, min(start + BATCH, len(rows))) for start in range(0, len(rows), BATCH)]


def scores(folder, texts):
    """The scores of each text, one for each trait, that onnxruntime computes with an exported folder."""
    import numpy
    import onnx
    import onnxruntime
    from tokenizers import Tokenizer

    path = str(folder / "onnx" / "model.onnx")
    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    pad = int(session.get_modelmeta().custom_metadata_map["pad_token_id"])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    rows = [tokenizer.encode(text).ids or [pad] for text in texts]
    found = []
    for number, places in enumerate(batches(rows)):
        length = max(len(rows[i]) for i in places)
        ids = numpy.full((len(places), length), pad, dtype=numpy.int64)
        mask = numpy.zeros_like(ids)
        for row, i in enumerate(places):
            # Padding on either side, in turns.
            start = length - len(rows[i]) if number % 2 else 0
            ids[row, start : start + len(rows[i])] = rows[i]
            mask[row, start : start + len(rows[i])] = 1
        score, embedding = session.run(["score", "embedding"], {"input_ids": ids, "attention_mask": mask})
        assert score.shape[0] == embedding.shape[0] == len(places)
        # Of one trait it is a vector.
        found += score.reshape(len(places), -1).tolist()
    return found


def main():
    enter("onnx")
    binary = program(*sys.argv[1:])
    golden = json.loads((BUNDLE / "manifest.json").read_text())["golden"]
    failed = False
    with tempfile.TemporaryDirectory() as work:
        for dtype in ("f32", "f16"):
            folder = Path(work) / dtype
            command = [binary, "export", "--scorer", BUNDLE, "--format", "onnx", "--dtype", dtype, "--output", folder]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            tolerance = json.loads((folder / "pair2score_export.json").read_text())["score_differences"]["tolerance"]
            found = scores(folder, [case["text"] for case in golden])
            apart = [abs(a - case["score"]) for [a], case in zip(found, golden, strict=True)]
            # A number that is none compares false, and fails.
            passes = all(difference <= tolerance for difference in apart)
            failed |= not passes
            print(f"{dtype}: {len(apart)} scores, largest difference {max(apart):.1e} of {tolerance:.1e} allowed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
