"""From labelled images to a reader: batches, fitting, pre-trained weights and the recipe.

Imports `core`, `data`, `drawing` and `reading`. Begin with `recipe`, which holds `train`.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submodules=[
        "adapt",
        "batches",
        "checkpoint",
        "cross_check",
        "fitting",
        "kinds",
        "messages",
        "plan",
        "pseudo_labels",
        "recipe",
        "run",
        "split",
        "starts",
        "trainings",
        "unseen",
    ],
)
