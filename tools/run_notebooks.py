"""Execute notebooks in order, in place or into another folder.

``python -m tools.run_notebooks`` runs all of ``notebooks/``, ``python -m tools.run_notebooks 03``
those whose names start so, ``solutions/`` all solutions; a path works too. A notebook is replaced
only after all its cells ran. With ``--out FOLDER`` the notebooks stay as they are; executed copies
go there.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode

from captcha_helpers.core.files import replacing

FOLDER = Path("notebooks")
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
# What TensorFlow's C++ code logs goes to the kernel's stderr, not into the notebook.
KERNEL_ARGUMENTS = ["--IPKernelApp.capture_fd_output=False"]
CLEAR = "\033[K" if sys.stdout.isatty() else ""  # to the end of the line


class ThisPython(KernelSpecManager):
    """The running Python as the only kernel, whatever ``python3`` means to Jupyter elsewhere."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return the same kernel for every name."""
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name=kernel_name, language="python")


def find_notebooks(names: Sequence[str], folder: Path) -> list[Path]:
    """Find the notebooks that were asked for.

    Args:
        names: Paths, or beginnings of file names; none for all.
        folder: Where the notebooks are.

    Returns:
        Their paths, in order.

    Raises:
        FileNotFoundError: If a name fits no notebook.
    """
    found = []
    for name in names or [""]:
        paths = [Path(name)] if name.endswith(".ipynb") else sorted(folder.glob(f"{name}*.ipynb"))
        if not paths or not paths[0].is_file():
            raise FileNotFoundError(f"no notebook {name!r} in {folder}")
        found += paths
    return found


def execute(path: Path, out: Path | None = None) -> None:
    """Run a notebook from top to bottom in its own folder and write the result.

    Args:
        path: The notebook; it stays as it is if a cell fails.
        out: The folder for the result, under the same name. None replaces the notebook by it.

    Raises:
        RuntimeError: If a cell fails or the kernel dies; the message shows the cell and what the
            kernel wrote to stderr.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryFile() as log:
        client = NotebookClient(
            notebook,
            km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=ThisPython()),
            timeout=None,
            record_timing=False,
            extra_arguments=KERNEL_ARGUMENTS,
            on_cell_execute=_progress(path.name, notebook),
        )
        try:
            client.execute(cwd=str(path.parent), stderr=log, cleanup_kc=True)
        except (CellExecutionError, DeadKernelError) as error:
            log.seek(0)
            said = log.read().decode(errors="replace")[-2000:]
            raise RuntimeError(
                f"{path.name} failed and was left as it was.\n{error}\n{said}"
            ) from error
    _tidy(notebook)
    with replacing((out or path.parent) / path.name) as part:
        nbformat.write(notebook, part)


def _progress(name: str, notebook: NotebookNode) -> Callable[..., None]:
    code = [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.source]
    start = time.monotonic()
    end = f"{CLEAR}\r" if CLEAR else "\n"

    def show(cell: NotebookNode, cell_index: int) -> None:
        seconds = time.monotonic() - start
        words = cell.source.splitlines()[0][:40]
        number = code.index(cell_index) + 1
        print(f"{name} [cell {number}/{len(code)}, {seconds:.0f} s] {words}", end=end, flush=True)

    return show


def _tidy(notebook: NotebookNode) -> None:
    """Remove what would differ from one machine to the next."""
    notebook.metadata.kernelspec = KERNELSPEC
    notebook.metadata.language_info.pop("version", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)


def main() -> None:
    """Run from the clone's root."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="paths, or beginnings of names; default: all")
    parser.add_argument("--out", type=Path, help="leave the notebooks alone and write copies here")
    options = parser.parse_args()
    begin = time.monotonic()
    try:
        for path in find_notebooks(options.names, FOLDER):
            start = time.monotonic()
            execute(path, options.out and options.out / path.parent.relative_to(FOLDER))
            print(f"{path.name} done in {time.monotonic() - start:.0f} s{CLEAR}")
    except (FileNotFoundError, RuntimeError) as error:
        sys.exit(str(error))
    print(f"all done in {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
