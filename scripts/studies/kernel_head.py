#!/usr/bin/env python3
"""Whether a kernel would order documents better than the ridge, on the same embeddings.

    pair2score embed --input ESSAYS_CSV --backbone DIR --layers 21 --output EMBEDDINGS.safetensors
    python3 scripts/studies/kernel_head.py EMBEDDINGS.safetensors ESSAYS_CSV TRAIT...

ESSAYS_CSV has folds (`pair2score folds`), each of which is held out once. Embeddings are standardised on the training
folds; the strength of every ridge, and the width of the kernel exp(-g |x - y|^2 / 2d), are those with the least
leave-one-out error there. Compared are the linear ridge, the kernel with all training documents, and the kernel with
landmarks (Nystroem), which a scorer could keep. Prints QWK, QWK with the spread of the labels (of leave-one-out
predictions, as `pair2score` calibrates) and Pearson's correlation, means over folds. Grades are 1 to 5 by 0.5.
"""

import csv
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import enter  # noqa: E402

enter("sklearn")

import numpy as np  # noqa: E402
from baseline_tfidf import qwk  # noqa: E402
from sklearn.metrics.pairwise import rbf_kernel  # noqa: E402

STRENGTHS = 10.0 ** np.arange(-3, 3, 0.25)
WIDTHS = [0.05, 0.1, 0.2, 0.4]
LANDMARKS = [200, 400]


def read_embeddings(path):
    """Ids and the matrix of a file of `pair2score embed`."""
    data = Path(path).read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    ids = json.loads(header["__metadata__"]["ids"])
    about = header["embeddings"]
    begin, stop = about["data_offsets"]
    values = np.frombuffer(data[end + begin : end + stop], dtype="<f4")
    return ids, values.reshape(about["shape"]).astype(float)


def left_out(kernel, labels):
    """The least mean squared leave-one-out error over strengths, its strength, and the predictions."""
    values, vectors = np.linalg.eigh(kernel)
    mean = labels.mean()
    turned, squares = vectors.T @ (labels - mean), vectors**2
    best = None
    for strength in STRENGTHS:
        shrink = np.clip(values, 0, None) / (np.clip(values, 0, None) + strength)
        leverage = squares @ shrink + 1 / len(labels)
        errors = (labels - mean - vectors @ (shrink * turned)) / (1 - leverage)
        if best is None or np.mean(errors**2) < best[0]:
            best = np.mean(errors**2), strength, labels - errors
    return best


def reached(train, test, labels, held_out):
    """What a kernel reaches: `train` between training documents, `test` of test and training documents."""
    _, strength, predicted = left_out(train, labels)
    weights = np.linalg.solve(train + strength * np.eye(len(train)), labels - labels.mean())
    scores = labels.mean() + test @ weights
    calibrated = labels.mean() + (scores - predicted.mean()) * labels.std() / predicted.std()
    return qwk(scores, held_out), qwk(calibrated, held_out), np.corrcoef(scores, held_out)[0, 1]


def kernels(train, test, labels):
    """Names and matrices of all that are compared."""
    width = train.shape[1]
    yield "linear", train @ train.T / width, test @ train.T / width
    between = lambda a, b, g: rbf_kernel(a, b, gamma=g / 2 / width)
    g = min(WIDTHS, key=lambda g: left_out(between(train, train, g), labels)[0])
    yield "kernel", between(train, train, g), between(test, train, g)
    for n in LANDMARKS:
        landmarks = train[np.random.default_rng(0).choice(len(train), n, replace=False)]
        values, vectors = np.linalg.eigh(between(landmarks, landmarks, g) + 1e-8 * np.eye(n))
        features = lambda rows: between(rows, landmarks, g) @ (vectors / np.sqrt(values))
        yield f"{n} landmarks", features(train) @ features(train).T, features(test) @ features(train).T


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    ids, embeddings = read_embeddings(sys.argv[1])
    with open(sys.argv[2], newline="", encoding="utf-8") as file:
        rows = {row["text_id"]: row for row in csv.DictReader(file)}
    folds = np.array([rows[one]["fold"] for one in ids])
    for trait in sys.argv[3:]:
        labels = np.array([float(rows[one][trait]) for one in ids])
        found = {}
        for fold in sorted(set(folds)):
            test = folds == fold
            mean, deviation = embeddings[~test].mean(axis=0), embeddings[~test].std(axis=0)
            standard = (embeddings - mean) / deviation
            for name, between, across in kernels(standard[~test], standard[test], labels[~test]):
                found.setdefault(name, []).append(reached(between, across, labels[~test], labels[test]))
        for name, values in found.items():
            plain, calibrated, pearson = np.mean(values, axis=0)
            print(f"{trait}, {name}: QWK {plain:.3f}, calibrated {calibrated:.3f}, Pearson {pearson:.3f}", flush=True)


if __name__ == "__main__":
    main()
