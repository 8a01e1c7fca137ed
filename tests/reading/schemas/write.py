"""Write a file of every schema: once, when a schema is new. A file that is here is not replaced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from captcha_helpers import Mask, Processing, save_model
from tests.tiny_models import SPEC, onnx_bytes

HERE = Path(__file__).parent
PROCESSED = replace(SPEC, processing=Processing(strong=True))
COLOUR = replace(PROCESSED, channels=3)
MASKED = replace(COLOUR, mask=Mask("ab", (2, 2)))
SPECS = [
    SPEC,
    PROCESSED,
    COLOUR,
    MASKED,
    replace(MASKED, processing=Processing(strong=True, frame="last")),
]


def main() -> None:
    for schema, spec in enumerate(SPECS, start=1):
        path = HERE / f"schema_{schema}.onnx"
        if not path.exists():
            path.write_bytes(onnx_bytes(spec.to_json()))
    if not (HERE / "schema_1.keras").exists():
        import keras
        from keras import layers

        keras.utils.set_random_seed(0)
        image = keras.Input((SPEC.height, SPEC.width, SPEC.channels), name="image")
        x = layers.AveragePooling2D((16, 3), strides=(16, 3))(layers.Rescaling(1 / 255)(image))
        x = layers.Reshape((10, 1))(x)
        save_model(
            keras.Model(image, layers.Conv1D(3, 2, name="logits")(x)),
            SPEC,
            HERE / "schema_1.keras",
        )


if __name__ == "__main__":
    main()
