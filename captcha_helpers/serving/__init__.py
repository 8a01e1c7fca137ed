"""A reader as an HTTP service.

Imports `core`, `data` and `reading`. Begin with `app`, which holds `serve`.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submodules=[
        "app",
        "fetch",
        "forecast",
        "label_session",
        "labelling",
        "queue",
        "server",
        "slow_clients",
        "training",
        "uploads",
    ],
)
