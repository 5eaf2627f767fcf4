"""What the tests share: the scorers of the repository, essays, and the command line that was built from the same sources."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pair2score

ROOT = Path(__file__).resolve().parents[3]
BUNDLE = ROOT / "export" / "bundle"
DEMO = ROOT / "data" / "demo"

CONFIG = f"""
pipeline: {{ experiment_id: three, traits: [grammar, vocabulary, syntax], train_folds: [A, B, C, D], test_fold: E, seed: 36 }}
paths: {{ essays_csv: {DEMO}/essays.csv, output_dir: outputs, checkpoint_dir: checkpoints, embedding_dir: ../embeddings }}
model: {{ base_model: {DEMO}/backbone, max_length: 96 }}
stage1_relative: {{ enabled: false }}
stage2_absolute: {{ mode: head_only, head: ridge }}
"""


@pytest.fixture(scope="session")
def essays():
    """Forty essays of the demonstration."""
    with open(DEMO / "essays.csv", newline="", encoding="utf-8") as file:
        return [row["full_text"] for row, _ in zip(csv.DictReader(file), range(40))]


@pytest.fixture(scope="session")
def scorer():
    """The scorer of export/, which has one trait and both stages."""
    return pair2score.Scorer.load(BUNDLE)


@pytest.fixture(scope="session")
def command():
    """Runs the command line as cargo built it, which knows nothing of Python; gives its standard output."""
    program = os.environ.get("PAIR2SCORE") or pytest.exit("name the program in PAIR2SCORE, as scripts/tests/python.sh does", 2)

    def run(*arguments, **more):
        return subprocess.run([program, *arguments], check=True, stdout=subprocess.PIPE, text=True, **more).stdout

    return run


@pytest.fixture(scope="session")
def console_script():
    """The command line of the package."""
    return Path(sys.prefix) / "bin" / "pair2score"


@pytest.fixture(scope="session")
def three_traits(tmp_path_factory, command):
    """The folder of a scorer of three traits without stage 1, which reads 96 tokens."""
    folder = tmp_path_factory.mktemp("three")
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    command("run", "config.yaml", cwd=folder)
    return folder / "checkpoints"


@pytest.fixture
def scored(tmp_path, command):
    """The rows of a table that the command line writes about texts."""

    def score(folder, texts, *options):
        with open(tmp_path / "texts.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["text_id", "full_text"], *enumerate(texts)])
        command("score", "--scorer", folder, "--input", tmp_path / "texts.csv", "--output", tmp_path / "scores.csv", *options)
        with open(tmp_path / "scores.csv", newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    return score
