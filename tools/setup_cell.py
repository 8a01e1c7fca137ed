"""The set-up cell that every notebook starts with: its one source.

``tools/set_repository.py`` writes it into the notebooks, a test holds them to it.
"""

FIRST_WORDS = "# Set-up:"

_TEMPLATE = """\
# Set-up: does nothing in a clone (make lab); elsewhere, for example on Colab, it installs.
import importlib.util
import subprocess
import sys
from pathlib import Path

REPOSITORY = "@REPOSITORY@"
if importlib.util.find_spec("captcha_helpers") is None:
    wheels = sorted(Path.cwd().glob("captcha_helpers-*.whl"))
    if not (REPOSITORY or wheels):
        raise FileNotFoundError("Upload the wheel that `make wheel` left in dist/, then run this.")
    url = f"git+https://github.com/{REPOSITORY}" if REPOSITORY else wheels[-1].as_uri()
    package = f"captcha-helpers[notebooks] @ {url}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)
    importlib.invalidate_caches()

import captcha_helpers  # noqa: F401 - before TensorFlow, whose quick kernels it switches on"""


def setup_cell(repository: str = "") -> str:
    """Return the text of the set-up cell.

    Args:
        repository: ``owner/name`` on GitHub, or nothing while there is no public address.

    Returns:
        The cell's source, without a line break at its end.

    Example:
        >>> setup_cell("owner/name").splitlines()[6]
        'REPOSITORY = "owner/name"'
    """
    return _TEMPLATE.replace("@REPOSITORY@", repository)
