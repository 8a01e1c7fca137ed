"""Reading pictures with a model file, and measuring how well that goes.

Imports `core` and `data`, and never TensorFlow unless a file needs it. Begin with `recognizer`.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submodules=[
        "calibration",
        "decoder",
        "evaluation",
        "label_errors",
        "mask",
        "model_file",
        "recognizer",
        "report",
        "robustness",
        "runtimes",
        "safety",
        "shipped",
        "suggestions",
        "weights",
    ],
)
