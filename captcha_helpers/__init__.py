"""Generate, read and measure text CAPTCHAs.

Every public name can be imported from here; `__init__.pyi` lists them. The modules behind the names
are loaded when a name is first used, so importing the package is quick and reading a picture never
loads TensorFlow. Who wants to read the code begins with the room `core`.

Example:
    >>> import captcha_helpers
    >>> captcha_helpers.Charset(captcha_helpers.DIGITS).encode(["42"])
    array([[5, 3]], dtype=int32)
"""

import os

import lazy_loader as _lazy

__version__ = "0.1.0"

# TensorFlow reads both when it is first imported. It leaves its oneDNN kernels off on CPUs without
# AVX-512; with them our models train half as fast again. The second silences most of what its C++
# code logs (instruction sets, a missing GPU), and no Python warning or exception.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# onnxruntime, 1.31 for one, writes a device id into the user's cache and sends events about models.
# It reads this when it is first imported, so nothing of ours may import it before this package.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# OpenCV reads this when it is first imported. On images as small as ours a second thread waits as
# busily as the first one works, and nothing is ready sooner.
os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
