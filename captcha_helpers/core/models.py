"""One builder for each kind of model: plain functional Keras models that end in logits.

Every model takes grey pixels ``(B, height, width, 1)`` in 0–255 and divides by 255 itself. That it
is not done twice, the readers of `learning.fitting` and the batches see to: they refuse
anything but uint8. The classes are those of `Charset.encode`: 0 is "nothing" (CTC's blank, or "no
character at this position"), characters start at 1, so V is ``charset.num_classes``.

`residual_ctc` alone may take colour, ``(B, height, width, 3)``.

No model has a custom layer, so ``keras.models.load_model`` needs nothing but the file.
"""

from __future__ import annotations

from captcha_helpers.core.extras import needs

try:
    import keras as keras
except ModuleNotFoundError as error:  # pragma: no cover - depends on the installation
    raise ImportError(needs("captcha_helpers.core.models needs Keras", "train")) from error
from keras import layers

from captcha_helpers.core.charset import Charset

_MIN_SIDE = 16
BATCH_NORM_MOMENTUM = 0.9  # Keras' 0.99 still remembers the first steps when a short run ends


def _image_input(height: int, width: int, length: int, channels: int = 1) -> keras.KerasTensor:
    if min(height, width) < _MIN_SIDE:
        raise ValueError(
            f"height and width must be at least {_MIN_SIDE} pixels, received {height} x {width}"
        )
    if length < 1:
        raise ValueError(f"length must be at least 1 character, received {length}")
    return keras.Input((height, width, channels), name="image")


def _check_time_steps(time_steps: int, length: int, width: int) -> None:
    needed = 2 * length - 1  # a label of one repeated character: a blank between each two
    if time_steps < needed:
        raise ValueError(
            f"{time_steps} time steps are too few for {length} characters: CTC needs up to "
            f"{needed}, one a character and a blank between equal neighbours. "
            f"Use a width of at least {4 * needed} pixels instead of {width}"
        )


def _columns(x: keras.KerasTensor) -> keras.KerasTensor:
    """Turn a feature map ``(B, H, W, C)`` into a sequence from left to right, ``(B, W, H * C)``."""
    _, height, width, channels = x.shape
    x = layers.Permute((2, 1, 3), name="width_first")(x)
    return layers.Reshape((width, height * channels), name="columns")(x)


def _conv_block(
    x: keras.KerasTensor,
    name: str,
    filters: int,
    *,
    momentum: float = BATCH_NORM_MOMENTUM,
    **conv: object,
) -> keras.KerasTensor:
    x = layers.Conv2D(filters, padding="same", use_bias=False, name=f"conv_{name}", **conv)(x)
    x = layers.BatchNormalization(momentum=momentum, name=f"normalise_{name}")(x)
    return layers.Activation("relu", name=f"relu_{name}")(x)


def _time_block(
    x: keras.KerasTensor,
    name: str,
    dilation: int = 1,
    *,
    filters: int = 128,
    momentum: float = BATCH_NORM_MOMENTUM,
) -> keras.KerasTensor:
    """Look at three frames, `dilation` apart."""
    conv = layers.Conv1D(
        filters, 3, padding="same", dilation_rate=dilation, use_bias=False, name=f"conv_{name}"
    )
    x = conv(x)
    x = layers.BatchNormalization(momentum=momentum, name=f"normalise_{name}")(x)
    return layers.Activation("relu", name=f"relu_{name}")(x)


def fixed_length_cnn(
    charset: Charset, *, length: int, height: int = 32, width: int = 64
) -> keras.Model:
    """Build the small baseline: two conv blocks, reshaped to `length` steps, one answer each.

    A dense layer looks at the whole picture and writes 64 numbers for each character; a second one,
    the same for all, names it. The model expects its characters where they were in training.

    Args:
        charset: The characters to read; V is ``charset.num_classes``.
        length: Number of characters L; shorter labels are padded with class 0.
        height: Image height in pixels.
        width: Image width in pixels.

    Returns:
        A model from ``(B, height, width, 1)`` in 0–255 to logits ``(B, L, V)``.

    Raises:
        ValueError: If the image is smaller than 16 pixels or ``length`` below 1.

    Example:
        >>> model = fixed_length_cnn(Charset("0123456789"), length=4)
        >>> model.output_shape
        (None, 4, 11)
    """
    image = _image_input(height, width, length)
    x = layers.Rescaling(1 / 255, name="to_0_1")(image)
    for block, filters in enumerate((16, 48), start=1):
        x = _conv_block(x, f"{block}a", filters, kernel_size=3)
        x = _conv_block(x, f"{block}b", filters, kernel_size=3)
        x = layers.MaxPooling2D(2, name=f"pool_{block}")(x)
    x = layers.Flatten(name="flat")(x)  # (B, H / 4 * W / 4 * 48)
    x = layers.Dense(64 * length, use_bias=False, name="dense")(x)
    x = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name="normalise_dense")(x)
    x = layers.Activation("relu", name="relu_dense")(x)
    x = layers.Reshape((length, 64), name="steps")(x)  # (B, L, 64)
    logits = layers.Dense(charset.num_classes, name="logits")(x)
    return keras.Model(image, logits, name="fixed_length_cnn")


def crnn_ctc(charset: Charset, *, length: int, height: int = 80, width: int = 280) -> keras.Model:
    """Build the well-known CRNN: two conv blocks, a dense layer, a bidirectional LSTM; for CTC.

    At 280 x 80 pixels with the 26 capital letters it has 285,983 parameters. Each of its
    ``width // 4`` frames sees the whole line by way of the LSTM.

    Source: Shi, Bai and Yao, *An End-to-End Trainable Neural Network for Image-based Sequence
    Recognition*, 2015.

    Args:
        charset: The characters to read; V is ``charset.num_classes``.
        length: Characters of the longest label.
        height: Image height in pixels.
        width: Image width in pixels.

    Returns:
        A model from ``(B, height, width, 1)`` in 0–255 to CTC logits ``(B, width // 4, V)``.

    Raises:
        ValueError: If the image is smaller than 16 pixels, or too narrow for the label.

    Example:
        >>> model = crnn_ctc(Charset("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), length=6)
        >>> model.output_shape, model.count_params()
        ((None, 70, 27), 285983)
    """
    image = _image_input(height, width, length)
    x = layers.Rescaling(1 / 255, name="to_0_1")(image)
    x = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name="normalise_image")(x)
    for number, filters in enumerate((32, 64), start=1):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv_{number}")(x)
        x = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=f"normalise_{number}")(x)
        x = layers.MaxPooling2D(2, name=f"pool_{number}")(x)
    x = _columns(x)  # (B, W // 4, H // 4 * 64)
    _check_time_steps(x.shape[1], length, width)
    x = layers.Dense(128, activation="relu", name="dense")(x)
    x = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name="normalise_dense")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    x = layers.Bidirectional(layers.LSTM(64, return_sequences=True), name="bilstm")(x)
    logits = layers.Dense(charset.num_classes, name="logits")(x)
    return keras.Model(image, logits, name="crnn_ctc")


def _even_contrast(x: keras.KerasTensor) -> keras.KerasTensor:
    """Give each image ``(B, H, W, 1)`` mean 0 and variance 1: pale ones look like strong ones.

    The normalisation alone would do. But some runtimes add up a whole image in float32, and the
    small variance of a nearly white one is then right to three digits; so the mean, of the rows
    first, is taken off before. All of it stays in float32 where the rest has fewer bits.
    """
    _, height, width, _ = x.shape
    mean = layers.AveragePooling2D((1, width), name="mean_of_rows", dtype="float32")(x)
    mean = layers.AveragePooling2D((height, 1), name="mean", dtype="float32")(mean)
    x = layers.Subtract(name="centred", dtype="float32")([x, mean])
    return layers.GroupNormalization(
        groups=1, scale=False, center=False, name="contrast", dtype="float32"
    )(x)


def _conv_columns(image: keras.KerasTensor) -> keras.KerasTensor:
    """Shrink ``(B, H, W, 1)`` to a sequence ``(B, T, C)``, about a quarter as long as W.

    The first block halves the picture by its stride: pooling a full-size map instead costs half as
    much time again and reads no better. A stride rounds up and pooling rounds down, so T is
    ``ceil(W / 2) // 2`` and C is ``ceil(H / 2) // 8 * 96``.
    """
    x = _even_contrast(layers.Rescaling(1 / 255, name="to_0_1")(image))
    x = _conv_block(x, "1", 24, kernel_size=5, strides=2)
    for number, (filters, pool) in enumerate(((48, (2, 2)), (64, (2, 1)), (96, (2, 1))), start=2):
        x = _conv_block(x, str(number), filters, kernel_size=3)
        x = layers.MaxPooling2D(pool, name=f"pool_{number}")(x)
    return _columns(x)


def cnn_ctc(
    charset: Charset, *, length: int, height: int = 48, width: int = 144, dropout: float = 0.0
) -> keras.Model:
    """Build a quicker reader for CTC without an LSTM: conv blocks, then convolutions in time.

    The three convolutions in time look at frames 1, 2 and 4 apart (Yu and Koltun, *Multi-Scale
    Context Aggregation by Dilated Convolutions*, 2016), so that a frame sees 83 columns of the
    picture: a wide character and its neighbours, which is all that a random string has to tell
    about it. The later two add to what the first one found (He et al., *Deep Residual Learning*,
    2015).

    Args:
        charset: The characters to read; V is ``charset.num_classes``.
        length: Characters of the longest label.
        height: Image height in pixels.
        width: Image width in pixels.
        dropout: Share of the features of a picture that are left out in training, 0–1. It helps
            where the same few images are shown many times, and not where each one is new.

    Returns:
        A model from ``(B, height, width, 1)`` in 0–255 to CTC logits ``(B, T, V)``, where T is
        ``ceil(width / 2) // 2``.

    Raises:
        ValueError: If the image is smaller than 16 pixels, or too narrow for the label.

    Example:
        >>> model = cnn_ctc(Charset("0123456789"), length=6)
        >>> model.output_shape
        (None, 36, 11)
    """
    image = _image_input(height, width, length)
    x = _conv_columns(image)  # (B, T, C)
    _check_time_steps(x.shape[1], length, width)
    if dropout:
        x = layers.SpatialDropout1D(dropout, name="dropout")(x)
    x = _time_block(x, "time")
    for name, dilation in (("context", 2), ("wide_context", 4)):
        x = layers.Add(name=f"add_{name}")([x, _time_block(x, name, dilation)])  # (B, T, 128)
    logits = layers.Dense(charset.num_classes, name="logits")(x)
    return keras.Model(image, logits, name="cnn_ctc")


def _residual_block(x: keras.KerasTensor, name: str, momentum: float) -> keras.KerasTensor:
    """Add to a feature map ``(B, H, W, C)`` what two 3 x 3 convolutions find in it."""
    filters = x.shape[-1]
    y = _conv_block(x, f"{name}a", filters, momentum=momentum, kernel_size=3)
    y = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv_{name}b")(y)
    y = layers.BatchNormalization(momentum=momentum, name=f"normalise_{name}b")(y)
    return layers.Activation("relu", name=f"relu_{name}b")(layers.Add(name=f"add_{name}")([x, y]))


def _weigh_channels(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Let the whole picture decide how much each channel of ``(B, H, W, C)`` counts.

    Source: Hu, Shen and Sun, *Squeeze-and-Excitation Networks*, 2018.
    """
    filters = x.shape[-1]
    whole = layers.GlobalAveragePooling2D(keepdims=True, name=f"whole_{name}")(x)
    whole = layers.Dense(filters // 4, activation="relu", name=f"squeeze_{name}")(whole)
    whole = layers.Dense(filters, activation="sigmoid", name=f"excite_{name}")(whole)
    return layers.Multiply(name=f"weigh_{name}")([x, whole])


def _whole_line(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Tell each frame of ``(B, T, C)`` what the line is like: how large its letters are, say."""
    line = layers.GlobalAveragePooling1D(keepdims=True, name=f"mean_{name}")(x)
    line = layers.Dense(x.shape[-1], name=f"dense_{name}")(line)
    return layers.Add(name=f"add_{name}")([x, line])


def residual_ctc(
    charset: Charset,
    *,
    length: int,
    height: int = 48,
    width: int = 192,
    channels: int = 3,
    dropout: float = 0.0,
    momentum: float = BATCH_NORM_MOMENTUM,
) -> keras.Model:
    """Build the reader of any look for CTC: residual blocks in colour, then convolutions in time.

    Three times as much work as `cnn_ctc`, for a world three times as wide. What is ink and what is
    background, no single window can tell: so twice the channels are weighed by what the whole
    picture shows. Nor can one letter tell whether it is an ``o`` or an ``O``: so each frame is told
    what the frames of the whole line have in common.

    Source: He et al., *Deep Residual Learning*, 2015; Hu, Shen and Sun, *Squeeze-and-Excitation
    Networks*, 2018; Yu and Koltun, *Multi-Scale Context Aggregation by Dilated Convolutions*, 2016.

    Args:
        charset: The characters to read; V is ``charset.num_classes``.
        length: Characters of the longest label.
        height: Image height in pixels.
        width: Image width in pixels.
        channels: Channels of the image C: 3 for colour, 1 for grey.
        dropout: Share of the features of a picture that are left out in training, 0–1.
        momentum: How slowly batch normalisation forgets; 0.99 for a training of many hours.

    Returns:
        A model from ``(B, height, width, C)`` in 0–255 to CTC logits ``(B, T, V)``, where T is
        ``ceil(width / 4)``.

    Raises:
        ValueError: If the image is smaller than 16 pixels, or too narrow for the label.

    Example:
        >>> model = residual_ctc(Charset("0123456789"), length=12)
        >>> model.input_shape, model.output_shape
        ((None, 48, 192, 3), (None, 48, 11))
    """
    image = _image_input(height, width, length, channels)
    # In float32 at both ends, also where the rest is trained with fewer bits.
    x = layers.Rescaling(1 / 255, name="to_0_1", dtype="float32")(image)
    x = layers.Reshape((height, width * channels, 1), name="side_by_side", dtype="float32")(x)
    x = _even_contrast(x)  # of all channels together, so that colours stay what they are
    x = layers.Reshape((height, width, channels), name="channels", dtype="float32")(x)
    x = _conv_block(x, "1", 32, momentum=momentum, kernel_size=5, strides=2)
    for number, (filters, strides) in enumerate(((48, 2), (80, (2, 1)), (144, (2, 1))), start=2):
        x = _conv_block(x, str(number), filters, momentum=momentum, kernel_size=3, strides=strides)
        x = _residual_block(x, f"residual_{number}", momentum)
        if number != 3:
            x = _weigh_channels(x, str(number))
    x = _columns(x)  # (B, T, C)
    _check_time_steps(x.shape[1], length, width)
    if dropout:
        x = layers.SpatialDropout1D(dropout, name="dropout")(x)
    x = layers.Dense(256, use_bias=False, name="narrow")(x)
    x = layers.BatchNormalization(momentum=momentum, name="normalise_narrow")(x)
    x = layers.Activation("relu", name="relu_narrow")(x)
    for number, dilation in enumerate((1, 2, 4, 1), start=1):
        if number == 3:
            x = _whole_line(x, "whole_line")
        y = _time_block(x, f"time_{number}", dilation, filters=256, momentum=momentum)
        x = layers.Add(name=f"add_time_{number}")([x, y])  # (B, T, 256)
    logits = layers.Dense(charset.num_classes, name="logits", dtype="float32")(x)
    return keras.Model(image, logits, name="residual_ctc")


def multi_head(charset: Charset, *, length: int, height: int = 48, width: int = 144) -> keras.Model:
    """Build a reader without CTC: shared convolutions and one head for each position.

    Head ``i`` looks at the whole picture and names the i-th character, or class 0 where the label
    is shorter. There is no alignment to find, so it learns from the first step; on the other hand
    every head has to learn every character by itself.

    Args:
        charset: The characters to read; V is ``charset.num_classes``.
        length: Characters of the longest label, L: the number of heads.
        height: Image height in pixels.
        width: Image width in pixels.

    Returns:
        A model from ``(B, height, width, 1)`` in 0–255 to logits ``(B, L, V)``.

    Raises:
        ValueError: If the image is smaller than 16 pixels or ``length`` below 1.

    Example:
        >>> model = multi_head(Charset("0123456789"), length=6)
        >>> model.output_shape
        (None, 6, 11)
    """
    image = _image_input(height, width, length)
    x = _conv_columns(image)  # (B, T, C)
    x = layers.Dense(64, activation="relu", name="narrow")(x)
    x = layers.Flatten(name="whole_line")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    heads = []
    for position in range(1, length + 1):
        head = layers.Dense(charset.num_classes, name=f"position_{position}")(x)
        heads.append(layers.Reshape((1, charset.num_classes), name=f"row_{position}")(head))
    logits = layers.Concatenate(axis=1, name="logits")(heads) if length > 1 else heads[0]
    return keras.Model(image, logits, name="multi_head")
