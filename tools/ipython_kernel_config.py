"""Settings of the kernels in ``.venv``; ``make`` copies this file there.

TensorFlow's C++ code writes log lines to stderr when it is imported. They say nothing about a
notebook and differ from machine to machine, so they belong into the terminal and not into cells.
"""

c = get_config()  # noqa: F821  # IPython provides it
c.IPKernelApp.capture_fd_output = False
