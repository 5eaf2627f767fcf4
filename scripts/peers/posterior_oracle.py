"""Reference values of the posterior of utilities with features, for crates/data/tests/posterior.rs.

    python3 scripts/peers/posterior_oracle.py

Writes crates/data/tests/fixtures/posterior.json. What is computed by whom, for given variances:

- Utilities with what texts tell, without ties: scikit-learn's GaussianProcessClassifier (Laplace's approximation), whose
  latent function is the difference of two utilities
- Utilities with a scorer, texts, ties and weights: numpy, as a Gaussian process with a dense covariance among documents,
  which has neither coefficients nor a border (Rasmussen and Williams 2006, section 3.4)
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import ROOT, enter  # noqa: E402

enter("judgements")

import numpy as np  # noqa: E402
from sklearn.gaussian_process import GaussianProcessClassifier  # noqa: E402
from sklearn.gaussian_process.kernels import DotProduct  # noqa: E402

OUTPUT = ROOT / "crates/data/tests/fixtures/posterior.json"
TIE_SD = 3.0
SCORER_MEAN, SCORER_SD = 1.4, 1.0


def standardised(rows):
    deviation = rows.std(axis=0)
    return (rows - rows.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)


def prior(predictions, embeddings, prior_sd, text_sd):
    """Mean and covariance of the utilities."""
    n = len(predictions if predictions is not None else embeddings)
    mean, covariance = np.zeros(n), prior_sd**2 * np.eye(n)
    if predictions is not None:
        said = standardised(predictions)
        mean = SCORER_MEAN * said
        covariance = covariance + SCORER_SD**2 * np.outer(said, said)
    if embeddings is not None:
        x = standardised(embeddings)
        covariance = covariance + text_sd**2 * (x @ x.T) / x.shape[1]
    return mean, covariance


def chances(d, nu):
    strength = np.exp(d)
    total = strength + 1.0 + nu * np.sqrt(strength)
    return np.array([strength / total, nu * np.sqrt(strength) / total, 1.0 / total])


def derivatives(n, rows, weights, u, log_nu):
    """Gradient and negative Hessian of the log-likelihood in (u, ln nu)."""
    gradient, information = np.zeros(n + 1), np.zeros((n + 1, n + 1))
    for (a, b, y), weight in zip(rows, weights):
        p = chances(u[a] - u[b], np.exp(log_nu))
        # The answer's score and whether it is a tie are the statistics of an exponential family.
        statistics = np.array([[1.0, 0.0], [0.5, 1.0], [0.0, 0.0]])
        expected = p @ statistics
        covariance = (statistics - expected).T @ (p[:, None] * (statistics - expected))
        direction = np.zeros((n + 1, 2))
        direction[a, 0], direction[b, 0], direction[n, 1] = 1.0, -1.0, 1.0
        gradient += weight * direction @ (np.array([y, float(y == 0.5)]) - expected)
        information += weight * direction @ covariance @ direction.T
    return gradient, information


def dense(rng, n, d, count, prior_sd, text_sd, nu, scorer, texts, weighted):
    embeddings = None
    if texts:
        embeddings = rng.normal(0, 1, (n, d)) * rng.uniform(0.2, 3.0, d) + rng.normal(0, 2, d)
        embeddings = np.float32(embeddings).astype(float)
    predictions = rng.normal(3, 0.6, n) if scorer else None
    mean, covariance = prior(predictions, embeddings, prior_sd, text_sd)
    truth = rng.multivariate_normal(mean, covariance)
    rows = []
    # The last three documents are never judged.
    for _ in range(count):
        a, b = (int(x) for x in rng.choice(n - 3, 2, replace=False))
        draw, p = rng.random(), chances(truth[a] - truth[b], nu)
        rows.append([a, b, 1.0 if draw < p[0] else 0.5 if draw < p[0] + p[1] else 0.0])
    weights = list(np.round(rng.uniform(0.3, 2.0, count), 3)) if weighted else [1.0] * count
    ties = any(y == 0.5 for *_, y in rows)
    precision = np.zeros((n + 1, n + 1))
    precision[:n, :n] = np.linalg.inv(covariance)
    precision[n, n] = TIE_SD**-2
    middle = np.concatenate([mean, [0.0]])
    theta = middle.copy()
    if not ties:
        theta[n] = -np.inf
    free = np.arange(n + 1 if ties else n)
    for _ in range(200):
        gradient, information = derivatives(n, rows, weights, theta[:n], theta[n])
        gradient[free] -= precision[np.ix_(free, free)] @ (theta - middle)[free]
        hessian = (information + precision)[np.ix_(free, free)]
        step = np.linalg.solve(hessian, gradient[free])
        theta[free] += step * min(1.0, 1.0 / np.abs(step).max())
    assert np.abs(step).max() < 1e-11, np.abs(step).max()
    centre = np.eye(n) - 1.0 / n
    known = centre @ np.linalg.inv(hessian)[:n, :n] @ centre
    return {
        "n": n,
        "rows": rows,
        "weights": weights,
        "prior_sd": prior_sd,
        "text_sd": text_sd,
        "predictions": None if predictions is None else list(predictions),
        "embeddings": None if embeddings is None else [list(row) for row in embeddings],
        "utilities": list(theta[:n] - theta[:n].mean()),
        "nu": float(np.exp(theta[n])),
        "covariance": [list(row) for row in known],
    }


def gaussian_process(rng, n, d, count, prior_sd, text_sd):
    embeddings = np.float32(rng.normal(0, 1, (n, d))).astype(float)
    _, covariance = prior(None, embeddings, prior_sd, text_sd)
    truth = rng.multivariate_normal(np.zeros(n), covariance)
    rows, design = [], []
    for _ in range(count):
        a, b = (int(x) for x in rng.choice(n, 2, replace=False))
        rows.append([a, b, float(rng.random() < 1 / (1 + np.exp(truth[b] - truth[a])))])
        design.append(np.eye(n)[a] - np.eye(n)[b])
    root = np.linalg.cholesky(covariance)
    process = GaussianProcessClassifier(DotProduct(0.0, "fixed"), optimizer=None, max_iter_predict=1000)
    process.fit(np.array(design) @ root, [row[2] for row in rows])
    pairs = [[a, b] for a in range(n) for b in range(a)]
    means, variances = process.latent_mean_and_variance(np.array([np.eye(n)[a] - np.eye(n)[b] for a, b in pairs]) @ root)
    return {
        "n": n,
        "rows": rows,
        "prior_sd": prior_sd,
        "text_sd": text_sd,
        "embeddings": [list(row) for row in embeddings],
        "pairs": pairs,
        "means": list(means),
        "variances": list(variances),
    }


def main():
    rng = np.random.default_rng(36)
    fixtures = {
        "dense": [
            dense(rng, 10, 4, 30, 1.2, 1.5, 0.5, False, True, False),
            dense(rng, 14, 30, 40, 0.8, 1.1, 0.7, True, True, True),
            dense(rng, 9, 0, 25, 1.4, 1.0, 0.0, True, False, False),
        ],
        "gaussian_process": [gaussian_process(rng, 12, 5, 60, 1.0, 1.6), gaussian_process(rng, 8, 20, 30, 1.5, 0.7)],
    }
    OUTPUT.write_text(json.dumps(fixtures) + "\n")
    print(f"wrote {OUTPUT}: {OUTPUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
