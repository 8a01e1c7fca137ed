"""The command ``captcha-helpers``: each verb is a call or two of public functions.

May import everything. Begin with `main`.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submodules=[
        "child",
        "doctor",
        "draw",
        "errors",
        "export",
        "label",
        "learn",
        "loading",
        "main",
        "options",
        "read",
        "readings",
        "serve",
    ],
)
