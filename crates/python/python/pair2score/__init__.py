"""Scorers of documents: train them, load one, score, compare and embed texts.

    import pair2score

    scorer = pair2score.Scorer.load("checkpoints/mine/grammar")
    scores = scorer.score(["One text.", "Another."])
"""

from typing import TYPE_CHECKING, Any

from . import judgements
from ._native import Comparison, Error, Scorer, TruncationWarning, __version__
from ._training import Run, train

if TYPE_CHECKING:
    from ._estimator import Pair2ScoreRegressor

__all__ = [
    "Comparison",
    "Error",
    "Pair2ScoreRegressor",
    "Run",
    "Scorer",
    "TruncationWarning",
    "__version__",
    "judgements",
    "train",
]


def __getattr__(name: str) -> Any:
    # Only who uses the estimator needs scikit-learn.
    if name == "Pair2ScoreRegressor":
        from ._estimator import Pair2ScoreRegressor

        return Pair2ScoreRegressor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
