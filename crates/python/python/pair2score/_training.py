"""Training runs."""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import _native


@dataclass(frozen=True)
class Run:
    """What a training run left."""

    outputs: Path
    """Folder of its logs, metrics and predictions."""
    checkpoints: Path
    """Folder of its scorer, which `Scorer.load` takes."""
    relative: dict[str, Any] | None
    """What stage 1 measured, where it ran."""
    absolute: dict[str, Any] | None
    """What stage 2 measured on the test fold, where it ran: `test` with `qwk_nearest`, `mae`, `pearson`, …"""


def train(
    config: str | os.PathLike[str] | Mapping[str, Any],
    *,
    sets: Mapping[str, Any] | None = None,
    stages: str = "both",
    device: str | None = None,
    resume: bool = False,
    restart: bool = False,
    progress: Callable[[dict[str, Any]], Any] | None = None,
) -> Run:
    """Runs the stages of a configuration, as `pair2score run` does.

    `config` is a YAML file or a dict of the same shape; `sets` overrides keys, like `{"pipeline.seed": 7}`. `stages` is
    "both", "relative" or "absolute". A run that was stopped is refused, unless `resume` goes on with it or `restart`
    throws it away. Relative paths start at the working directory.

    `progress` is called with a dict whose `event` is "begin" (`stage`, `total`), "advance" (`done`), "step" (`stage`,
    `step`, `total_steps`, `epoch`, `loss`, `lr`, `tokens_per_second`), "epoch" (`stage`, `epoch`, `step`, `train_loss`,
    `metrics`, `best`, `seconds`), "end" or "message" (`text`). What it raises stops the run after the step, and so does
    Ctrl-C; what was done is saved, and the exception has a note that says so.
    """
    if isinstance(config, Mapping):
        name, text = "config", _text(config, "config")
    else:
        name, text = config, None
    overrides = [f"{key}={_text(value, key)}" for key, value in (sets or {}).items()]
    done = _native.train(name, text, overrides, stages, device, resume, restart, progress)
    relative, absolute = (report and json.loads(report) for report in (done["relative"], done["absolute"]))
    return Run(Path(done["outputs"]), Path(done["checkpoints"]), relative, absolute)


def _text(value: Any, name: str) -> str:
    """A value as JSON that is YAML too.

    YAML has no halves of surrogate pairs, in which JSON writes characters beyond U+FFFF: these stay as they are. Others
    are escaped, because YAML takes some of them for ends of lines.
    """
    try:
        text = json.dumps(value, default=os.fspath, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise _native.Error(f"{name}: {error}; give what YAML can say") from error
    return re.sub("[\x7f-\uffff]", lambda found: f"\\u{ord(found[0]):04x}", text)

