"""`judgements.fit` and `Scorer.pairs` against the command line."""

import csv
import json
import warnings

import numpy as np
import pytest

import pair2score
from conftest import BUNDLE
from pair2score import judgements


@pytest.fixture(scope="module")
def documents(essays):
    return {f"essay {place}": text for place, text in enumerate(essays)}


@pytest.fixture(scope="module")
def log(documents, scorer):
    """Judgements that follow the scores, with a tie."""
    ids, scores = list(documents), scorer.score(documents.values())
    pairs = [(a, (a * 7 + 3) % len(ids)) for a in range(len(ids))]
    entries = [(ids[a], ids[b], float(scores[a] > scores[b])) for a, b in pairs if a != b]
    return [*entries, (ids[0], ids[1], 0.5)]


@pytest.fixture
def files(tmp_path, documents, log):
    """The same for the command line."""
    with open(tmp_path / "log.jsonl", "w", encoding="utf-8") as file:
        for a, b, y in log:
            print(json.dumps({"a": a, "b": b, "y": y, "trait": "grammar", "judge": "me"}), file=file)
    with open(tmp_path / "documents.csv", "w", newline="", encoding="utf-8") as file:
        rows = [[id, text, place % 5 + 1 if place % 4 == 0 else ""] for place, (id, text) in enumerate(documents.items())]
        csv.writer(file).writerows([["text_id", "full_text", "grammar"], *rows])
    return tmp_path


def table(file):
    with open(file, newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return {name: [row[name] for row in rows] for name in rows[0]}


def assert_equal(columns, expected):
    assert list(columns) == list(expected)
    assert columns["id"] == expected["id"]
    for name in list(expected)[1:]:
        np.testing.assert_array_equal(columns[name], [float(cell or "nan") for cell in expected[name]], name)


def test_a_fit_with_texts_and_anchors_is_that_of_the_command_line(scorer, documents, log, files, command):
    arguments = ["judgements", "fit", "log.jsonl", "--documents", "documents.csv", "--scorer", BUNDLE]
    command(*arguments, "--anchors", "grammar", "--output", "fit.csv", cwd=files)
    anchors = {id: place % 5 + 1 for place, id in enumerate(documents) if place % 4 == 0}
    columns = judgements.fit(log, documents=documents, scorer=scorer, anchors=anchors)
    assert_equal(columns, table(files / "fit.csv"))
    assert columns["n"].dtype == np.int64 and "p_1.5" in columns
    # The same from the file, and from dicts.
    assert_equal(judgements.fit(files / "log.jsonl", documents=documents, scorer=scorer, anchors=anchors), table(files / "fit.csv"))
    entries = [json.loads(line) for line in (files / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    again = judgements.fit(entries, documents=documents, scorer=scorer, anchors=anchors)
    assert np.array_equal(again["score"], columns["score"])


def test_a_fit_without_texts(documents, log, files, command):
    command("judgements", "fit", "log.jsonl", "--documents", "documents.csv", "--output", "fit.csv", cwd=files)
    assert_equal(judgements.fit(log, documents=documents), table(files / "fit.csv"))
    only = judgements.fit([("x", "y", 1), ("y", "z", 1), ("x", "z", 0.5)])
    assert only["id"] == ["x", "y", "z"]
    assert only["utility"][0] > only["utility"][1] > only["utility"][2]


@pytest.mark.parametrize(
    ("log", "more", "said"),
    [
        ([("x", "y")], {}, r"judgements\[0\] is no judgement; give a dict, or a, b and y"),
        ([("x", "x", 1)], {}, "judgements: line 1: "),
        ([("x", "y", 0.3)], {}, "judgements: line 1: "),
        ([], {}, "judgements: there is none; give some"),
        ("none.jsonl", {}, "none.jsonl"),
        ([("x", "y", 1)], {"documents": ["x"]}, "y"),
        ([("x", "y", 1)], {"documents": ["x", "x", "y"]}, "two have the same id"),
        ([("x", "y", 1)], {"anchors": {"z": 2}}, r'anchors\["z"\] is about no document'),
        ([("x", "y", 1)], {"anchors": {"x": 7}}, r'anchors\["x"\] is 7, which is not on the scale 1 to 5 by 0.5'),
        ([("x", "y", 1)], {"anchors": {"x": 2}, "scale": (5, 1)}, "min is not below max"),
    ],
)
def test_what_is_wrong_is_said(log, more, said):
    with pytest.raises(pair2score.Error, match=said):
        judgements.fit(log, **more)


def test_judges_and_traits_go_by_any_of_their_names(tmp_path):
    entry = {"a": "x", "b": "y", "y": 1, "at": "2024-05-01T10:00:00Z"}
    # The same answer at the same time is of two people, unless both are the same one.
    judges = [{**entry, "worker": "ann"}, {**entry, "worker": "bob"}]
    assert judgements.fit(judges)["n"].tolist() == [2, 2]
    assert judgements.fit([judges[0], judges[0]])["n"].tolist() == [1, 1]
    traits = [{**entry, "worker": "ann", "criterion": trait} for trait in ("style", "spelling")]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in traits), encoding="utf-8")
    for log in (traits, tmp_path / "log.jsonl"):
        with pytest.raises(pair2score.Error, match="spelling.*style"):
            judgements.fit(log)
    assert judgements.fit(traits, trait="style")["n"].tolist() == [1, 1]


def test_grades_that_contradict_the_judgements_are_warned_of():
    log = [("x", "y", 1), ("y", "z", 1), ("x", "z", 1)]
    with pytest.warns(UserWarning, match="^the anchors' grades fall where the judgements rise"):
        judgements.fit(log, anchors={"x": 1, "y": 2, "z": 3})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        judgements.fit(log, anchors={"x": 3, "y": 2, "z": 1})


def test_texts_that_are_cut_are_warned_of(three_traits):
    scorer = pair2score.Scorer.load(three_traits)
    long = "A long essay have many words. " * 40
    documents = {"x": "Short.", "y": long, "z": "Also short."}
    said = r"^texts\[1\] is longer than the 96 tokens"
    with pytest.warns(pair2score.TruncationWarning, match=said):
        scorer.pairs(documents.values(), 1, trait_="grammar")
    with pytest.warns(pair2score.TruncationWarning, match=said):
        judgements.fit([("x", "y", 1), ("y", "z", 1)], documents=documents, scorer=scorer, trait="grammar")


def test_a_scorer_needs_texts(scorer):
    with pytest.raises(pair2score.Error, match="a mapping of ids to texts"):
        judgements.fit([("x", "y", 1)], documents=["x", "y"], scorer=scorer)
    with pytest.raises(pair2score.Error, match=r"texts\[1\] is blank"):
        judgements.fit([("x", "y", 1)], documents={"x": "One.", "y": ""}, scorer=scorer)


def test_pairs_are_those_that_the_command_line_proposes(scorer, documents, log, files, command):
    arguments = ["pairs", "propose", "--documents", "documents.csv", "--scorer", BUNDLE, "--n", "12", "--seed", "5"]
    command(*arguments, "--judgements", "log.jsonl", "--output", "pairs.jsonl", cwd=files)
    lines = [json.loads(line) for line in (files / "pairs.jsonl").read_text(encoding="utf-8").splitlines()]
    ids = list(documents)
    judged = [(ids.index(a), ids.index(b), y) for a, b, y in log]
    pairs = scorer.pairs(documents.values(), 12, judged=judged, seed=5)
    assert pairs.shape == (12, 2) and pairs.dtype == np.int64
    expected = [(line["shown_left"], line["b"] if line["shown_left"] == line["a"] else line["a"]) for line in lines]
    assert [(ids[left], ids[right]) for left, right in pairs] == expected
    with pytest.raises(pair2score.Error, match=r"judged\[0\] is about 0 and 99; give the places of two of the 40 texts"):
        scorer.pairs(documents.values(), 1, judged=[(0, 99, 1)])
    with pytest.raises(pair2score.Error, match=r"judged\[0\] says 2; give 1, 0, or 0.5 for a tie"):
        scorer.pairs(documents.values(), 1, judged=[(0, 1, 2)])
    with pytest.raises(pair2score.Error, match="random_share 1 is not a share"):
        scorer.pairs(documents.values(), 1, random_share=1)
