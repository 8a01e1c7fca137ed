"""Train a model and read with it: the parts that every notebook's `fit` needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from captcha_helpers.core.extras import needs

try:
    import keras
except ModuleNotFoundError as error:  # pragma: no cover - depends on the installation
    raise ImportError(needs("captcha_helpers.learning.fitting needs Keras", "train")) from error

from captcha_helpers.core import metrics
from captcha_helpers.core.charset import Charset
from captcha_helpers.core.ctc import greedy_decode

Head = Literal["ctc", "per_position"]


def _check_head(head: str) -> None:
    if head not in ("ctc", "per_position"):
        raise ValueError(f"head must be 'ctc' or 'per_position', received {head!r}")


def compile_model(
    model: keras.Model,
    *,
    head: Head,
    steps: int | None,
    peak_rate: float = 3e-3,
    warmup: float = 0.1,
) -> None:
    """Give a model its loss and an optimizer whose rate rises, then falls to zero over `steps`.

    AdamW with clipped gradients and a one-cycle rate: a linear rise over the first part, then a
    cosine down. A high rate for a short time and a long way down is what gets a small model to its
    best within minutes.

    Source: Smith and Topin, *Super-Convergence*, 2018 (the cycle); Loshchilov and Hutter,
    *Decoupled Weight Decay Regularization*, 2019 (AdamW).

    Args:
        model: A model that ends in logits, from `captcha_helpers.core.models`.
        head: ``"ctc"`` for logits ``(B, T, V)`` over frames, ``"per_position"`` for ``(B, L, V)``.
        steps: Batches that the training will take, over all epochs and calls of ``fit``; None
            leaves the rate at `peak_rate`, for a training loop that sets it at every step.
        peak_rate: Highest learning rate.
        warmup: Share of the steps spent on the rise, 0–1.

    Raises:
        ValueError: If the head is unknown, ``steps`` below 1 or ``warmup`` not in 0–1.

    Example:
        >>> from captcha_helpers.core.models import multi_head
        >>> model = multi_head(Charset("0123456789"), length=4)
        >>> compile_model(model, head="per_position", steps=1000)
        >>> model.loss.name
        'sparse_categorical_crossentropy'
    """
    _check_head(head)
    rate = peak_rate if steps is None else _one_cycle(steps, peak_rate, warmup)
    if head == "ctc":
        loss = keras.losses.CTC(name="ctc")
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # XLA compiles for half a minute and runs these models no faster on a CPU.
    model.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=1e-4, global_clipnorm=1.0),
        loss=loss,
        jit_compile=False,
    )


@contextmanager
def computed_with(precision: str) -> Iterator[None]:
    """Models that are built here are computed with these numbers; their weights stay float32.

    Source: Micikevicius et al., *Mixed Precision Training*, 2018.

    Args:
        precision: ``"float32"`` or ``"mixed_bfloat16"``.

    Example:
        >>> with computed_with("mixed_bfloat16"):
        ...     keras.config.dtype_policy().compute_dtype
        'bfloat16'
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def fix_statistics(model: keras.Model) -> None:
    """Leave a model's batch normalisation as it is, in the training to come: it only infers.

    What a few images say of means and variances is noise to weights that know them from millions.

    Args:
        model: A model that has not been compiled yet.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization()])
        >>> fix_statistics(model)
        >>> model.trainable_variables
        []
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False  # which means, for these layers, that they infer


def gpu_generation() -> int:
    """Say which generation of NVIDIA's GPUs Keras computes on here, on any of its backends.

    Returns:
        The first number of the GPU's compute capability, as 9 for an H100; 0 without one.

    Example:
        >>> gpu_generation() >= 0
        True
    """
    backend, capability = keras.backend.backend(), ""
    if backend == "jax":
        import jax

        capability = getattr(jax.local_devices()[0], "compute_capability", "")
    elif backend == "torch":
        import torch

        if torch.version.cuda and torch.cuda.is_available():  # those of AMD have numbers as well
            capability = str(torch.cuda.get_device_capability()[0])
    else:
        import tensorflow as tf

        for gpu in tf.config.get_visible_devices("GPU"):
            details = tf.config.experimental.get_device_details(gpu)
            capability = str(details.get("compute_capability", ("",))[0])
    number = capability.partition(".")[0]
    return int(number) if number.isdecimal() else 0  # those of AMD are called gfx90a and the like


def quickest_precision() -> str:
    """Which numbers this machine trains with soonest: ``"mixed_bfloat16"`` or ``"float32"``.

    NVIDIA's GPUs compute in bfloat16 from Ampere on, compute capability 8. An H100 pre-trained the
    general reader so; how much sooner than in float32 was not measured.

    Of processors, two were tried, with TensorFlow on Linux (``benchmarks/model_speed.py``). One of
    Intel's was quicker in bfloat16 with AMX, its instructions for products of matrices, and not
    with those of AVX-512; one of AMD's, which has the latter only, was quicker with them
    (``benchmarks/model_speed.json``).

    Example:
        >>> quickest_precision() in ("float32", "mixed_bfloat16")
        True
    """
    if generation := gpu_generation():
        return "mixed_bfloat16" if generation >= 8 else "float32"
    flags = Path("/proc/cpuinfo")
    if keras.backend.backend() != "tensorflow" or not flags.exists():
        return "float32"
    processor = flags.read_text(encoding="utf-8", errors="replace")
    quicker = "amx_bf16" in processor or (
        "avx512_bf16" in processor and "AuthenticAMD" in processor
    )
    return "mixed_bfloat16" if quicker else "float32"


def _one_cycle(
    steps: int, peak_rate: float, warmup: float
) -> keras.optimizers.schedules.LearningRateSchedule:
    if steps < 1 or not 0 <= warmup < 1:
        raise ValueError(
            f"need steps >= 1 and 0 <= warmup < 1, received steps={steps}, warmup={warmup}"
        )
    rise = max(1, round(steps * warmup))
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=peak_rate / 25,
        decay_steps=max(1, steps - rise),
        alpha=0.0,
        warmup_target=peak_rate,
        warmup_steps=rise,
    )


def predict_labels(
    model: keras.Model,
    images: NDArray[np.uint8],
    charset: Charset,
    *,
    head: Head,
    batch_size: int = 128,
    length: tuple[int, int] | None = None,
) -> list[str]:
    """Read images.

    Args:
        model: A model that ends in logits.
        images: ``(B, H, W, C)`` uint8 of the model's own size; `prepare_batch` makes them.
        charset: The characters the model was trained with, in the same order.
        head: ``"ctc"`` or ``"per_position"``, as the model was trained.
        batch_size: Images at a time.
        length: For CTC, fewest and most characters of a string, if that is known; see
            `captcha_helpers.core.ctc.best_paths`.

    Returns:
        B strings.

    Raises:
        ValueError: If the images' or the charset's size is not the model's, or pixels are not
            uint8.

    Example:
        >>> from captcha_helpers.core.models import cnn_ctc
        >>> charset = Charset("0123456789")
        >>> model = cnn_ctc(charset, length=4)
        >>> texts = predict_labels(model, np.zeros((2, 48, 144, 1), "uint8"), charset, head="ctc")
        >>> len(texts)
        2
    """
    _check_head(head)
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.shape[1:] != model.input_shape[1:]:
        raise ValueError(
            f"the model reads uint8 images of the shape {model.input_shape}, received "
            f"{images.dtype} {images.shape}: captcha_helpers.prepare_batch makes them"
        )
    if model.output_shape[-1] != charset.num_classes:
        raise ValueError(
            f"the model has {model.output_shape[-1]} classes, the charset {charset.num_classes}: "
            "use the charset that the model was trained with"
        )
    logits = model.predict(images, batch_size=batch_size, verbose=0)
    indices = greedy_decode(logits, length=length) if head == "ctc" else logits.argmax(axis=-1)
    return charset.decode(indices)


class ExactMatch(keras.callbacks.Callback):
    """Show exact match and CER on a validation set after each epoch of ``fit``.

    Adds ``val_exact_match`` and ``val_cer`` to the epoch's logs, so that the progress line and the
    history have them.

    Args:
        images: ``(B, H, W, 1)`` uint8 validation images.
        labels: Their B labels.
        charset: The model's characters.
        head: ``"ctc"`` or ``"per_position"``.

    Raises:
        ValueError: If images and labels differ in number, images are not uint8 or the head is
            unknown.

    Example:
        >>> from captcha_helpers.core.models import multi_head
        >>> charset, images = Charset("01"), np.zeros((2, 16, 16, 1), "uint8")
        >>> model = multi_head(charset, length=2, height=16, width=16)
        >>> compile_model(model, head="per_position", steps=1)
        >>> watch = ExactMatch(images, ["01", "10"], charset, head="per_position")
        >>> history = model.fit(images, charset.encode(["01", "10"]), verbose=0, callbacks=[watch])
        >>> sorted(history.history)
        ['loss', 'val_cer', 'val_exact_match']
    """

    def __init__(
        self, images: NDArray[np.uint8], labels: Sequence[str], charset: Charset, *, head: Head
    ) -> None:
        """Keep the validation set."""
        super().__init__()
        _check_head(head)
        images, labels = np.asarray(images), list(labels)
        if len(images) != len(labels):
            raise ValueError(f"received {len(images)} images and {len(labels)} labels")
        if images.dtype != np.uint8:
            raise ValueError(
                f"images must be uint8, received {images.dtype}: captcha_helpers.prepare_batch "
                "makes them; the model divides by 255 itself"
            )
        self.images, self.labels, self.charset, self.head = images, labels, charset, head

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Read the validation set and put the two figures into `logs`."""
        texts = predict_labels(self.model, self.images, self.charset, head=self.head)
        if logs is not None:
            logs["val_exact_match"] = metrics.exact_match(self.labels, texts)
            logs["val_cer"] = metrics.cer(self.labels, texts)
