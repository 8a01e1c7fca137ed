"""Install the package for the Python that runs this: the notebooks' set-up cell does, on Colab say.

With the pinned versions and what the notebooks import, but without Jupyter, which must stay as it
is; with TensorFlow for a GPU where there is one.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path


def main() -> None:
    """Run in the notebook's own process.

    Raises:
        RuntimeError: If the process has another NumPy loaded than is installed now.
    """
    project = Path(__file__).resolve().parents[1]
    pins = str(project / "constraints.txt")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "-c", pins]
    package = f"captcha-helpers[notebooks] @ {project.as_uri()}"
    gpu = ["tensorflow[and-cuda]"] if shutil.which("nvidia-smi") else []
    subprocess.run([*pip, package, *gpu], check=True)
    importlib.invalidate_caches()
    if "numpy" in sys.modules and sys.modules["numpy"].__version__ != version("numpy"):
        raise RuntimeError("Installed. Choose Runtime > Restart session, then run this again.")


if __name__ == "__main__":
    main()
