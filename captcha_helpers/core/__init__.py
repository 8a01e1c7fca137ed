"""What a learner reads from first to last line: characters, CTC, metrics and the models.

Imports nothing else of the package. Begin with `charset`, then `ctc`, `metrics` and `models`.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__, submodules=["charset", "ctc", "extras", "files", "metrics", "models", "output"]
)
