"""What a training says can be understood and is right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from captcha_helpers import LabeledImages, ModelSpec, wilson_interval
from captcha_helpers.learning.checkpoint import Job
from captcha_helpers.learning.messages import plan_text, reasons, result_text
from captcha_helpers.learning.plan import Plan
from captcha_helpers.learning.split import set_aside

SPEC = ModelSpec("0123456789", (4, 4), 16, 64)


def labelled(labels: list[str]) -> LabeledImages:
    images = np.arange(len(labels), dtype=np.uint32).view(np.uint8).reshape(-1, 2, 2, 1)
    return LabeledImages(images, labels, [f"{i}.png" for i in range(len(labels))])


def facts(cer: float, epoch: float = 100.0, exact: float = 0.0) -> dict:
    history = [{"epoch": epoch}]
    return {"validation_cer": cer, "validation_exact_match": exact, "history": history}


def random_labels(count: int) -> list[str]:
    return [f"{number:04}" for number in np.random.default_rng(0).integers(0, 10_000, count)]


@pytest.mark.parametrize(
    ("labels", "epoch", "said"),
    [
        ([f"{number:03}" for number in range(1, 301)], 100.0, "numbers 001 to 300 in a row"),
        (random_labels(300), 3.0, "Each image was seen 3 times"),
        (random_labels(60), 100.0, "60 labelled images are few for 10 characters; label 200"),
        (random_labels(300), 100.0, "The labels may be wrong"),
        ([f"img{label}" for label in random_labels(300)], 100.0, "All labels begin with 'img'"),
        ([f"{label}-{label}" for label in random_labels(300)], 100.0, "Nearly all labels have '-'"),
        ([str(int(label)) for label in random_labels(300)], 100.0, "removed the zeros in front"),
        ([f"{1_667_099_190 + 611 * i}" for i in range(300)], 100.0, "looks like a time"),
    ],
)
def test_the_likeliest_reason_comes_first(labels: list[str], epoch: float, said: str):
    assert said in reasons(labelled(labels), SPEC, facts(0.9, epoch))[0]


def test_two_rows_are_a_reason():
    data = labelled(random_labels(300))
    page = np.full((300, 48, 160, 1), 255, np.uint8)
    page[:, 4:20, ::2] = page[:, 28:44, ::2] = 0
    assert "two rows" in reasons(replace(data, images=page), SPEC, facts(0.9))[0]


def test_labels_too_long_for_the_width_are_a_reason():
    spec = replace(SPEC, length=(16, 16), width=160)
    said = reasons(labelled(random_labels(300)), spec, facts(0.9))
    assert "16 characters are long for images of 160 pixels" in said[0]


@pytest.mark.parametrize(("cer", "exact", "bad"), [(0.1, 0.6, 0), (0.3, 0.0, 1), (0.6, 0.06, 1)])
def test_only_a_reader_that_reads_next_to_nothing_has_reasons(cer: float, exact: float, bad: int):
    assert bool(reasons(labelled(random_labels(60)), SPEC, facts(cer, exact=exact))) == bool(bad)


@pytest.mark.parametrize("right", [0, 27, 30])
def test_the_sentence_about_the_result_holds_the_interval(right: int):
    low, high = wilson_interval(right, 30)
    said = result_text(
        {
            "validation_exact_match": right / 30,
            "validation_exact_match_ci95": [low, high],
            "validation_images": 30,
        }
    )
    share, around = (float(part.strip("(±%) ")) for part in said.split()[1:4] if part != "(±")
    assert share - around <= 100 * low + 0.1 and share + around >= 100 * high - 0.1


@pytest.mark.parametrize(
    ("labels", "said"),
    [(random_labels(60), "no string is in both"), (["cat", "dog"] * 20, "split by image")],
)
def test_the_plan_says_how_the_images_were_split(labels: list[str], said: str):
    plan = Plan("mixed", 0.2, 60.0, None, 22, 1e-3)
    order = {"minutes": 1.0, "charset": None, "unlabelled": 0}
    text = plan_text(Job(order, plan, SPEC, set_aside(labelled(labels), seed=0)), 50, 10, 3.0)
    assert said in text and "mixed, which reads 80.0% of the characters already" in text


@pytest.mark.parametrize(("told", "hint"), [(None, True), ("0123456789", False)])
def test_the_plan_names_characters_that_no_label_has(told: str | None, hint: bool):
    plan = Plan("general", 0.2, 60.0, None, 22, 1e-3, unseen="89")
    job = Job(
        {"minutes": 1.0, "charset": told, "unlabelled": 30},
        plan,
        SPEC,
        set_aside(labelled(random_labels(60)), seed=0),
    )
    text = plan_text(job, 50, 10, 3.0)
    assert "with readings of 30 unlabelled images" in text
    assert "no label has 89" in text and ("--charset" in text) == hint
