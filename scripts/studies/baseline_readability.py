#!/usr/bin/env python3
"""Readability without a neural network: what a scorer of real-valued labels has to beat.

    python3 scripts/studies/baseline_readability.py DOCUMENTS_CSV LABEL TEST_FOLD

DOCUMENTS_CSV has the columns text_id, full_text and fold, and a column of labels. Trains on the other folds and prints R²,
Pearson's correlation, RMSE and MAE on the test fold, for the mean of the labels, a least-squares fit of what the grade
level of Flesch and Kincaid (1975) is made of, words per sentence and syllables per word, and TF-IDF with a ridge
(baseline_tfidf.py).
"""

import csv
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import enter  # noqa: E402

enter("sklearn")

import numpy as np  # noqa: E402
from baseline_tfidf import hold_out  # noqa: E402
from sklearn.linear_model import LinearRegression  # noqa: E402


def syllables(word):
    """Groups of vowels, less a silent e at the end; at least one."""
    groups = re.findall(r"[aeiouy]+", re.sub(r"(?<=[^aeioul])e$", "", word.lower()))
    return max(1, len(groups))


def lengths(text):
    """Words per sentence and syllables per word."""
    words = re.findall(r"[A-Za-z']*[A-Za-z][A-Za-z']*", text)
    sentences = [part for part in re.split(r"[.!?]+(?=\s|$|[\"'”’)])", text) if re.search(r"[A-Za-z]", part)]
    if not words:
        return 0.0, 0.0
    return len(words) / len(sentences), sum(map(syllables, words)) / len(words)


def reached(scores, labels):
    """R², Pearson's correlation, RMSE, MAE."""
    errors = scores - labels
    r2 = 1 - np.mean(errors**2) / labels.var()
    pearson = np.corrcoef(scores, labels)[0, 1] if scores.std() > 0 else float("nan")
    return r2, pearson, np.sqrt(np.mean(errors**2)), np.mean(np.abs(errors))


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    path, label, test_fold = sys.argv[1:]
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    missing = [column for column in ("full_text", "fold", label) if not rows or column not in rows[0]]
    if missing:
        sys.exit(f"{path}: no column {', '.join(missing)}")
    texts = np.array([row["full_text"] for row in rows])
    labels = np.array([float(row[label]) for row in rows])
    test = np.array([row["fold"] == test_fold for row in rows])
    if not test.any() or test.all():
        sys.exit(f"{path}: fold {test_fold} has no document, or all of them")
    inputs = np.array([lengths(text) for text in texts])
    fitted = LinearRegression().fit(inputs[~test], labels[~test])
    rows = {
        "mean of the labels": np.full(test.sum(), labels[~test].mean()),
        "Flesch-Kincaid inputs": fitted.predict(inputs[test]),
        "TF-IDF and ridge": hold_out(texts, labels, ~test, test)[1],
    }
    for name, scores in rows.items():
        r2, pearson, rmse, mae = reached(scores, labels[test])
        print(f"{name}: R2 {r2:.3f}, Pearson {pearson:.3f}, RMSE {rmse:.3f}, MAE {mae:.3f}")


if __name__ == "__main__":
    main()
