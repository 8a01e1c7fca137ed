"""A Parquet file of readings, written in parts: what is finished stays when the rest is stopped."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from captcha_helpers.core.files import full_disk
from captcha_helpers.scaling.places import listed, on_disk, put, written

if TYPE_CHECKING:
    import pyarrow as pa

Row = tuple[str, str | None, float | None, str | None]  # file, text, confidence, error


class Parts:
    """The parts of a table, which lie in a hidden folder beside it until it is complete.

    Args:
        out: The table, on a disk of this machine or in a place that fsspec knows.

    Example:
        >>> parts = Parts("memory://parts/a.parquet")
        >>> parts.keep("first", [("a.png", "4xn7", 0.9, None), ("b.png", None, None, "no image")])
        >>> parts.names(), parts.join(["first"]), parts.names()
        ({'first'}, 1, set())
    """

    def __init__(self, out: str) -> None:
        import fsspec

        self._files, self._out = fsspec.url_to_fs(out)
        self._place, _, name = self._out.rpartition("/")
        self._folder = f"{self._place}/.{name}.parts"

    def names(self) -> set[str]:
        """The parts that are there."""
        return {name.removesuffix(".parquet") for name in listed(self._files, self._folder)}

    def keep(self, name: str, rows: Sequence[Row]) -> None:
        """Write a part, in one step.

        Raises:
            OSError: If that cannot be done.
        """
        from pyarrow import parquet

        data = io.BytesIO()
        parquet.write_table(_as_table(rows), data)
        with self._telling_of_a_full_disk():
            put(self._files, self._part(name), data.getvalue())

    def join(self, names: Iterable[str]) -> int:
        """Write the table from its parts, one after another, and remove them.

        Args:
            names: The parts, in the order of the rows.

        Returns:
            How many rows have an error.

        Raises:
            OSError: If the table cannot be written. The parts are kept.
        """
        from pyarrow import parquet

        errors = 0
        with (
            self._telling_of_a_full_disk(),
            written(self._files, self._out) as path,
            parquet.ParquetWriter(path, _as_table([]).schema) as file,
        ):
            for name in names:
                data = self._files.cat_file(self._part(name))
                part = parquet.read_table(io.BytesIO(data))
                errors += len(part) - part["error"].null_count
                file.write_table(part)
        self._files.rm(self._folder, recursive=True)
        return errors

    @contextmanager
    def _telling_of_a_full_disk(self) -> Iterator[None]:
        """Say which disk it is, and that nothing is lost."""
        try:
            yield
        except OSError as error:
            reason = full_disk(error)
            if not reason:
                raise
            place = self._place if on_disk(self._files) else tempfile.gettempdir()
            told = type(error)(
                f"{self._out!r} cannot be written, since the disk of {place!r} takes no more "
                f"({reason}); what was read is kept, and the same command goes on as soon as "
                "there is room"
            )
            told.errno = error.errno
            raise told from error

    def _part(self, name: str) -> str:
        return f"{self._folder}/{name}.parquet"


def _as_table(rows: Sequence[Row]) -> pa.Table:
    import pyarrow as pa

    schema = pa.schema(
        [
            pa.field("file", pa.string(), nullable=False),
            pa.field("text", pa.string()),
            pa.field("confidence", pa.float64()),
            pa.field("error", pa.string()),
        ]
    )
    columns = list(map(list, zip(*rows, strict=True))) or [[], [], [], []]
    columns[0] = [name.encode(errors="backslashreplace").decode() for name in columns[0]]
    return pa.table(columns, schema=schema)
