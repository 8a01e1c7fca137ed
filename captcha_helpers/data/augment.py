"""Change images at random as a camera, a scanner or another CAPTCHA's settings would.

A model that sees each of two hundred images a hundred times learns them by heart. If it never sees
the same pixels twice, it has to learn the characters instead. The label stays the same, so every
change is one that a person would hardly notice.
"""

from __future__ import annotations

import math

import numpy as np

from captcha_helpers.core.extras import needs

try:
    import cv2
except ModuleNotFoundError as error:  # pragma: no cover - depends on the installation
    raise ImportError(needs("Augmentation needs OpenCV", "train")) from error

Rng = np.random.Generator


def augment_batch(images: np.ndarray, rng: Rng, *, strength: float = 1.0) -> np.ndarray:
    """Move, bend and retouch each image of a batch in its own way.

    Args:
        images: ``(B, H, W, C)`` uint8, 0–255, as `prepare_batch` makes them. Not changed.
        rng: Where every random number comes from.
        strength: 0 changes nothing, 1 is right for most sets of images.

    Returns:
        ``(B, H, W, C)`` uint8, 0–255. What happens to an image happens to all its channels alike.

    Raises:
        ValueError: If ``strength`` is below 0.

    Example:
        >>> images = np.full((2, 48, 144, 1), 200, np.uint8)
        >>> augment_batch(images, np.random.default_rng(0)).shape
        (2, 48, 144, 1)
    """
    if strength < 0:
        raise ValueError(f"strength must be 0 or more, received {strength}")
    if strength == 0:
        return images.copy()
    changed = np.empty_like(images)
    for row, image in enumerate(images):
        moved = _bend(image, rng, strength)
        changed[row] = _retouch(moved, rng, strength).reshape(image.shape)
    return changed


def _bend(image: np.ndarray, rng: Rng, strength: float) -> np.ndarray:
    """Rotate, stretch, slant and shift an image (H, W, C), and push its pixels about in waves."""
    height, width = image.shape[:2]
    turn, slant, stretch_x, stretch_y, move_x, move_y = rng.uniform(-strength, strength, 6).tolist()
    angle = math.radians(3 * turn)
    scale_x, scale_y = 1 + 0.08 * stretch_x, 1 + 0.12 * stretch_y
    x = np.arange(width, dtype=np.float32)[None] - width / 2
    y = np.arange(height, dtype=np.float32)[:, None] - height / 2
    sine, cosine = math.sin(angle), math.cos(angle)
    map_x = cosine * scale_x * x + (0.1 * slant - sine) * y + (0.5 + 0.03 * move_x) * width
    map_y = sine * x + cosine * scale_y * y + (0.5 + 0.05 * move_y) * height
    push = rng.uniform(-strength, strength, (2, 4, 8)).astype(np.float32) * 0.03 * height
    map_x += cv2.resize(push[0], (width, height), interpolation=cv2.INTER_CUBIC)
    map_y += cv2.resize(push[1], (width, height), interpolation=cv2.INTER_CUBIC)
    return cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _retouch(image: np.ndarray, rng: Rng, strength: float) -> np.ndarray:
    """Change the contrast, brightness and sharpness of an image (H, W[, 3]), and add noise."""
    contrast, light, blur, noise, which = rng.random(5)
    factor = 1 + 0.3 * strength * (2 * contrast - 1)
    image = cv2.convertScaleAbs(
        image, alpha=factor, beta=float(image.mean()) * (1 - factor) + 20 * strength * (light - 0.5)
    )
    if which < 0.2:
        image = cv2.GaussianBlur(image, (0, 0), 0.3 + 0.6 * strength * blur)
    elif which < 0.4:
        grain = rng.normal(0, 10 * strength * noise, image.shape[:2])
        image = np.clip(np.atleast_3d(image) + grain[:, :, None], 0, 255).astype(np.uint8)
    return image
