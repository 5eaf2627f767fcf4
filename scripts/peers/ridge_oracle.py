"""Reference values for crates/heads/tests/ridge.rs from scikit-learn.

    python3 scripts/peers/ridge_oracle.py

Writes crates/heads/tests/fixtures/ridge.json: embeddings as an f32 file has them, labels, new embeddings, and for every
penalty that our head tries what a pipeline of StandardScaler and Ridge predicts of the new embeddings, and the squared
leave-one-out errors that RidgeCV finds.
"""

import json
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import ROOT, enter  # noqa: E402

enter("sklearn")

import numpy as np  # noqa: E402
from sklearn.linear_model import Ridge, RidgeCV  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

OUTPUT = ROOT / "crates/heads/tests/fixtures/ridge.json"
PENALTIES = [10 ** (half / 2) for half in range(-4, 13)]


def case(seed, n, d, noise):
    """Embeddings whose components differ by orders of magnitude, as those of a language model do."""
    random = np.random.default_rng(seed)
    scales = 10 ** random.uniform(-1, 2, d)
    draw = lambda rows: (random.normal(size=(rows, d)) * scales + 3 * scales).astype(np.float32)
    x, new = draw(n), draw(5)
    weights = random.normal(size=d) / scales
    y = 3 + 0.3 * (x @ weights - (x @ weights).mean()) + noise * random.normal(size=n)
    predictions = []
    for penalty in PENALTIES:
        predictions.append(make_pipeline(StandardScaler(), Ridge(alpha=penalty)).fit(x.astype(float), y).predict(new.astype(float)).tolist())
    errors = RidgeCV(alphas=PENALTIES, store_cv_results=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        errors.fit(StandardScaler().fit_transform(x.astype(float)), y)
    return {
        "embeddings": x.tolist(),
        "labels": y.tolist(),
        "new": new.tolist(),
        "predictions": predictions,
        "left_out_squares": errors.cv_results_.T.tolist(),
    }


cases = [case(1, 40, 6, 0.5), case(2, 15, 25, 0.5), case(3, 30, 4, 5.0)]
OUTPUT.parent.mkdir(parents=True, exist_ok=True)
OUTPUT.write_text(json.dumps({"penalties": PENALTIES, "cases": cases}) + "\n")
