"""Drawing CAPTCHAs: looks as data, the painter, random looks, data sets on disk.

Imports `core` and `data`. Begin with `styles`, which says what a look is.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__, submodules=["painter", "random_looks", "samples", "strangers", "styles", "writing"]
)
