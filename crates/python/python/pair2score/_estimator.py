"""An estimator of scikit-learn."""

from __future__ import annotations

import csv
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, column_or_1d

from . import _native
from ._training import train


class Pair2ScoreRegressor(RegressorMixin, BaseEstimator):
    """Scores of texts: a ridge head, solved for, on what the layers of a frozen backbone say.

    Parameters
    ----------
    backbone : path or name
        Folder of a LLaMA backbone in Hugging Face layout, or its name on the Hub.
    layers : int or None
        Decoder layers that are read, from the first; None for all of them.
    max_length : int
        Longest text read, in tokens.
    device : str or None
        "cpu", "cuda", "cuda:N" or "wgpu"; by default the first card of NVIDIA where there is one.
    embeddings : path or None
        Folder where embeddings are kept by content, so that cross-validation embeds every text once; None for none.
    folder : path or None
        Where the scorer is written, for `Scorer.load` and `pair2score export`; None to have it in memory only.

    Attributes
    ----------
    scorer_ : Scorer
        The scorer, whose trait is called "score".
    report_ : dict
        What the head was chosen by: how well it predicts labels that it was not shown.
    """

    def __init__(
        self,
        backbone: str | os.PathLike[str],
        *,
        layers: int | None = None,
        max_length: int = 512,
        device: str | None = None,
        embeddings: str | os.PathLike[str] | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        self.backbone = backbone
        self.layers = layers
        self.max_length = max_length
        self.device = device
        self.embeddings = embeddings
        self.folder = folder

    def fit(self, X: Any, y: Any) -> Pair2ScoreRegressor:
        """Fits the head to texts `X`, `[n]`, and their labels `y`, `[n]`."""
        texts = _native.texts(X)
        labels = column_or_1d(y, dtype=np.float64, warn=True)
        if len(texts) != len(labels):
            raise _native.Error(f"there are {len(texts)} texts and {len(labels)} labels; give as many")
        if not np.isfinite(labels).all():
            place = int(np.flatnonzero(~np.isfinite(labels))[0])
            raise _native.Error(f"y[{place}] is {labels[place]}; leave it out, or give a number")
        with tempfile.TemporaryDirectory(prefix="pair2score-") as work:
            _write(Path(work, "texts.csv"), texts, labels)
            checkpoints = Path(self.folder if self.folder is not None else Path(work, "scorer"))
            run = train(self._config(Path(work), checkpoints), device=self.device, restart=True)
            self.scorer_ = _native.Scorer.load(checkpoints, device=self.device)
        self.report_ = run.absolute["fit"]["best"]
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Scores of texts `X`, `[n]`."""
        check_is_fitted(self)
        return self.scorer_.score(X)

    def _config(self, work: Path, checkpoints: Path) -> dict[str, Any]:
        paths = {"essays_csv": work / "texts.csv", "output_dir": work / "outputs", "checkpoint_dir": checkpoints}
        if self.embeddings is not None:
            paths["embedding_dir"] = self.embeddings
        model = {"base_model": self.backbone, "max_length": self.max_length}
        if self.layers is not None:
            model["layers"] = self.layers
        return {
            "pipeline": {
                "experiment_id": "Pair2ScoreRegressor",
                "trait": "score",
                "train_folds": ["train"],
                "test_fold": "test",
                "seed": 36,
            },
            "scale": "auto",
            "paths": paths,
            "model": model,
            "stage1_relative": {"enabled": False},
            "stage2_absolute": {"mode": "head_only", "head": "ridge", "calibration": "none"},
        }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


def _write(path: Path, texts: list[str], labels: np.ndarray) -> None:
    """The table that a run reads."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["text_id", "full_text", "score", "fold"])
        table.writerows([place, text, repr(float(label)), "train"] for place, (text, label) in enumerate(zip(texts, labels)))
        # A run ends with a measurement on documents that it did not learn from. Whoever uses an estimator measures it,
        # with cross_val_score for example, so all texts are learned from here, and that measurement means nothing.
        table.writerow(["measured", texts[0], repr(float(labels[0])), "test"])
