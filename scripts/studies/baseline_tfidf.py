#!/usr/bin/env python3
"""TF-IDF and ridge regression over folds: what a scorer has to beat that never heard of pairs or neural networks.

    python3 scripts/studies/baseline_tfidf.py ESSAYS_CSV OUTPUT_DIR TRAIT...

ESSAYS_CSV has folds (`pair2score folds`). Each fold is held out once. Words (one and two in a row) and characters (two
to five within words) are counted in the training folds; the strength of the ridge and the calibration, which gives the
scores the spread of the labels, come from a division of the training folds in five. Writes a folder for each trait and
fold that `pair2score report` takes as a row, and prints QWK. Grades are 1 to 5 by 0.5.
"""

import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import enter  # noqa: E402

enter("sklearn")

import numpy as np  # noqa: E402
from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: E402
from sklearn.linear_model import Ridge  # noqa: E402
from sklearn.metrics import cohen_kappa_score  # noqa: E402
from sklearn.model_selection import KFold, cross_val_predict  # noqa: E402
from sklearn.pipeline import make_pipeline, make_union  # noqa: E402

STRENGTHS = [0.5, 1, 2, 4, 8]


def grade(scores):
    """The nearest grade, halves up."""
    return 1 + 0.5 * np.floor((np.clip(scores, 1, 5) - 1) / 0.5 + 0.5)


def qwk(scores, labels):
    """Quadratic weighted kappa of the nearest grades."""
    places = lambda values: np.rint((grade(values) - 1) / 0.5).astype(int)
    return cohen_kappa_score(places(scores), places(labels), labels=range(9), weights="quadratic")


def model(strength):
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=True)
    return make_pipeline(make_union(words, characters), Ridge(alpha=strength))


def hold_out(texts, labels, train, test):
    """Scores of the test documents, plain and calibrated."""
    division = KFold(5, shuffle=True, random_state=0)
    inner = {s: cross_val_predict(model(s), texts[train], labels[train], cv=division) for s in STRENGTHS}
    strength = min(STRENGTHS, key=lambda s: np.mean((inner[s] - labels[train]) ** 2))
    scores = model(strength).fit(texts[train], labels[train]).predict(texts[test])
    slope = labels[train].std() / inner[strength].std()
    calibrated = labels[train].mean() + slope * (scores - inner[strength].mean())
    return strength, scores, calibrated


def write(folder, trait, fold, ids, labels, scores, calibrated):
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "test_predictions.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "label", "score", "grade", "calibrated", "calibrated_grade"])
        rows.writerows(zip(ids, labels, scores, grade(scores), calibrated, grade(calibrated)))
    lines = [f"trait: {trait}", f"test_fold: {fold}", "transfer: baseline-tfidf"]
    (folder / "absolute_metrics_info.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    essays, output, traits = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    with open(essays, newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        columns, rows = table.fieldnames or [], list(table)
    missing = [column for column in ("text_id", "full_text", "fold", *traits) if column not in columns]
    if missing:
        sys.exit(f"{essays}: no column {', '.join(missing)}")
    ids, texts, folds = (np.array([row[column] for row in rows]) for column in ("text_id", "full_text", "fold"))
    for trait in traits:
        labels = np.array([float(row[trait]) for row in rows])
        reached = []
        for fold in sorted(set(folds)):
            test = folds == fold
            strength, scores, calibrated = hold_out(texts, labels, ~test, test)
            calibrated = np.clip(calibrated, 1, 5)
            write(output / trait / f"fold_{fold}", trait, fold, ids[test], labels[test], scores, calibrated)
            reached.append([qwk(scores, labels[test]), qwk(calibrated, labels[test])])
            print(f"{trait} {fold}: QWK {reached[-1][0]:.3f}, calibrated {reached[-1][1]:.3f} (ridge {strength})", flush=True)
        means, deviations = np.mean(reached, axis=0), np.std(reached, axis=0, ddof=1)
        print(f"{trait}: QWK {means[0]:.3f} ± {deviations[0]:.3f}, calibrated {means[1]:.3f} ± {deviations[1]:.3f}")


if __name__ == "__main__":
    main()
