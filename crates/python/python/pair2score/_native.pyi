"""The native half of `pair2score`."""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, final

import numpy as np
import numpy.typing as npt

__version__: str

class Error(ValueError):
    """What went wrong, with the file or the place, and what to do about it."""

class TruncationWarning(UserWarning):
    """Some texts are longer than the scorer reads; what is beyond was not read."""

@final
class Comparison:
    """Which of two texts is better in one trait."""

    @property
    def utilities(self) -> tuple[float, float] | None:
        """Stage-1 utilities of both, where stage 1 was trained."""
    @property
    def logit(self) -> float | None:
        """Utility of the first minus that of the second, where stage 1 was trained."""
    @property
    def preference(self) -> float | None:
        """Probability that the first is better, where stage 1 was trained."""
    @property
    def scores(self) -> tuple[float, float] | None:
        """Scores of both, where stage 2 was trained."""

@final
class Scorer:
    """A loaded scorer. Make one with `Scorer.load`.

    `texts` is a list, any other iterable of strings, or a column of numpy, pandas, polars or pyarrow. A text that is
    missing or blank is an `Error` that names its place. `progress(done, total)` is called after every batch; what it
    raises ends the work, and so does Ctrl-C. Other threads of Python run meanwhile.

    `prompts` are what the texts answer, one string for all or one for each; a blank one is that of a text that answers
    none. A scorer that was trained with prompts (`prompt_template`) needs them, any other refuses them.
    """

    @staticmethod
    def load(
        folder: str | os.PathLike[str],
        *,
        device: str | None = None,
        quantize: str | None = None,
        cache: str | os.PathLike[str] | None = None,
    ) -> Scorer:
        """Loads a scorer.

        `folder` is a run's checkpoint folder, an exported folder or a site; `device` is "cpu", "cuda", "cuda:N" or
        "wgpu", by default the first card of NVIDIA where there is one; `quantize="q8"` computes with projections in 8
        bits. `cache` is a folder where embeddings are kept by content, as `--cache` keeps them, so that no text is read
        twice.
        """
    @property
    def traits(self) -> list[str]:
        """Names of what is rated, in the order of the scorer."""
    @property
    def scales(self) -> dict[str, dict[str, float]]:
        """What a score can be, by trait: `min`, `max` and, on a scale of grades, `step`."""
    @property
    def prompt_template(self) -> str | None:
        """How the prompt of a text is read with it, such as "{prompt}\\n\\n{text}"; None of a scorer that reads texts alone."""
    @property
    def max_length(self) -> int:
        """Longest text read, in tokens."""
    @property
    def width(self) -> int:
        """Width of an embedding."""
    @property
    def can_score(self) -> bool:
        """Whether stage 2 was trained, which gives scores."""
    @property
    def can_rank(self) -> bool:
        """Whether stage 1 was trained, which gives utilities."""
    def score(
        self,
        texts: Iterable[str],
        *,
        prompts: Iterable[str] | str | None = None,
        calibrated: bool = False,
        progress: Callable[[int, int], Any] | None = None,
    ) -> npt.NDArray[np.float64] | dict[str, npt.NDArray[np.float64]]:
        """Scores of texts, `[n]`; of a scorer of several traits, a dict of such arrays.

        These are the numbers of `pair2score score`, to the last bit.
        """
    def grades(
        self,
        texts: Iterable[str],
        *,
        prompts: Iterable[str] | str | None = None,
        calibrated: bool = False,
        progress: Callable[[int, int], Any] | None = None,
    ) -> npt.NDArray[np.float64] | dict[str, npt.NDArray[np.float64]]:
        """The nearest grade of each text, `[n]`; of a scorer of several traits, a dict of such arrays."""
    def intervals(
        self,
        texts: Iterable[str],
        *,
        prompts: Iterable[str] | str | None = None,
        progress: Callable[[int, int], Any] | None = None,
    ) -> npt.NDArray[np.float64] | dict[str, npt.NDArray[np.float64]]:
        """The lowest and the highest label that people are likely to give each text, `[n, 2]`; of a scorer of several
        traits, a dict of such arrays.
        """
    def nearest(
        self,
        texts: Iterable[str],
        n: int = 3,
        *,
        prompts: Iterable[str] | str | None = None,
        progress: Callable[[int, int], Any] | None = None,
    ) -> list[list[dict[str, Any]]] | dict[str, list[list[dict[str, Any]]]]:
        """The graded documents that resemble each text most, the nearest first, as dicts of `id`, `label`, `similarity` and
        `text`: a list for each text, of a scorer of several traits a dict of such lists.
        """
    def compare(self, a: str, b: str, *, prompt: str | None = None) -> Comparison | dict[str, Comparison]:
        """Compares two texts, which answer one prompt; of a scorer of several traits, a dict of comparisons."""
    def embed(
        self,
        texts: Iterable[str],
        *,
        prompts: Iterable[str] | str | None = None,
        progress: Callable[[int, int], Any] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Embeddings of texts, `[n, width]`: what the heads of stage 2 read, or those of stage 1 without stage 2."""

    def pairs(
        self,
        texts: Iterable[str],
        n: int,
        *,
        prompts: Iterable[str] | str | None = None,
        judged: Sequence[tuple[int, int, float]] = (),
        trait_: str | None = None,
        seed: int = 36,
        random_share: float = 0.1,
        progress: Callable[[int, int], Any] | None = None,
    ) -> npt.NDArray[np.int64]:
        """Pairs of texts whose judgement is expected to tell most: places, `[pairs, 2]`, the one to show on the left first.

        `judged` are judgements so far: the places of two texts, and 1 where the first is better, 0 where the second is,
        0.5 for a tie. `trait_` is what is judged, of a scorer of several traits.
        """

def fit(
    files: Sequence[str | os.PathLike[str]],
    entries: str | None,
    target: str | None,
    judge: str | None,
    weigh_judges: bool,
    ids: Sequence[str] | None,
    scorer: Scorer | None,
    texts: Iterable[str] | None,
    prompts: Iterable[str] | str | None,
    anchors: Sequence[tuple[str, float]],
    scale: tuple[float, float, float | None] | None,
    progress: Callable[[int, int], Any] | None,
) -> str:
    """What `pair2score.judgements.fit` gives, as CSV."""

def train(
    name: str | os.PathLike[str],
    config: str | None,
    sets: Sequence[str],
    stages: str,
    device: str | None,
    resume: bool,
    restart: bool,
    progress: Callable[[dict[str, Any]], Any] | None,
) -> dict[str, Any]:
    """What `pair2score.train` gives: folders, and reports as JSON."""

def texts(given: Iterable[str]) -> list[str]:
    """The texts of a list or a column."""

def run(program: str | os.PathLike[str], arguments: Sequence[str]) -> int:
    """Runs the command line and gives its exit code: `program` starts it again, `arguments` begin with its name."""
