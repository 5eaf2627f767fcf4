"""Scorers that read the prompt of a text with it, against the command line."""

import csv
import json

import numpy as np
import pandas as pd
import pytest

import pair2score
from conftest import DEMO

TEMPLATE = "Answer: {text}\nQuestion: {prompt}"
CONFIG = f"""
pipeline: {{ experiment_id: asked, trait: grammar, train_folds: [A, B, C, D], test_fold: E, seed: 36 }}
paths: {{ essays_csv: essays.csv, output_dir: outputs, checkpoint_dir: checkpoints }}
data: {{ columns: {{ prompt: task }}, prompt_template: {json.dumps(TEMPLATE)} }}
model: {{ base_model: {DEMO}/backbone, max_length: 160 }}
stage1_relative: {{ enabled: false }}
stage2_absolute: {{ mode: head_only, head: ridge }}
"""
PROMPTS = ["Should lessons begin later?", "", "Warum? \u4e3a\u4ec0\u4e48\uff1f", "Say why. " * 60]


@pytest.fixture(scope="module")
def asking(tmp_path_factory, command):
    """The folder of a scorer that was trained with prompts."""
    folder = tmp_path_factory.mktemp("asking")
    with open(DEMO / "essays.csv", newline="", encoding="utf-8") as file:
        rows = [row for row, _ in zip(csv.DictReader(file), range(120))]
    with open(folder / "essays.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [*rows[0], "task"])
        table.writeheader()
        table.writerows({**row, "task": PROMPTS[place % 4]} for place, row in enumerate(rows))
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    command("run", "config.yaml", cwd=folder)
    return folder / "checkpoints"


@pytest.fixture
def rows(asking, essays, command, tmp_path):
    """What the command line says of essays with prompts."""

    def score(prompts):
        with open(tmp_path / "texts.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["text_id", "full_text", "task"], *zip(range(len(prompts)), essays, prompts)])
        files = ("--input", tmp_path / "texts.csv", "--output", tmp_path / "scores.csv")
        command("score", "--scorer", asking, *files, "--prompt-col", "task")
        with open(tmp_path / "scores.csv", newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    return score


@pytest.mark.filterwarnings("ignore::pair2score.TruncationWarning")
def test_a_prompt_for_each_text_or_one_for_all(asking, essays, rows):
    scorer = pair2score.Scorer.load(asking)
    assert scorer.prompt_template == TEMPLATE
    texts = essays[:8]
    for given, each in [(PROMPTS * 2, PROMPTS * 2), (pd.Series(PROMPTS * 2), PROMPTS * 2), ("Why?", ["Why?"] * 8)]:
        expected = rows(each)
        assert np.array_equal(scorer.score(texts, prompts=given), [float(row["score"]) for row in expected]), "to the last bit"
        assert np.array_equal(scorer.grades(texts, prompts=given), [float(row["grade"]) for row in expected])
    alone = scorer.embed(texts, prompts="")
    assert not np.allclose(scorer.embed(texts, prompts="Why?"), alone)
    assert scorer.pairs(texts, 3, prompts=PROMPTS * 2).shape == (3, 2)


@pytest.mark.filterwarnings("ignore::pair2score.TruncationWarning")
def test_two_texts_answer_one_prompt(asking, essays, command, tmp_path):
    files = [tmp_path / name for name in ("a", "b", "prompt")]
    for file, text in zip(files, [*essays[:2], PROMPTS[0]]):
        file.write_text(text, encoding="utf-8", newline="")
    *pair, prompt = files
    expected = json.loads(command("compare", "--scorer", asking, *pair, "--prompt", prompt, "--json"))
    comparison = pair2score.Scorer.load(asking).compare(*essays[:2], prompt=PROMPTS[0])
    assert list(comparison.scores) == [side["score"] for side in expected["scores"]]


def test_judgements_of_texts_with_prompts(asking, essays):
    scorer = pair2score.Scorer.load(asking)
    documents = dict(zip("abcd", essays))
    judgements = [("a", "b", 1), ("b", "c", 1), ("c", "d", 0)]
    fit = lambda prompts: pair2score.judgements.fit(judgements, documents=documents, scorer=scorer, prompts=prompts)["utility"]
    each = fit(dict.fromkeys("abcd", "Why?"))
    assert np.array_equal(each, fit("Why?")) and not np.array_equal(each, fit(""))
    with pytest.raises(pair2score.Error, match="prompts has none of 'd'; give one"):
        fit(dict.fromkeys("abc", "Why?"))
    with pytest.raises(pair2score.Error, match="prompts are read by a scorer"):
        pair2score.judgements.fit(judgements, documents=documents, prompts="Why?")


def test_prompts_are_there_if_and_only_if_they_are_read(asking, scorer, essays):
    texts, other = essays[:2], pair2score.Scorer.load(asking)
    for method in (other.score, other.grades, other.embed, lambda texts: other.pairs(texts, 1), lambda texts: other.compare(*texts)):
        with pytest.raises(pair2score.Error, match=r"reads the prompt of a text with it, as .+; give prompts?="):
            method(texts)
    assert scorer.prompt_template is None
    for method in (scorer.score, scorer.grades, scorer.embed):
        with pytest.raises(pair2score.Error, match="reads texts without prompts; leave out prompts="):
            method(texts, prompts="")
    with pytest.raises(pair2score.Error, match="leave out prompt="):
        scorer.compare(*texts, prompt="Why?")


@pytest.mark.parametrize(
    ("prompts", "kind", "said"),
    [
        (["One.", None], pair2score.Error, r"^prompts\[1\] is missing \(None\); give a string, which may be empty$"),
        (["One.", 3], TypeError, r"^prompts\[1\] is of type int; give a string$"),
        (["One."], pair2score.Error, "^prompts has 1 for 2 texts; give one for each, or one string for all$"),
        ({"a": "One."}, TypeError, r"^prompts is a dict; give a list: list\(prompts.values\(\)\)$"),
        (b"One.", TypeError, "^prompts is bytes"),
        ("\ud800", pair2score.Error, "^prompts holds half of a surrogate pair"),
    ],
)
def test_what_are_no_prompts_is_refused(asking, essays, prompts, kind, said):
    with pytest.raises(kind, match=said):
        pair2score.Scorer.load(asking).score(essays[:2], prompts=prompts)
