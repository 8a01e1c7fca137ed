"""Install the package for the Python that runs this: the notebooks' set-up cell does, on Colab say.

With the pinned versions and what the notebooks import, but without Jupyter, which must stay as it
is; with TensorFlow for a GPU where there is one, and with the kernel's settings that keep what
TensorFlow's C++ code logs out of the notebook. A kernel reads these as it starts.
"""

from __future__ import annotations

import contextlib
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
    settings = Path(sys.prefix, "etc", "ipython")
    with contextlib.suppress(OSError):  # where one may not write, TensorFlow is less quiet
        settings.mkdir(parents=True, exist_ok=True)
        shutil.copy(project / "tools" / "ipython_kernel_config.json", settings)
        print("After a restart of the session, TensorFlow's own messages stay out of the notebook.")
    if "numpy" in sys.modules and sys.modules["numpy"].__version__ != version("numpy"):
        raise RuntimeError("Installed. Choose Runtime > Restart session, then run this again.")


if __name__ == "__main__":
    main()
