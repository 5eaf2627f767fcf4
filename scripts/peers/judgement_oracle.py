"""Reference values for crates/data/tests/judgements.rs from independent implementations.

    python3 scripts/peers/judgement_oracle.py

Writes crates/data/tests/fixtures/judgements.json. What is computed by whom:

- Bradley-Terry with a normal prior: choix.opt_pairwise
- Davidson's model without a prior, with standard errors: a Poisson log-linear model in statsmodels, one nuisance
  parameter per pair of documents (Critchlow and Fligner 1991), sum-to-zero contrasts
- Davidson's model with priors: scipy.optimize on the density written out in probabilities, standard errors from a
  numerical Hessian (statsmodels.tools.numdiff), inverted and centred
- scale separation, infit: numpy, from the definitions
- kappa: scikit-learn; alpha: krippendorff
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import ROOT, enter  # noqa: E402

enter("judgements")

import choix  # noqa: E402
import krippendorff  # noqa: E402
import numpy as np  # noqa: E402
import statsmodels.api as sm  # noqa: E402
from scipy.optimize import minimize  # noqa: E402
from sklearn.metrics import cohen_kappa_score  # noqa: E402
from statsmodels.tools.numdiff import approx_hess3  # noqa: E402

OUTPUT = ROOT / "crates/data/tests/fixtures/judgements.json"
TIE_SD = 3.0


def chances(d, nu):
    """Davidson (1970) with strengths e^d and 1."""
    strength = np.exp(d)
    total = strength + 1.0 + nu * np.sqrt(strength)
    return strength / total, nu * np.sqrt(strength) / total, 1.0 / total


def simulate(rng, n, count, nu, spread, judges=1):
    """Rows [a, b, y, judge] with two passes over a cycle, so that everything is connected, and random pairs."""
    truth = rng.normal(0, spread, n)
    pairs = [(i, (i + 1) % n) for i in range(n)]
    while len(pairs) < count:
        a, b = rng.choice(n, 2, replace=False)
        pairs.append((int(a), int(b)))
    rows = []
    for a, b in pairs[:count]:
        win, tie, _ = chances(truth[a] - truth[b], nu)
        draw = rng.random()
        y = 1.0 if draw < win else 0.5 if draw < win + tie else 0.0
        rows.append([a, b, y, int(rng.integers(judges))])
    return rows


def posterior(n, rows, prior_sd, weights):
    """Negative log-posterior of (u, ln nu)."""

    def value(theta):
        u, log_nu = theta[:n], theta[n]
        total = np.sum(u**2) / (2 * prior_sd**2) + log_nu**2 / (2 * TIE_SD**2)
        for (a, b, y, _), weight in zip(rows, weights):
            win, tie, loss = chances(u[a] - u[b], np.exp(log_nu))
            total -= weight * np.log({1.0: win, 0.5: tie, 0.0: loss}[y])
        return total

    return value


def infit(groups, n_groups, rows, u, nu):
    top, bottom = np.zeros(n_groups), np.zeros(n_groups)
    for row, members in zip(rows, groups):
        a, b, y, _ = row
        p = chances(u[a] - u[b], nu)
        scores = np.array([1.0, 0.5, 0.0])
        mean = np.dot(p, scores)
        variance = np.dot(p, (scores - mean) ** 2)
        for group in members:
            top[group] += (y - mean) ** 2
            bottom[group] += variance
    return list(top / bottom)


def davidson(rng, n, count, prior_sd, nu, judges, weighted):
    rows = simulate(rng, n, count, nu, 1.5, judges)
    weights = list(np.round(rng.uniform(0.3, 2.0, count), 3)) if weighted else [1.0] * count
    value = posterior(n, rows, prior_sd, weights)
    found = minimize(value, np.zeros(n + 1), method="BFGS", options={"gtol": 1e-9, "maxiter": 10000})
    for _ in range(3):  # Newton steps with numerical derivatives sharpen what BFGS found.
        hessian = approx_hess3(found.x, value)
        gradient = np.array([
            (value(found.x + h) - value(found.x - h)) / 2e-5 for h in np.eye(n + 1) * 1e-5
        ])
        found.x = found.x - np.linalg.solve(hessian, gradient)
    hessian = approx_hess3(found.x, value)
    covariance = np.linalg.inv(hessian)[:n, :n]
    centre = np.eye(n) - 1.0 / n
    errors = np.sqrt(np.diag(centre @ covariance @ centre))
    u, found_nu = found.x[:n], float(np.exp(found.x[n]))
    variance = np.var(u, ddof=1)
    return {
        "n": n,
        "rows": rows,
        "weights": weights,
        "prior_sd": prior_sd,
        "utilities": list(u),
        "nu": found_nu,
        "standard_errors": list(errors),
        "scale_separation": float((variance - np.mean(errors**2)) / variance),
        "document_infit": infit([(a, b) for a, b, _, _ in rows], n, rows, u, found_nu),
        "judge_infit": infit([(judge,) for *_, judge in rows], judges, rows, u, found_nu),
    }


def log_linear(rng, n, count, nu):
    """Davidson by maximum likelihood as a Poisson model of the counts of each pair's three answers."""
    rows = simulate(rng, n, count, nu, 1.0)
    counts = {}
    for a, b, y, _ in rows:
        key, y = ((a, b), y) if a < b else ((b, a), 1.0 - y)
        counts.setdefault(key, {1.0: 0, 0.5: 0, 0.0: 0})[y] += 1
    contrast = np.vstack([np.eye(n - 1), -np.ones(n - 1)])  # The last utility is minus the sum of the others.
    design, response = [], []
    for index, ((a, b), answers) in enumerate(counts.items()):
        for y, number in answers.items():
            nuisance = np.zeros(len(counts))
            nuisance[index] = 1.0
            design.append(np.concatenate([(y - 0.5) * (contrast[a] - contrast[b]), [y == 0.5], nuisance]))
            response.append(number)
    result = sm.GLM(np.array(response), np.array(design), family=sm.families.Poisson()).fit(tol=1e-13, maxiter=500)
    covariance = contrast @ result.cov_params()[: n - 1, : n - 1] @ contrast.T
    return {
        "n": n,
        "rows": rows,
        "utilities": list(contrast @ result.params[: n - 1]),
        "nu": float(np.exp(result.params[n - 1])),
        "standard_errors": list(np.sqrt(np.diag(covariance))),
    }


def bradley_terry(rng, n, count, alpha):
    """choix penalises alpha * sum(u^2): a normal prior with precision 2 alpha."""
    rows = simulate(rng, n, count, 0.0, 1.5)
    wins = [(a, b) if y == 1.0 else (b, a) for a, b, y, _ in rows]
    value = choix.opt_pairwise(n, wins, alpha=alpha, method="Newton-CG", tol=1e-14, max_iter=10000)
    return {"n": n, "rows": rows, "prior_sd": float((2 * alpha) ** -0.5), "utilities": list(value)}


def agreement(rng, judges, units):
    """Answers of judges about some of the pairs (2 i, 2 i + 1); both ways round for the coefficients."""
    truth = rng.normal(0, 1.5, units)
    answers = np.full((judges, units), np.nan)
    for judge in range(judges):
        for unit in range(units):
            if rng.random() < 0.7:
                win, tie, _ = chances(truth[unit], 0.8)
                draw = rng.random()
                answers[judge, unit] = 1.0 if draw < win else 0.5 if draw < win + tie else 0.0
    rows = []
    for judge in range(judges):
        for unit in range(units):
            y = answers[judge, unit]
            if not np.isnan(y):  # Some written the other way round.
                forward = (judge + unit) % 2 == 0
                a, b = (2 * unit, 2 * unit + 1) if forward else (2 * unit + 1, 2 * unit)
                rows.append([a, b, y if forward else 1.0 - y, judge])
    both = np.concatenate([answers, 1.0 - answers], axis=1)
    kappas, equal, shared = [], [], []
    for first in range(judges):
        for second in range(first + 1, judges):
            seen = ~np.isnan(both[first]) & ~np.isnan(both[second])
            x, y = (2 * both[first][seen]).astype(int), (2 * both[second][seen]).astype(int)
            kappas.append(cohen_kappa_score(x, y))
            equal.append(np.mean(x == y))
            shared.append(int(seen.sum()) // 2)
    alpha = {
        level: float(krippendorff.alpha(reliability_data=both, level_of_measurement=level, value_domain=[0.0, 0.5, 1.0]))
        for level in ("nominal", "ordinal")
    }
    return {
        "rows": rows,
        "shared": shared,
        "kappas": [float(value) for value in kappas],
        "percentage": float(np.average(equal, weights=shared)),
        "cohen_kappa": float(np.average(kappas, weights=shared)),
        "alpha_nominal": alpha["nominal"],
        "alpha_ordinal": alpha["ordinal"],
    }


def main():
    rng = np.random.default_rng(36)
    fixtures = {
        "davidson": [
            davidson(rng, 6, 40, 3.0, 0.6, 2, False),
            davidson(rng, 12, 90, 1.5, 1.2, 3, False),
            davidson(rng, 8, 60, 2.0, 0.4, 2, True),
        ],
        "log_linear": [log_linear(rng, 5, 300, 0.7), log_linear(rng, 7, 500, 1.5)],
        "bradley_terry": [bradley_terry(rng, 10, 80, 0.05), bradley_terry(rng, 25, 300, 0.01)],
        "agreement": [agreement(rng, 2, 40), agreement(rng, 4, 50)],
    }
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(fixtures) + "\n")
    print(f"wrote {OUTPUT}: {OUTPUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
