"""The command line of the package behaves as the program does."""

import json
import signal
import subprocess
import time

import pytest

from conftest import BUNDLE, CONFIG, DEMO


@pytest.fixture
def run(console_script, tmp_path):
    """Runs the command line of the package in a folder of its own."""
    return lambda *arguments: subprocess.run([console_script, *arguments], cwd=tmp_path, capture_output=True, text=True)


def test_what_it_prints_and_how_it_ends(run, command):
    assert run("--version").stdout == command("--version")
    assert run("score", "--help").stdout == command("score", "--help")
    devices = run("devices")
    assert (devices.returncode, devices.stdout) == (0, command("devices"))
    refused = run("score", "--scorer", ".", "--input", "none.csv", "--output", "-")
    assert refused.returncode == 2 and refused.stdout == ""
    assert refused.stderr.startswith("error: ") and refused.stderr.count("\n") == 1
    assert run("score", "--scorrer", ".").returncode == 2
    assert run("--help").returncode == 0


def test_an_answer_of_no_is_1(run, tmp_path):
    pair = {"run": 1, "trait": "grammar", "index": 0, "a": "x", "b": "y", "y": 1}
    lines = [json.dumps({**pair, "split": split}) for split in ["train", "test"]]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    outcome = run("pairs", "stats", "pairs.jsonl")
    assert outcome.returncode == 1, outcome


def test_scores_go_to_standard_output(run, command, essays, tmp_path):
    lines = [json.dumps({"id": place, "text": text}) for place, text in enumerate(essays)]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines), encoding="utf-8")
    arguments = ["score", "--scorer", BUNDLE, "--input", tmp_path / "texts.jsonl", "--output", "-"]
    assert run(*arguments).stdout == command(*arguments)


def test_ctrl_c_ends_a_command_at_once(console_script, tmp_path):
    arguments = ["score", "--scorer", BUNDLE, "--input", DEMO / "essays.csv", "--output", "scores.csv"]
    process = subprocess.Popen([console_script, *arguments], cwd=tmp_path, stderr=subprocess.PIPE)
    while not list(tmp_path.glob(".scores.csv.partial")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == -signal.SIGINT


def test_a_run_that_is_stopped_says_how_to_go_on(console_script, tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG.replace("head: ridge", "head: mlp, training: { epochs: 1000, early_stop_patience: 0 }"))
    process = subprocess.Popen(
        [console_script, "run", "config.yaml"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    said = []
    for line in process.stderr:
        said.append(line)
        if "epoch 1:" in line:
            process.send_signal(signal.SIGINT)
    assert process.wait() == 2, said
    assert f"go on with `{console_script} run config.yaml --resume`" in said[-1], said
