"""Fitting: what a notebook's `fit` is given, and what is refused before it wastes an hour."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from captcha_helpers import Charset, ExactMatch, cer, cnn_ctc, compile_model, multi_head
from captcha_helpers.learning import fitting
from captcha_helpers.learning.fitting import (
    computed_with,
    gpu_generation,
    predict_labels,
    quickest_precision,
)

DIGITS = Charset("0123456789")


def tiny(length: int = 2) -> keras.Model:
    return multi_head(DIGITS, length=length, height=16, width=32)


def blank_images(count: int = 4) -> np.ndarray:
    return np.zeros((count, 16, 32, 1), np.uint8)


def rates(steps: int, **options: float) -> list[float]:
    model = tiny()
    compile_model(model, head="per_position", steps=steps, **options)
    schedule = model.optimizer._learning_rate
    return [float(schedule(step)) for step in range(steps + 1)]


def test_the_rate_rises_for_a_tenth_of_the_steps_then_falls_to_nothing():
    rate = rates(100, peak_rate=0.01)
    assert rate[0] == pytest.approx(0.01 / 25) and max(rate) == pytest.approx(0.01)
    assert rate.index(max(rate)) == 10
    assert rate[:11] == sorted(rate[:11]) and rate[10:] == sorted(rate[10:], reverse=True)
    assert rate[-1] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("steps", [1, 2])
def test_the_shortest_training_has_a_rate(steps: int):
    assert all(0 <= rate <= 3e-3 + 1e-9 for rate in rates(steps))


def test_without_steps_the_rate_stays_for_a_loop_that_sets_it():
    model = tiny()
    compile_model(model, head="per_position", steps=None, peak_rate=0.002)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.002)
    model.optimizer.learning_rate.assign(0.001)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.001)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"head": "ctcs", "steps": 3}, "'ctc' or 'per_position', received 'ctcs'"),
        ({"head": "ctc", "steps": 0}, "steps >= 1"),
        ({"head": "ctc", "steps": 3, "warmup": 1.0}, "warmup < 1"),
    ],
)
def test_what_no_training_could_use_is_refused(options: dict, said: str):
    with pytest.raises(ValueError, match=said):
        compile_model(tiny(), **options)


@pytest.mark.slow
def test_readings_do_not_depend_on_the_size_of_the_batch():
    model, images = tiny(), np.random.default_rng(3).integers(0, 256, (7, 16, 32, 1), np.uint8)
    alone = predict_labels(model, images, DIGITS, head="per_position", batch_size=1)
    assert alone == predict_labels(model, images, DIGITS, head="per_position", batch_size=7)


@pytest.mark.slow
def test_a_length_that_is_known_is_kept():
    model = cnn_ctc(DIGITS, length=6, height=16, width=48)
    images = np.random.default_rng(3).integers(0, 256, (5, 16, 48, 1), np.uint8)
    texts = predict_labels(model, images, DIGITS, head="ctc", length=(3, 4))
    assert {len(text) for text in texts} <= {3, 4}


@pytest.mark.parametrize(
    "images, charset, said",
    [
        (np.zeros((2, 16, 32, 1), np.float32), DIGITS, "uint8"),
        (np.zeros((2, 20, 32, 1), np.uint8), DIGITS, "prepare_batch"),
        (blank_images(), Charset("01"), "11 classes, the charset 3"),
    ],
)
def test_images_and_charsets_of_another_model_are_refused(images, charset, said: str):
    with pytest.raises(ValueError, match=said):
        predict_labels(tiny(), images, charset, head="per_position")


@pytest.mark.slow
def test_the_figures_of_an_epoch_are_those_of_the_readings():
    model, labels = tiny(), ["12", "34", "5", ""]
    watch = ExactMatch(blank_images(), labels, DIGITS, head="per_position")
    watch.set_model(model)
    logs: dict[str, float] = {}
    watch.on_epoch_end(0, logs)
    texts = predict_labels(model, blank_images(), DIGITS, head="per_position")
    right = sum(a == b for a, b in zip(texts, labels, strict=True))
    assert logs == {"val_exact_match": right / 4, "val_cer": cer(labels, texts)}


@pytest.mark.parametrize(
    "images, labels, head, said",
    [
        (blank_images(3), ["12"], "ctc", "3 images and 1 labels"),
        (blank_images(1) / 255, ["12"], "ctc", "uint8"),
        (blank_images(1), ["12"], "heads", "per_position"),
    ],
)
def test_a_validation_set_that_would_fail_after_an_epoch_fails_at_once(
    images: np.ndarray, labels: list[str], head: str, said: str
):
    with pytest.raises(ValueError, match=said):
        ExactMatch(images, labels, DIGITS, head=head)


def test_the_numbers_to_compute_with_are_as_before_even_after_an_error():
    with pytest.raises(ValueError, match="no such number"), computed_with("mixed_bfloat16"):
        assert tiny().layers[-1].compute_dtype == "bfloat16"
        raise ValueError("no such number")
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(
    ("flags", "generation", "expected"),
    [
        ("avx512_bf16 amx_bf16 amx_tile", 0, "mixed_bfloat16"),
        ("avx512f avx512_bf16", 0, "float32"),
        ("avx512f avx512_bf16, of AuthenticAMD", 0, "mixed_bfloat16"),
        ("avx512f, of AuthenticAMD", 0, "float32"),
        ("avx512_bf16 amx_bf16", 7, "float32"),  # a T4 has no such numbers
        ("avx512f", 9, "mixed_bfloat16"),
    ],
)
def test_bfloat16_on_gpus_that_have_it_and_where_it_was_measured_to_be_quicker(
    flags: str, generation: int, expected: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Path, "exists", lambda path: True)
    monkeypatch.setattr(Path, "read_text", lambda path, **kwargs: f"flags : {flags}")
    monkeypatch.setattr(fitting, "gpu_generation", lambda: generation)
    assert quickest_precision() == expected


def test_where_nobody_says_what_the_processor_can_do_it_is_float32(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Path, "exists", lambda path: False)
    assert quickest_precision() == "float32"


@pytest.mark.parametrize(
    ("backend", "capability", "generation"),
    [
        ("jax", "9.0", 9),
        ("jax", "gfx90a", 0),
        ("jax", None, 0),
        ("torch", (7, 5), 7),
        ("torch", None, 0),
        ("tensorflow", (8, 0), 8),
        ("tensorflow", None, 0),
    ],
)
def test_a_gpu_is_found_on_every_backend(
    backend: str, capability: Any, generation: int, monkeypatch: pytest.MonkeyPatch
):
    """As each backend tells of it: there is no GPU in this test."""
    there = {} if capability is None else {"compute_capability": capability}
    of_torch = {"is_available": lambda: bool(there), "get_device_capability": lambda: capability}
    of_tensorflow = {
        "get_visible_devices": lambda kind: [kind] * bool(there),
        "experimental": SimpleNamespace(get_device_details=lambda gpu: there),
    }
    modules = {
        "jax": {"local_devices": lambda: [SimpleNamespace(**there)]},
        "torch": {"cuda": SimpleNamespace(**of_torch), "version": SimpleNamespace(cuda="12.4")},
        "tensorflow": {"config": SimpleNamespace(**of_tensorflow)},
    }
    monkeypatch.setitem(sys.modules, backend, SimpleNamespace(**modules[backend]))
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    assert gpu_generation() == generation
