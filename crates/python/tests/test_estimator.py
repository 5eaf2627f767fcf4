"""`Pair2ScoreRegressor` among the estimators of scikit-learn."""

import csv

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks

import pair2score
from conftest import DEMO


@pytest.fixture(scope="module")
def labelled():
    """340 essays with their grammar."""
    with open(DEMO / "essays.csv", newline="", encoding="utf-8") as file:
        return pd.DataFrame([row for row, _ in zip(csv.DictReader(file), range(340))]).astype({"grammar": float})


@pytest.fixture
def regressor():
    return pair2score.Pair2ScoreRegressor(DEMO / "backbone", max_length=96)


def test_it_learns(regressor, labelled, tmp_path):
    regressor.set_params(folder=tmp_path / "scorer")
    assert regressor.fit(labelled["full_text"][:300], labelled["grammar"][:300]) is regressor
    texts, labels = labelled["full_text"][300:], labelled["grammar"][300:]
    with pytest.warns(pair2score.TruncationWarning):
        predicted = regressor.predict(texts)
    assert predicted.shape == (40,)
    assert np.corrcoef(predicted, labels)[0, 1] > 0
    assert set(regressor.report_) == {"left_out_r2", "left_out_mae", "left_out_rmse", "left_out_pearson"}
    assert regressor.report_["left_out_pearson"] > 0.3
    with pytest.warns(pair2score.TruncationWarning):
        assert np.array_equal(pair2score.Scorer.load(tmp_path / "scorer").score(texts), predicted)


@pytest.mark.filterwarnings("ignore::pair2score.TruncationWarning")
def test_it_is_measured_and_tuned_by_others(regressor, labelled, tmp_path):
    regressor.set_params(embeddings=tmp_path / "cache")
    texts, labels = labelled["full_text"][:240].str[:300], labelled["grammar"][:240]
    pipeline = make_pipeline(FunctionTransformer(lambda texts: texts.str.strip()), regressor)
    predicted = cross_val_predict(pipeline, texts, labels, cv=3)
    assert np.corrcoef(predicted, labels)[0, 1] > 0.2
    search = GridSearchCV(regressor, {"layers": [1, 2]}, cv=2).fit(texts, labels)
    assert search.best_params_["layers"] in (1, 2) and hasattr(search.best_estimator_, "scorer_")


def test_parameters(regressor):
    assert clone(regressor).get_params() == regressor.get_params()
    with pytest.raises(NotFittedError):
        regressor.predict(["A text."])


def test_what_is_wrong_is_said(regressor):
    with pytest.raises(pair2score.Error, match="there are 1 texts and 2 labels"):
        regressor.fit(["One."], [1, 2])
    with pytest.raises(pair2score.Error, match=r"y\[1\] is nan"):
        regressor.fit(["One.", "Two."], [1, np.nan])
    with pytest.raises(pair2score.Error, match=r"texts\[0\] is missing"):
        regressor.fit([None, "Two."], [1, 2])


# Those of scikit-learn's checks that fit nothing. The others fit tables of numbers, which no text is, and check_estimator
# leaves them out by what the estimator says of its input.
CHECKS = [
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_estimators_unfitted",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
]


@pytest.mark.parametrize("name", CHECKS)
def test_the_checks_of_scikit_learn(regressor, name):
    getattr(estimator_checks, name)("Pair2ScoreRegressor", regressor)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_what_scikit_learn_checks_of_its_own_accord(regressor):
    results = estimator_checks.check_estimator(regressor, on_skip=None)
    assert {result["status"] for result in results} == {"passed"}
