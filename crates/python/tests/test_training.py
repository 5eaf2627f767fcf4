"""`pair2score.train` against `pair2score run`."""

import os
import re
import signal

import numpy as np
import pytest
import yaml

import pair2score
from conftest import CONFIG


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A configuration of three traits as a dict, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return yaml.safe_load(CONFIG)


def test_a_run_comes_to_the_bytes_of_the_command_line(config, three_traits):
    events = []
    run = pair2score.train(config, progress=events.append)
    assert (run.outputs.name, run.checkpoints.name, run.relative) == ("outputs", "checkpoints", None)
    for file in ("heads/grammar.safetensors", "heads/syntax.safetensors"):
        ours, theirs = (folder / "absolute" / file for folder in (run.checkpoints, three_traits))
        assert ours.read_bytes() == theirs.read_bytes()
    assert 0.3 < run.absolute["test"]["qwk_nearest"] <= 1
    assert {"begin", "advance", "end"} <= {event["event"] for event in events}
    assert pair2score.Scorer.load(run.checkpoints).traits == config["pipeline"]["traits"]


def test_a_file_and_what_overrides_it(config, tmp_path):
    (tmp_path / "mine.yaml").write_text(CONFIG, encoding="utf-8")
    run = pair2score.train(tmp_path / "mine.yaml", sets={"pipeline.traits": ["syntax"]}, stages="absolute")
    scores = pair2score.Scorer.load(run.checkpoints).score(["A text, and a second sentence."])
    assert isinstance(scores, np.ndarray)


def test_what_is_wrong_is_said(config, tmp_path):
    config["model"]["base_mdel"] = "none"
    with pytest.raises(pair2score.Error, match="^config: .*base_mdel.*did you mean"):
        pair2score.train(config)
    with pytest.raises(pair2score.Error, match="cannot read .*none.yaml"):
        pair2score.train(tmp_path / "none.yaml")
    with pytest.raises(pair2score.Error, match="stages \"two\" is not known"):
        pair2score.train(config, stages="two")
    with pytest.raises(pair2score.Error, match="resume and restart exclude each other"):
        pair2score.train(config, resume=True, restart=True)
    with pytest.raises(pair2score.Error, match="^config: .*; give what YAML can say"):
        pair2score.train({"pipeline": {"seed": float("nan")}})


def test_any_character_is_handed_over_as_it_is(config):
    # Beyond U+FFFF, what YAML takes for the end of a line, and what JSON escapes.
    name = "none \N{SLIGHTLY SMILING FACE} \N{LINE SEPARATOR} \N{LATIN SMALL LETTER E WITH ACUTE} \\ud83d.csv"
    with pytest.raises(pair2score.Error, match=re.escape(name)):
        pair2score.train(config, sets={"paths.essays_csv": name})
    config["paths"]["essays_csv"] = name
    with pytest.raises(pair2score.Error, match=re.escape(name)):
        pair2score.train(config)


def long(config):
    """As many epochs as nobody waits for."""
    config["pipeline"]["traits"] = ["grammar"]
    config["stage2_absolute"] = {"mode": "head_only", "training": {"epochs": 1000, "early_stop_patience": 0}}
    return config


@pytest.mark.parametrize("how", ["callback", "signal"])
def test_a_run_stops_saves_and_goes_on(config, how):
    epochs = []

    def hear(event):
        if event["event"] == "epoch":
            epochs.append(event["epoch"])
            if how == "callback":
                raise LookupError("enough")
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(LookupError if how == "callback" else KeyboardInterrupt) as caught:
        pair2score.train(long(config), progress=hear)
    assert re.search(r"stopped after step \d+ of \d+, which is saved", caught.value.__notes__[0])
    with pytest.raises(pair2score.Error, match="resume"):
        pair2score.train(config)
    before = epochs[-1]
    with pytest.raises((LookupError, KeyboardInterrupt)):
        pair2score.train(config, resume=True, progress=hear)
    assert epochs[-1] > before
