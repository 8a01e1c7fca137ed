"""Pictures and folders: loading, preparing, augmenting and cutting images, labels and splits.

Imports `core` only. Begin with `images`: what happens to a picture before a model sees it.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submodules=[
        "augment",
        "checks",
        "containers",
        "decoding",
        "examples",
        "folders",
        "images",
        "label_book",
        "label_files",
        "label_studio",
        "labels",
        "names",
        "processing",
        "segmentation",
    ],
)
