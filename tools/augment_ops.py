"""Change a batch of colour images at random, on the device that trains: ``keras.ops`` alone.

`captcha_helpers.data.augment` does one image after the other on the CPU, which is quick enough for
a few thousand labels. A GPU would spend its time waiting for it.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

Tensor = Any  # of whichever backend


def augment(images: Tensor, seed: keras.random.SeedGenerator, *, strength: float = 1.0) -> Tensor:
    """Move, bend, recolour and retouch each image of a batch in its own way.

    Args:
        images: ``(B, H, W, 3)`` of any type, 0–255. H and W must be known.
        seed: Where every random number comes from.
        strength: 0 changes nothing, 1 is right for images that are each seen a few times.

    Returns:
        ``(B, H, W, 3)`` float32, 0–255.

    Raises:
        ValueError: If ``strength`` is below 0.

    Example:
        >>> import numpy as np
        >>> images = np.full((2, 48, 192, 3), 200, np.uint8)
        >>> tuple(augment(images, keras.random.SeedGenerator(0)).shape)
        (2, 48, 192, 3)
    """
    if strength < 0:
        raise ValueError(f"strength must be 0 or more, received {strength}")
    if strength == 0:
        return ops.cast(images, "float32")
    x = _bend(images, seed, strength) / 255
    x = _recolour(x, seed, strength)
    x = _retouch(x, seed, strength)
    return 255 * ops.clip(x, 0.0, 1.0)


def _uniform(images: Tensor, seed: keras.random.SeedGenerator, low: float, high: float) -> Tensor:
    """One number for each image, to be multiplied with it: ``(B, 1, 1, 1)``."""
    return keras.random.uniform((images.shape[0], 1, 1, 1), low, high, seed=seed)


def _chance(images: Tensor, seed: keras.random.SeedGenerator, share: float) -> Tensor:
    """1 for this share of the images, else 0: ``(B, 1, 1, 1)`` float32."""
    return ops.cast(_uniform(images, seed, 0.0, 1.0) < share, "float32")


def _bend(images: Tensor, seed: keras.random.SeedGenerator, strength: float) -> Tensor:
    """Rotate, stretch, slant and shift images, and push their pixels about in smooth waves."""
    batch, height, width, _ = images.shape
    change = keras.random.uniform((batch, 6), -strength, strength, seed=seed)
    rotation, slant, stretch_x, stretch_y, move_x, move_y = (
        ops.reshape(change[:, i], (batch, 1, 1)) for i in range(6)
    )
    y = ops.reshape(ops.arange(height, dtype="float32"), (1, height, 1)) - (height - 1) / 2
    x = ops.reshape(ops.arange(width, dtype="float32"), (1, 1, width)) - (width - 1) / 2
    angle = 0.07 * rotation  # radians: 4 degrees
    push = keras.random.uniform((batch, 4, 8, 2), -strength, strength, seed=seed)
    push = 0.02 * height * ops.image.resize(push, (height, width), data_format="channels_last")
    wider = 1 + 0.04 * strength  # larger is rarer than smaller: it may cut characters off
    from_x = (wider + 0.08 * stretch_x) * x + (0.12 * slant - angle) * y + push[..., 0]
    from_y = (wider + 0.08 * stretch_y) * y + angle * x + push[..., 1]
    from_x = from_x + (0.5 + 0.02 * move_x) * width - 0.5
    from_y = from_y + (0.5 + 0.05 * move_y) * height - 0.5
    return _sample(images, from_x, from_y)


def _sample(images: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Look images up at places ``(B, H, W)`` between their pixels; the edge goes on outside."""
    batch, height, width, channels = images.shape
    x, y = ops.clip(x, 0.0, width - 1.0), ops.clip(y, 0.0, height - 1.0)
    left = ops.clip(ops.floor(x), 0, width - 2)
    top = ops.clip(ops.floor(y), 0, height - 2)
    share_x, share_y = (x - left)[..., None], (y - top)[..., None]
    first = ops.reshape(ops.arange(batch, dtype="int32") * (height * width), (batch, 1, 1))
    corner = first + ops.cast(top, "int32") * width + ops.cast(left, "int32")
    pixels = ops.reshape(images, (batch * height * width, channels))
    rows = []
    for step in (0, width):
        a, b = (
            ops.cast(ops.take(pixels, corner + step + right, axis=0), "float32") for right in (0, 1)
        )
        rows.append(a + share_x * (b - a))
    return rows[0] + share_y * (rows[1] - rows[0])


def _recolour(x: Tensor, seed: keras.random.SeedGenerator, strength: float) -> Tensor:
    """Swap and mix the colour channels, invert some images, change gamma and contrast."""
    batch = x.shape[0]
    order = ops.argsort(keras.random.uniform((batch, 3), seed=seed), axis=-1)
    swap = ops.one_hot(order, 3)  # (B, 3, 3)
    saturation = keras.random.uniform((batch, 1, 1), 1 - min(strength, 1.0), 1.2, seed=seed)
    mix = saturation * swap + (1 - saturation) / 3
    mix = mix + 0.1 * strength * keras.random.normal((batch, 3, 3), seed=seed)
    x = ops.clip(ops.einsum("bhwc,bcd->bhwd", x, mix), 0.0, 1.0)
    invert = _chance(x, seed, min(0.3 * strength, 0.5))
    x = x + invert * (1 - 2 * x)
    x = ops.power(x + 1e-3, ops.exp(_uniform(x, seed, -0.5 * strength, 0.5 * strength)))
    mean = ops.mean(x, axis=(1, 2, 3), keepdims=True)
    contrast = ops.exp(_uniform(x, seed, -0.5 * strength, 0.3 * strength))
    return mean + contrast * (x - mean) + _uniform(x, seed, -0.1 * strength, 0.1 * strength)


def _retouch(x: Tensor, seed: keras.random.SeedGenerator, strength: float) -> Tensor:
    """Blur or sharpen some images, add noise to some, cover a small piece of some."""
    batch, height, width, _ = x.shape
    blurred = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="symmetric")
    blurred = (blurred[:, :-2] + blurred[:, 1:-1] + blurred[:, 2:]) / 3
    blurred = (blurred[:, :, :-2] + blurred[:, :, 1:-1] + blurred[:, :, 2:]) / 3
    amount = _chance(x, seed, 0.3) * _uniform(x, seed, -0.5, 1.0) * min(strength, 1.0)
    x = x + amount * (blurred - x)
    grain = keras.random.normal((batch, height, width, 1), seed=seed)
    x = x + _chance(x, seed, 0.3) * _uniform(x, seed, 0.0, 0.08 * strength) * grain
    rows = ops.reshape(ops.arange(height, dtype="float32"), (1, height, 1, 1))
    columns = ops.reshape(ops.arange(width, dtype="float32"), (1, 1, width, 1))
    y, middle = _uniform(x, seed, 0.0, height), _uniform(x, seed, 0.0, width)
    covered = ops.logical_and(
        ops.abs(rows - y) < _uniform(x, seed, 0.5, 0.09 * height),
        ops.abs(columns - middle) < _uniform(x, seed, 0.5, 0.09 * height),
    )
    covered = ops.cast(covered, "float32") * _chance(x, seed, min(0.2 * strength, 1.0))
    colour = keras.random.uniform((batch, 1, 1, 3), seed=seed)
    return x + covered * (colour - x)
