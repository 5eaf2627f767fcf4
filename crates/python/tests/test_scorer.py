"""`Scorer` against the command line, with what people hand to it, and as it ends."""

import csv
import hashlib
import json
import os
import pickle
import shutil
import signal
import threading
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import pair2score
from conftest import BUNDLE, DEMO


def column(rows, name):
    return np.array([float(row[name]) for row in rows])


def test_scores_are_those_of_the_command_line(scorer, essays, scored):
    rows = scored(BUNDLE, essays)
    scores = scorer.score(essays)
    assert scores.shape == (len(essays),) and scores.dtype == np.float64
    assert np.array_equal(scores, column(rows, "score")), "to the last bit"
    assert np.array_equal(scorer.grades(essays), column(rows, "grade"))
    assert np.ptp(scores) > 0.5


def test_long_lists_are_computed_in_the_same_windows(scorer, scored):
    texts = [f"Number {n}." for n in range(4100)]
    assert np.array_equal(scorer.score(texts), column(scored(BUNDLE, texts), "score"))


def test_projections_in_8_bits(essays, scored):
    scores = pair2score.Scorer.load(BUNDLE, quantize="q8", device="cpu").score(essays[:8])
    assert np.array_equal(scores, column(scored(BUNDLE, essays[:8], "--quantize", "q8"), "score"))


def test_kept_embeddings_are_those_of_the_command_line(three_traits, essays, scored, tmp_path):
    texts = [text[:100] for text in essays[:12]]
    cache = tmp_path / "cache"
    rows = scored(three_traits, texts, "--cache", str(cache))
    kept = [path.stat().st_size for path in sorted(cache.rglob("*")) if path.is_file()]
    heard = []
    scorer = pair2score.Scorer.load(three_traits, cache=cache)
    scores = scorer.score(texts, progress=lambda done, total: heard.append(done))
    for name in scorer.traits:
        assert np.array_equal(scores[name], column(rows, name))
    assert heard[-1] == len(texts)
    again = [path.stat().st_size for path in sorted(cache.rglob("*")) if path.is_file()]
    assert kept and again == kept, "everything was there"
    plain = pair2score.Scorer.load(three_traits)
    embeddings = scorer.embed([*texts, "Another text."])
    assert embeddings.shape == (13, scorer.width)
    assert np.allclose(embeddings, plain.embed([*texts, "Another text."]), atol=1e-5)
    assert scorer.pairs(texts, 3, trait_="grammar").tolist() == plain.pairs(texts, 3, trait_="grammar").tolist()
    assert sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) > sum(kept), "and that was kept"


def test_several_traits_are_a_dict(three_traits, essays, scored):
    scorer = pair2score.Scorer.load(three_traits)
    traits = ["grammar", "vocabulary", "syntax"]
    assert scorer.traits == traits and not scorer.can_rank
    assert scorer.scales["syntax"] == {"min": 1.0, "max": 5.0, "step": 0.5}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pair2score.TruncationWarning)
        rows, scores, grades = scored(three_traits, essays), scorer.score(essays), scorer.grades(essays)
        comparison = scorer.compare(essays[0], essays[1])
    assert list(scores) == traits == list(comparison)
    for name in traits:
        assert np.array_equal(scores[name], column(rows, name))
        assert np.array_equal(grades[name], column(rows, f"{name}_grade"))
        assert comparison[name].utilities is None and comparison[name].preference is None


def test_comparing_is_that_of_the_command_line(scorer, essays, command, tmp_path):
    files = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for file, essay in zip(files, essays):
        file.write_text(essay, encoding="utf-8", newline="")
    expected = json.loads(command("compare", "--scorer", BUNDLE, *files, "--json"))
    comparison = scorer.compare(*essays[:2])
    assert list(comparison.utilities) == expected["utilities"]
    assert (comparison.logit, comparison.preference) == (expected["logit"], expected["preference"])
    assert list(comparison.scores) == [side["score"] for side in expected["scores"]]
    assert repr(comparison).startswith("Comparison(utilities=(")


def test_embeddings_have_a_row_per_text(scorer, essays):
    embeddings = scorer.embed(essays[:5])
    assert embeddings.shape == (5, scorer.width) and embeddings.dtype == np.float32
    # The texts that are computed together decide the last digits.
    alone = np.concatenate([scorer.embed([essay]) for essay in essays[:5]])
    np.testing.assert_allclose(embeddings, alone, rtol=1e-4, atol=1e-5)
    assert np.ptp(embeddings, axis=0).max() > 1e-3
    assert scorer.embed([]).shape == (0, scorer.width) and scorer.score([]).shape == (0,)


@pytest.mark.parametrize(
    "kind",
    [
        tuple,
        iter,
        np.array,
        lambda texts: np.array(texts, dtype=object),
        lambda texts: np.array(texts, dtype=np.dtypes.StringDType()),
        lambda texts: pd.Series(texts, index=range(100, 100 + len(texts))),
        lambda texts: pd.Series(texts, dtype="string"),
        lambda texts: pd.DataFrame({"text": texts})["text"],
        pl.Series,
        pa.array,
        lambda texts: pa.chunked_array([texts[:2], texts[2:]]),
    ],
)
def test_columns_of_any_kind(scorer, essays, kind):
    texts = essays[:4]
    assert np.array_equal(scorer.score(kind(texts)), scorer.score(texts))


@pytest.mark.parametrize(
    "kind",
    [
        list,
        lambda texts: np.array(texts, dtype=object),
        pd.Series,
        lambda texts: pd.Series(texts, dtype="string"),
        pl.Series,
        pa.array,
    ],
)
def test_a_missing_text_is_refused_with_its_place(scorer, kind):
    with pytest.raises(pair2score.Error, match=r"^texts\[1\] is missing \(.+\); leave it out, or give a text$"):
        scorer.score(kind(["One.", None, "Three."]))


@pytest.mark.parametrize(
    ("texts", "kind", "said"),
    [
        (["One.", float("nan")], pair2score.Error, r"texts\[1\] is missing \(nan\)"),
        (["One.", " \n"], pair2score.Error, r"texts\[1\] is blank; there is nothing to score"),
        (["\ud800"], pair2score.Error, r"texts\[0\] holds half of a surrogate pair"),
        (["One.", 3], TypeError, r"texts\[1\] is of type int; give a string"),
        ([b"One."], TypeError, r"texts\[0\] is of type bytes"),
        ("One.", TypeError, r"texts is one string; give a list of them: \[text\]"),
        (b"One.", TypeError, "texts is bytes"),
        ({"a": "One."}, TypeError, r"texts is a dict; give a list: list\(texts.values\(\)\)"),
        ({"One."}, TypeError, "texts is a set, which has no order"),
        (pd.DataFrame({"text": ["One."]}), TypeError, "texts is a table of 2 dimensions; give one column of it"),
        (pl.DataFrame({"text": ["One."]}), TypeError, r"texts\[0\] is of type Series"),
        (np.array("One."), TypeError, "texts is a table of 0 dimensions"),
        (None, TypeError, "not iterable"),
    ],
)
def test_what_is_no_column_of_texts_is_refused(scorer, texts, kind, said):
    for method in (scorer.score, scorer.grades, scorer.embed):
        with pytest.raises(kind, match=said):
            method(texts)


def test_two_texts_are_refused_by_name(scorer):
    with pytest.raises(pair2score.Error, match="^a is blank"):
        scorer.compare("", "Two.")
    with pytest.raises(TypeError, match="^b is of type list"):
        scorer.compare("One.", ["Two."])


def test_a_text_that_is_cut_is_warned_of(three_traits):
    scorer = pair2score.Scorer.load(three_traits)
    assert scorer.max_length == 96
    long = "A long essay have many words. " * 40
    said = r"^texts\[1\] and 1 more are longer than the 96 tokens that the scorer reads, and cut there$"
    with pytest.warns(pair2score.TruncationWarning, match=said):
        scorer.score(["Short.", long, long])
    with pytest.warns(pair2score.TruncationWarning, match="^b is longer"):
        scorer.compare("Short.", long)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scorer.score(["Short."])


def test_what_cannot_be_asked_is_said(scorer, tmp_path, essays):
    with pytest.raises(pair2score.Error, match=f"{tmp_path}: is not a scorer"):
        pair2score.Scorer.load(tmp_path)
    assert issubclass(pair2score.Error, ValueError)
    with pytest.raises(ValueError, match='device "gpu": expected cpu, cuda, cuda:N or wgpu'):
        pair2score.Scorer.load(BUNDLE, device="gpu")
    with pytest.raises(ValueError, match='quantize "q4" is not known'):
        pair2score.Scorer.load(BUNDLE, quantize="q4")
    with pytest.raises(TypeError):
        pickle.dumps(scorer)
    with pytest.raises(TypeError):
        pair2score.Scorer()


@pytest.mark.filterwarnings("ignore::pair2score.TruncationWarning")
def test_calibrated_scores(three_traits, essays, scored):
    scorer = pair2score.Scorer.load(three_traits)
    rows = scored(three_traits, essays, "--calibrated")
    assert np.array_equal(scorer.score(essays, calibrated=True)["syntax"], column(rows, "syntax"))
    assert np.array_equal(scorer.grades(essays, calibrated=True)["syntax"], column(rows, "syntax_grade"))


@pytest.mark.filterwarnings("ignore::pair2score.TruncationWarning")
def test_intervals_are_those_of_the_command(three_traits, essays, scored):
    rows = scored(three_traits, essays, "--intervals")
    intervals = pair2score.Scorer.load(three_traits).intervals(essays)
    assert set(intervals) == {"grammar", "vocabulary", "syntax"}
    assert intervals["syntax"].shape == (len(essays), 2)
    for place, end in enumerate(["syntax_low", "syntax_high"]):
        assert np.array_equal(intervals["syntax"][:, place], column(rows, end))


def test_intervals_and_graded_documents_need_a_scorer_with_some(tmp_path, essays):
    bundle = shutil.copytree(BUNDLE, tmp_path / "bundle")
    manifest = json.loads((bundle / "manifest.json").read_text())
    del manifest["scorer"]["intervals"], manifest["scorer"]["anchors"]
    anchors = [tensor for tensor in manifest["tensors"] if tensor["name"].startswith("anchors/")]
    manifest["tensors"] = [tensor for tensor in manifest["tensors"] if tensor not in anchors]
    # They are the end of the last shard.
    shard = manifest["shards"][-1]
    weights = (bundle / shard["file"]).read_bytes()[: anchors[0]["offset"]]
    (bundle / shard["file"]).write_bytes(weights)
    shard |= {"bytes": len(weights), "sha256": hashlib.sha256(weights).hexdigest()}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    scorer = pair2score.Scorer.load(bundle)
    with pytest.raises(pair2score.Error, match="bundle: holds no intervals of grammar; use score, or train stage 2 again"):
        scorer.intervals(essays)
    with pytest.raises(pair2score.Error, match="bundle: remembers no graded documents; train stage 2 again"):
        scorer.nearest(essays)


@pytest.mark.filterwarnings("ignore::pair2score.TruncationWarning")
def test_graded_documents_that_resemble_a_text(three_traits, essays):
    with open(DEMO / "essays.csv", newline="", encoding="utf-8") as file:
        known = {row["text_id"]: row for row in csv.DictReader(file)}
    scorer = pair2score.Scorer.load(three_traits)
    folder = three_traits / "absolute"
    anchors = json.loads((folder / "scorer.json").read_text())["anchors"]["documents"]
    with open(folder / "anchors.safetensors", "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    read = lambda name, dtype: np.frombuffer(data[slice(*header[name]["data_offsets"])], dtype).reshape(header[name]["shape"])
    mean, scale, directions = read("mean", "<f4"), read("scale", "<f4"), read("directions", "<f2").astype(np.float64)
    standard = (scorer.embed(essays).astype(np.float64) - mean) * scale
    cosines = standard @ directions.T / np.linalg.norm(standard, axis=1, keepdims=True)
    found = scorer.nearest(essays, 4)
    for place, trait in enumerate(["grammar", "vocabulary", "syntax"]):
        of_trait = np.array([anchor["labels"][place] is not None for anchor in anchors])
        for row, near in zip(np.where(of_trait, cosines, -2), found[trait], strict=True):
            expected = np.argsort(-row)[:4]
            assert np.allclose([one["similarity"] for one in near], row[expected], atol=1e-5)
            assert [one["id"] for one in near] == [anchors[anchor]["id"] for anchor in expected]
            for one in near:
                assert one["label"] == float(known[one["id"]][trait]) and one["text"] is None
                assert known[one["id"]]["fold"] != "E"


def test_calibrated_scores_need_a_calibration(scorer, essays):
    with pytest.raises(pair2score.Error, match="bundle: holds no calibration of grammar; leave out calibrated=True"):
        scorer.score(essays, calibrated=True)


def test_progress_is_heard_to_the_end(scorer, essays):
    heard = []
    texts = essays * 3
    scorer.score(texts, progress=lambda done, total: heard.append((done, total)))
    assert heard == sorted(heard) and heard[-1] == (len(texts), len(texts)) and len(heard) > 1


def test_what_progress_raises_ends_the_work(scorer, essays):
    calls = []

    def refuse(done, total):
        calls.append(done)
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        scorer.score(essays * 3, progress=refuse)
    assert len(calls) == 1


def test_ctrl_c_ends_the_work_between_batches(scorer, essays):
    calls = []

    def interrupt(done, total):
        calls.append(done)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        scorer.embed(essays * 3, progress=interrupt)
    assert calls[-1] < 3 * len(essays)
    assert scorer.score(essays[:1]).shape == (1,), "the scorer is as good as before"


def test_other_threads_run_meanwhile(scorer, essays):
    expected = scorer.score(essays)
    results = []
    threads = [threading.Thread(target=lambda: results.append(scorer.score(essays))) for _ in range(2)]
    for thread in threads:
        thread.start()
    turns = 0
    while any(thread.is_alive() for thread in threads):
        turns += 1
    for thread in threads:
        thread.join()
    # A thread that held the lock to the end would leave this loop a turn or two.
    assert turns > 1000
    assert all(np.array_equal(result, expected) for result in results)
