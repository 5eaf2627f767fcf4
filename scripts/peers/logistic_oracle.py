"""Reference values for the joint head of crates/heads from scikit-learn.

    python3 -m venv "${XDG_CACHE_HOME:-$HOME/.cache}/pair2score/ridge"
    "${XDG_CACHE_HOME:-$HOME/.cache}/pair2score/ridge/bin/pip" install numpy==2.4.6 scikit-learn==1.9.1
    "${XDG_CACHE_HOME:-$HOME/.cache}/pair2score/ridge/bin/python" scripts/peers/logistic_oracle.py

Writes crates/heads/tests/fixtures/logistic.json: documents, judgements with weights and ties, and the weights of a
logistic regression on differences of documents without an intercept. A tie is two opposite answers of half its weight.
"""

import json
import pathlib

import numpy as np
from sklearn.linear_model import LogisticRegression

OUTPUT = pathlib.Path(__file__).parent.parent.parent / "crates/heads/tests/fixtures/logistic.json"
VARIANCE = 0.5

random = np.random.default_rng(7)
x = random.normal(size=(25, 4))
utilities = x @ np.array([1.0, -0.5, 0.3, 0.0])
judgements, rows, answers, weights = [], [], [], []
while len(judgements) < 80:
    a, b = (int(place) for place in random.integers(25, size=2))
    if a == b:
        continue
    weight = float(random.choice([0.5, 1.0, 2.0]))
    y = 0.5 if random.random() < 0.15 else float(random.random() < 1 / (1 + np.exp(utilities[b] - utilities[a])))
    judgements.append([a, b, y, weight])
    for answer in (0, 1):
        share = y if answer else 1 - y
        if share > 0:
            rows.append(x[a] - x[b])
            answers.append(answer)
            weights.append(weight * share)
model = LogisticRegression(C=VARIANCE, fit_intercept=False, tol=1e-12, max_iter=10_000)
model.fit(np.array(rows), answers, sample_weight=weights)
OUTPUT.write_text(json.dumps({"x": x.tolist(), "judgements": judgements, "variance": VARIANCE, "weights": model.coef_[0].tolist()}) + "\n")
