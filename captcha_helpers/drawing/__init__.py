"""Drawing CAPTCHAs: looks as data, the painter, random looks, data sets on disk.

Imports `core` and `data`. Begin with `styles`, which says how one kind of CAPTCHA looks, and the
`painter`. All the kinds that readers are pre-trained on are in `looks`, and how each layer of them
is drawn in `palettes`, `backgrounds`, `lettering`, `clutter`, `warps` and `finishes`.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submodules=[
        "backgrounds",
        "clutter",
        "dice",
        "finishes",
        "label_kinds",
        "lettering",
        "looks",
        "painter",
        "palettes",
        "random_looks",
        "samples",
        "strangers",
        "styles",
        "warps",
        "writing",
    ],
)
