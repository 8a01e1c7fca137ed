"""A trained model in other formats, each compared with the original.

Imports `core`, `data`, `drawing` and `reading`. Begin with `formats`, which holds `export`.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__, submodules=["formats", "litert", "onnx_graph", "onnx_int8", "page"]
)
