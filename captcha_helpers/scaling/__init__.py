"""Draw and read on many machines: the work of one, given to a Ray cluster in pieces.

Imports `core`, `data`, `drawing` and `reading`. Ray does the queue, the retries and the machines;
here is only what must hold whatever it does: the same bytes, every image once. Begin with
`drawing_shards`.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__, submodules=["cluster", "drawing_shards", "places", "reading_rows", "table_parts"]
)
