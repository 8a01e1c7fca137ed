"""Pictures that explain: galleries, training curves, confusions, and where CTC reads what.

Every function returns the matplotlib figure and shows nothing by itself, so it works in a notebook
and in a script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle, pairwise
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captcha_helpers.core.extras import needs

try:
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:  # pragma: no cover - depends on the installation
    raise ImportError(needs("captcha_helpers.plots needs Matplotlib", "train")) from error

from captcha_helpers.core.charset import Charset
from captcha_helpers.core.ctc import frame_alignment, softmax
from captcha_helpers.core.metrics import confusions
from captcha_helpers.data.images import ImageSource, preparation_steps
from captcha_helpers.data.processing import Processing
from captcha_helpers.reading.calibration import expected_calibration_error, reliability
from captcha_helpers.reading.robustness import DAMAGES, Damage, DamageScore

RIGHT, WRONG = "#1b7837", "#c51b29"  # told apart by brightness too, and errors are marked in text


def _show(axes: Axes, image: ArrayLike, **options: Any) -> None:
    """Show ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` or ``(H, W, 4)`` uint8 without ticks."""
    pixels = np.asarray(image)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, **options)
    axes.set_xticks([])
    axes.set_yticks([])


def gallery(
    images: Sequence[NDArray[np.uint8]],
    labels: Sequence[str] | None = None,
    predictions: Sequence[str] | None = None,
    *,
    columns: int = 4,
    title: str | None = None,
) -> Figure:
    """Show images with what is written on them, and what was read.

    Args:
        images: B images, each ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` or ``(H, W, 4)`` uint8.
        labels: What is written, B strings.
        predictions: What was read, B strings; errors stand in red as ``written → read``.
        columns: Images in a row.
        title: A line above them all.

    Returns:
        The figure.

    Raises:
        ValueError: If there is no image, or not one string for each.

    Example:
        >>> figure = gallery(np.zeros((2, 8, 24, 1), "uint8"), ["12", "34"], ["12", "94"])
        >>> [axes.get_title() for axes in figure.axes[:2]]
        ['12', '34 → 94']
    """
    for name, texts in (("labels", labels), ("predictions", predictions)):
        if texts is not None and len(texts) != len(images):
            raise ValueError(f"{len(images)} images but {len(texts)} {name}")
    if len(images) == 0:
        raise ValueError("a gallery needs at least one image")
    columns = min(columns, len(images))
    rows = ceil(len(images) / columns)
    aspect = images[0].shape[0] / images[0].shape[1]
    cell = 11 / columns
    size = (11, rows * (cell * aspect + 0.45) + (0.5 if title else 0))
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for i, axes in enumerate(grid.flat):
        if i >= len(images):
            axes.set_axis_off()
            continue
        _show(axes, images[i])
        text, colour = labels[i] if labels is not None else "", "black"
        if predictions is not None:
            wrong = labels is not None and labels[i] != predictions[i]
            text = f"{text} → {predictions[i] or 'nothing'}" if wrong else predictions[i]
            colour = WRONG if wrong else RIGHT
        axes.set_title(text, fontsize=13, family="monospace", color=colour)
    if title:
        figure.suptitle(title, fontsize=15)
    return figure


def processing_steps(
    image: ImageSource,
    processing: Processing,
    *,
    height: int = 48,
    width: int = 160,
    title: str | None = None,
) -> Figure:
    """Show an image before and after each step on its way to the model.

    Args:
        image: Anything that `captcha_helpers.load_image` accepts.
        processing: What is done to it.
        height: Rows of what the model sees.
        width: Columns of what the model sees.
        title: A line above.

    Returns:
        The figure.

    Raises:
        ImageError: If the image cannot be used.

    Example:
        >>> image = np.zeros((20, 60), "uint8")
        >>> figure = processing_steps(image, Processing(invert="always", strong=True))
        >>> [axes.get_title() for axes in figure.axes]
        ['original', 'grey', 'invert', 'strong', 'model']
    """
    steps = preparation_steps(image, height, width, processing)
    return gallery(list(steps.values()), list(steps), columns=len(steps), title=title)


def worst_errors(
    images: NDArray[np.uint8],
    labels: Sequence[str],
    predictions: Sequence[str],
    *,
    count: int = 12,
    title: str | None = "The worst errors",
) -> Figure | None:
    """Show the readings that need the most edits to be corrected.

    Args:
        images: ``(B, H, W, C)`` uint8.
        labels: What is written, B strings.
        predictions: What was read, B strings.
        count: Show at most so many.
        title: A line above them.

    Returns:
        The figure, or None if every reading is right.

    Example:
        >>> images = np.zeros((2, 8, 24, 1), "uint8")
        >>> worst_errors(images, ["12", "34"], ["12", "34"]) is None
        True
    """
    edits = [
        sum(confusions([label], [text]).values())
        for label, text in zip(labels, predictions, strict=True)
    ]
    worst = [i for i in np.argsort(edits, kind="stable")[::-1] if edits[i]][:count]
    if not worst:
        return None
    return gallery(
        [images[i] for i in worst],
        [labels[i] for i in worst],
        [predictions[i] for i in worst],
        title=title,
    )


def history(
    curves: Mapping[str, Sequence[float]],
    *,
    loss: str = "loss",
    match: str = "val_exact_match",
    plateau: float | None = None,
) -> Figure:
    """Plot the loss and the validation exact match of each epoch.

    Args:
        curves: ``fit(...).history``, or the histories of several ``fit`` calls joined.
        loss: Key of the loss.
        match: Key of the exact match, 0–1.
        plateau: Draw a line at this loss, for CTC's plateau.

    Returns:
        The figure.

    Raises:
        ValueError: If one of the two curves is missing.

    Example:
        >>> figure = history({"loss": [2.0, 1.0], "val_exact_match": [0.1, 0.6]})
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['training loss', 'exact match, validation']
    """
    for key in (loss, match):
        if key not in curves:
            raise ValueError(
                f"no {key!r} in the curves {list(curves)}: "
                "val_exact_match comes from fit(..., callbacks=[captcha_helpers.ExactMatch(...)])"
            )
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
    epochs = np.arange(1, len(curves[loss]) + 1)
    left.plot(epochs, curves[loss], marker="o")
    left.set(xlabel="epoch", ylabel="training loss", ylim=(0, None), title="What it learns from")
    if plateau is not None:
        left.axhline(plateau, color="grey", linestyle="--", label=f"plateau: {plateau:.1f}")
        left.legend()
    right.plot(epochs[-len(curves[match]) :], curves[match], marker="o", color=RIGHT)
    right.set(xlabel="epoch", ylabel="exact match, validation", ylim=(0, 1.02))
    right.set_title("What it is judged by")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def confusion_heatmap(
    labels: Sequence[str], predictions: Sequence[str], *, top: int = 15
) -> Figure:
    """Plot which characters were taken for which; right readings are left out.

    Args:
        labels: What is written, B strings.
        predictions: What was read, B strings.
        top: Show the characters of so many most frequent confusions.

    Returns:
        The figure. ``∅`` stands for no character: one that was missed, or one too many.

    Example:
        >>> figure = confusion_heatmap(["208", "2084"], ["20", "2O84"])
        >>> [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
        ['∅', '0', '8', 'O']
    """
    counts = confusions(labels, predictions).most_common(top)
    figure, axes = plt.subplots(figsize=(7, 5.5), layout="constrained")
    if not counts:
        axes.text(0.5, 0.5, "no confusions: every string is right", ha="center", fontsize=14)
        axes.set_axis_off()
        return figure
    shown = sorted({character for pair, _ in counts for character in pair})  # on both axes
    table = np.zeros((len(shown), len(shown)), int)
    for (a, b), count in counts:
        table[shown.index(a), shown.index(b)] = count
    axes.imshow(table, cmap="Reds", vmin=0)
    for row, column in zip(*np.nonzero(table), strict=True):
        dark = table[row, column] > table.max() / 2
        axes.text(
            column, row, table[row, column], ha="center", va="center",
            color="white" if dark else "black", fontsize=12,
        )  # fmt: skip
    names = [character or "∅" for character in shown]
    axes.set_xticks(range(len(shown)), names, fontsize=13, family="monospace")
    axes.set_yticks(range(len(shown)), names, fontsize=13, family="monospace")
    axes.set(xlabel="read", ylabel="written", title=f"The {len(counts)} most frequent confusions")
    return figure


def alignment(
    image: NDArray[np.uint8], logits: ArrayLike, charset: Charset, *, title: str | None = None
) -> Figure:
    """Plot over an image what a CTC model says frame by frame, and where it reads each character.

    Args:
        image: ``(H, W)`` or ``(H, W, C)`` uint8, as the model saw it or as it was drawn.
        logits: ``(T, V)`` logits of this one image.
        charset: The model's characters.
        title: A line above the image.

    Returns:
        The figure: the image with its characters on top, the probabilities per frame below, each
        character's as far as halfway to its neighbours.

    Raises:
        ValueError: If ``logits`` does not have two axes or not the charset's classes.

    Example:
        >>> frames = 9.0 * np.eye(3)[[0, 1, 0, 2]]
        >>> figure = alignment(np.zeros((8, 24), "uint8"), frames, Charset("ab"))
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['a', 'b']
    """
    logits = np.asarray(logits)
    if logits.ndim != 2 or logits.shape[1] != charset.num_classes:
        raise ValueError(
            f"logits must be (T, {charset.num_classes}) for this charset, received {logits.shape}; "
            "take one image's row of the batch"
        )
    height = len(image)
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(11, 5.2), layout="constrained", height_ratios=(3, 2)
    )
    _show(above, image, extent=(0, len(logits), height, 0), aspect="auto")
    above.set_title(title or "", fontsize=14)
    probabilities = softmax(logits)
    centres = np.arange(len(logits)) + 0.5
    below.plot(centres, probabilities[:, 0], color="grey", label="blank")
    spans = frame_alignment(logits[None])[0]
    halfway = [(a.stop + b.start) / 2 for a, b in pairwise(spans)]
    parts = zip(spans, [0, *halfway], [*halfway, len(logits)], strict=False)
    for number, (span, left, right) in enumerate(parts):
        colour = f"C{number % 10}"
        character = charset.characters[span.index - 1]
        above.axvspan(span.start, span.stop, color=colour, alpha=0.35)
        above.text(
            (span.start + span.stop) / 2, -0.04 * height, character, ha="center", va="bottom",
            fontsize=18, family="monospace", color=colour, weight="bold",
        )  # fmt: skip
        own = (centres >= left) & (centres <= right)
        below.plot(
            centres[own], probabilities[own, span.index],
            color=colour, marker=".", label=character,
        )  # fmt: skip
    below.set(xlabel="frame, from left to right", ylabel="probability", ylim=(-0.03, 1.03))
    below.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=11)
    below.set_xlim(0, len(logits))
    return figure


def reliability_diagram(
    confidences: Mapping[str, ArrayLike], right: ArrayLike, *, bins: int = 10
) -> Figure:
    """Plot how often readings are right against how sure the reader was, one panel a reader.

    On the diagonal lies a reader that is right as often as it says; below it one that is too sure
    of itself, above it one that is too modest. The size of a dot says how many readings it is.

    Args:
        confidences: For each panel, by its title: ``(B,)`` numbers, 0–1.
        right: ``(B,)`` bool: whether the reading is right; the same for all panels.
        bins: Into how many equal parts 0–1 is cut.

    Returns:
        The figure.

    Raises:
        ValueError: As :func:`reading.calibration.reliability`, or if there is no panel.

    Example:
        >>> figure = reliability_diagram({"before": [0.9, 0.8], "after": [0.5, 0.5]}, [True, False])
        >>> [axes.get_title() for axes in figure.axes]
        ['before: calibration error 0.45', 'after: calibration error 0.00']
    """
    if not confidences:
        raise ValueError("a reliability diagram needs at least one row of confidences")
    figure, panels = plt.subplots(
        1, len(confidences), figsize=(5.5 * len(confidences), 5), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axes, (title, claimed) in zip(panels.flat, confidences.items(), strict=True):
        parts = reliability(claimed, right, bins)
        error = expected_calibration_error(claimed, right, bins)
        x, y = [part.confidence for part in parts], [part.right for part in parts]
        axes.plot([0, 1], [0, 1], color="grey", linestyle="--")
        axes.plot(x, y, color=RIGHT)
        axes.scatter(x, y, [20 + 600 * p.count / len(np.ravel(right)) for p in parts], color=RIGHT)
        axes.set(xlabel="confidence", ylabel="share that is right")
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
        axes.set_title(f"{title}: calibration error {error:.2f}")
        axes.grid(alpha=0.3)
    return figure


def robustness_curves(
    curves: Mapping[str, Sequence[DamageScore]], *, damages: Mapping[str, Damage] = DAMAGES
) -> Figure:
    """Plot what each damage costs each reader.

    Args:
        curves: For each reader's name, what `captcha_helpers.robustness` returned.
        damages: The damages that were measured; each gets a panel.

    Returns:
        The figure: exact match over the damage, with 95 % Wilson intervals as bands. A dotted line
        stands at the undamaged images.

    Raises:
        ValueError: If there is no reader, or one without rows of a damage.

    Example:
        >>> from captcha_helpers.core.metrics import score
        >>> rows = [DamageScore("blur", value, score(["12"], ["12"])) for value in (0, 1, 2)]
        >>> figure = robustness_curves({"mine": rows}, damages={"blur": DAMAGES["blur"]})
        >>> figure.axes[0].get_title(), figure.axes[0].get_xlabel()
        ('blur', 'sigma of the Gaussian, pixels')
    """
    if not curves:
        raise ValueError("no curves to plot: give the rows of at least one reader")
    columns = min(3, len(damages))
    rows = ceil(len(damages) / columns)
    size = (4 * columns, 3.2 * rows + 0.6)
    figure, grid = plt.subplots(
        rows, columns, figsize=size, squeeze=False, sharey=True, layout="constrained"
    )
    for axes in grid.flat[len(damages) :]:
        axes.set_axis_off()
    for axes, (damage, about) in zip(grid.flat, damages.items(), strict=False):
        for (name, scores), marker in zip(curves.items(), cycle("os^vDP*X")):
            _band(axes, [row for row in scores if row.damage == damage], name, damage, marker)
        axes.axvline(about.undamaged, color="grey", linestyle=":")
        axes.set(xlabel=about.unit, ylim=(-0.03, 1.03))
        axes.set_title(damage)
        axes.grid(alpha=0.3)
    for axes in grid[:, 0]:
        axes.set_ylabel("exact match")
    lines, names = grid.flat[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=min(6, len(names)))
    return figure


def _band(axes: Axes, rows: Sequence[DamageScore], name: str, damage: str, marker: str) -> None:
    if not rows:
        raise ValueError(f"the reader {name!r} has no row of the damage {damage!r}")
    rows = sorted(rows, key=lambda row: row.value)
    values = [row.value for row in rows]
    (line,) = axes.plot(
        values, [row.score.exact_match for row in rows], marker=marker, markersize=5, label=name
    )
    low, high = zip(*(row.score.exact_match_ci95 for row in rows), strict=True)
    axes.fill_between(values, low, high, color=line.get_color(), alpha=0.15)
