"""Wrong labels are found by readers that have learned from the other images of the folder."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import captcha_helpers
from captcha_helpers import cross_check, recipe
from captcha_helpers.cli.main import main
from captcha_helpers.drawing.samples import write_samples
from captcha_helpers.learning.cross_check import deal
from captcha_helpers.reading.decoder import Reading
from captcha_helpers.reading.label_errors import DoubtfulLabel


@given(
    st.lists(st.text("abcdefgh", min_size=1, max_size=5), min_size=1, max_size=60),
    st.integers(2, 5),
    st.integers(0, 3),
)
def test_every_label_is_in_one_part_and_the_rarest_characters_are_shared_out(labels, parts, seed):
    dealt = deal(labels, parts, seed)
    assert len(dealt) == len(labels) and set(dealt) <= set(range(parts))
    assert dealt == deal(labels, parts, seed)
    counts = Counter(char for label in labels for char in set(label))
    rarest = min(sorted(counts), key=counts.__getitem__)
    held = [
        sum(rarest in label for label, its in zip(labels, dealt, strict=True) if its == part)
        for part in range(parts)
    ]
    if list(counts.values()).count(counts[rarest]) == 1:
        assert max(held) - min(held) <= 1


def test_the_parts_are_about_equal_and_another_seed_deals_otherwise():
    labels = [f"{37 * number % 10000:04}" for number in range(200)]
    assert max(Counter(deal(labels, 4)).values()) <= 60
    assert deal(labels, 4) != deal(labels, 4, seed=1)


def test_two_parts_at_least():
    with pytest.raises(ValueError, match="folds is 1; it takes 2"):
        cross_check(".", folds=1)


@pytest.mark.slow
def test_the_wrong_labels_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The readers begin with the smaller weights, which take a third of the time."""
    monkeypatch.setattr(recipe, "STARTS", ("pretrained", "mixed"))
    paths = sorted(write_samples(tmp_path, 120, seed=3, styles=["stars"]))
    labels = {path.name: path.stem.split("_")[0] for path in paths}
    names = sorted(labels)
    wrong = {names[number]: labels[names[number + 1]] for number in (5, 40, 77, 101)}
    with open(tmp_path / "stars" / "labels.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["file", "label"], *(labels | wrong).items()])
    found = cross_check(tmp_path / "stars", epochs=3, progress=False)
    assert {one.path.name for one in found[:6]} >= set(wrong)


@pytest.mark.slow
def test_ctrl_c_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_samples(tmp_path, 40, styles=["stars"])
    monkeypatch.setattr(recipe, "STARTS", ("pretrained",))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("captcha_helpers.learning.run.Run._step", stop)
    with pytest.raises(KeyboardInterrupt):
        cross_check(tmp_path / "stars", epochs=1, progress=False)


def test_the_verb_asks_readers_of_the_other_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    paths = sorted(write_samples(tmp_path, 12, styles=["stars"]))
    asked = {}

    def judge(folder: Path, **options: object) -> list[DoubtfulLabel]:
        asked.update(options)
        return [DoubtfulLabel(paths[0], "1", Reading("2", 0.9, ()), 0.1, "1 is read as 2")]

    monkeypatch.setattr(captcha_helpers, "cross_check", judge)
    monkeypatch.setattr("captcha_helpers.cli.label.import_keras", lambda: None)
    command = ["check", str(tmp_path / "stars"), "--train", "--folds", "3", "--minutes", "0.5"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0 and asked == {"folds": 3, "minutes": 0.5, "progress": None}
    assert "1 label is not what readers of the other images read" in done.output
    rows = json.loads(CliRunner().invoke(main, [*command, "--json"]).output)
    assert [row["label"] for row in rows] == ["1"] and asked["progress"] is False
    refused = CliRunner().invoke(main, [*command, "--model", "stars"])
    assert refused.exit_code == 2 and "--train or --model" in refused.output
