"""The set-up cell that every notebook starts with: its one source.

``tools/set_repository.py`` writes it into the notebooks, a test holds them to it, and another one
runs it where only what Colab has is there.
"""

FIRST_WORDS = "# @title Set-up"
# Collapsed, on Colab by the first, in JupyterLab by the second.
METADATA = {"cellView": "form", "jupyter": {"source_hidden": True}}

_TEMPLATE = """\
# @title Set-up: does nothing in a clone (make lab); elsewhere, for example on Colab, it installs
import importlib.util
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = "@REPOSITORY@"
project = Path("captcha-helpers")  # a copy of the project, with its pictures and results
if importlib.util.find_spec("captcha_helpers") is None:
    if REPOSITORY and not project.is_dir():
        address = f"https://github.com/{REPOSITORY}"
        subprocess.run(["git", "clone", "--quiet", "--depth=1", address, project], check=True)
    elif not project.is_dir():
        if "google.colab" in sys.modules and not [*Path().glob("captcha-helpers*.zip")]:
            print("Upload dist/captcha-helpers-colab.zip, which `make colab` has made:")
            importlib.import_module("google.colab.files").upload()
        if not (zips := [*Path().glob("captcha-helpers*.zip")]):
            raise FileNotFoundError("Put the zip of `make colab` beside this notebook.")
        shutil.unpack_archive(zips[0])
    runpy.run_path(str(project / "tools" / "install_here.py"), run_name="__main__")
os.chdir(project / "notebooks" if project.is_dir() else ".")
import captcha_helpers  # noqa: E402, F401 - before TensorFlow: it switches quick kernels on"""


def setup_cell(repository: str = "") -> str:
    """Return the text of the set-up cell.

    Args:
        repository: ``owner/name`` on GitHub, or nothing while there is no public address.

    Returns:
        The cell's source, without a line break at its end.

    Example:
        >>> setup_cell("owner/name").splitlines()[9]
        'REPOSITORY = "owner/name"'
    """
    return _TEMPLATE.replace("@REPOSITORY@", repository)
