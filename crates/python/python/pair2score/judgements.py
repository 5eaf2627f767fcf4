"""What judgements say of documents."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from . import _native

if TYPE_CHECKING:
    import numpy.typing as npt

_COUNTS = {"n", "wins", "ties", "losses"}


def fit(
    judgements: str | os.PathLike[str] | Iterable[Any],
    *,
    documents: Mapping[str, str] | Iterable[str] | None = None,
    scorer: _native.Scorer | None = None,
    prompts: Mapping[str, str] | str | None = None,
    anchors: Mapping[str, float] | None = None,
    scale: tuple[float, float] | tuple[float, float, float] = (1.0, 5.0, 0.5),
    trait: str | None = None,
    judge: str | None = None,
    weigh_judges: bool = False,
    progress: Callable[[int, int], Any] | None = None,
) -> dict[str, list[str] | npt.NDArray[Any]]:
    """Fits utilities to judgements, and scores where there are `anchors`, as `pair2score judgements fit` does.

    `judgements` is a file or a list of files (JSONL, or CSV as comparison tools write it), or a list of judgements: dicts
    with `a`, `b` and `y` (1 where `a` is better, 0 where `b` is, 0.5 for a tie; `judge`, `trait`, `shown_left`, `ms` and
    `at` if known), or tuples of these three.

    `documents` are the ids of all documents, judged or not, by default those that were judged; with a `scorer` a mapping
    of ids to texts, so that what the scorer says and the texts tell counts too. `prompts` are what the documents answer,
    where the scorer reads prompts: a mapping of ids to prompts, or one for all. `anchors` are grades of some documents on
    `scale`: lowest, highest, and the distance of grades, without which any number between them is a grade. `trait` and
    `judge` stand in where judgements do not name them, and `trait` chooses where they name several. Judgements in a list
    need name neither.

    The columns of a table, by name, with a value per document: `id`, `utility` in logits with its standard error `se`,
    how often it was judged (`n`, `wins`, `ties`, `losses`), `infit`; with anchors `score`, `low` and `high`, which hold
    it in 90 of 100 cases, and on a scale of grades `grade` and `p_…`, the probability of each. What is undefined is NaN.
    Grades that fall where the judgements rise are a `UserWarning`.
    """
    files, entries = _log(judgements)
    texts = None
    if isinstance(documents, Mapping):
        texts = list(documents.values())
    elif scorer is not None:
        raise _native.Error("a scorer reads texts; give documents as a mapping of ids to texts")
    if isinstance(prompts, Mapping):
        missing = next((id for id in documents or () if id not in prompts), None)
        if missing is not None:
            raise _native.Error(f"prompts has none of {missing!r}; give one, which may be empty")
        prompts = [prompts[id] for id in documents or ()]
    if prompts is not None and scorer is None:
        raise _native.Error("prompts are read by a scorer; give one, or leave out prompts=")
    ids = None if documents is None else [str(id) for id in documents]
    if ids is not None and len(set(ids)) < len(ids):
        raise _native.Error("documents: two have the same id; give each its own")
    grades = [(str(id), float(grade)) for id, grade in (anchors or {}).items()]
    low, high, step = (*scale, None)[:3]
    table = _native.fit(
        files,
        entries,
        trait,
        judge,
        weigh_judges,
        ids,
        scorer,
        texts,
        prompts,
        grades,
        None if anchors is None else (low, high, step),
        progress,
    )
    return _columns(table)


def _log(judgements: Any) -> tuple[list[str | os.PathLike[str]], str | None]:
    """Files of judgements, or judgements as JSONL."""
    if isinstance(judgements, (str, os.PathLike)):
        return [judgements], None
    items = list(judgements)
    if not items:
        raise _native.Error("judgements: there is none; give some")
    if all(isinstance(item, (str, os.PathLike)) for item in items):
        return items, None
    return [], "".join(json.dumps(_entry(item, place)) + "\n" for place, item in enumerate(items))


def _entry(item: Any, place: int) -> dict[str, Any]:
    """A judgement as its line has it."""
    if isinstance(item, Mapping):
        return dict(item)
    try:
        a, b, y = item
    except (TypeError, ValueError):
        raise _native.Error(f"judgements[{place}] is no judgement; give a dict, or a, b and y") from None
    return {"a": a, "b": b, "y": float(y)}


def _columns(table: str) -> dict[str, list[str] | npt.NDArray[Any]]:
    import numpy as np

    header, *rows = csv.reader(io.StringIO(table))
    columns: dict[str, list[str] | npt.NDArray[Any]] = {}
    for name, cells in zip(header, zip(*rows)):
        if name == "id":
            columns[name] = list(cells)
        else:
            numbers = np.array([float(cell or "nan") for cell in cells])
            columns[name] = numbers.astype(np.int64) if name in _COUNTS else numbers
    return columns
