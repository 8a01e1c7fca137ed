"""Run the command line as ``python -m captcha_helpers``."""

from captcha_helpers.cli.main import main

main(prog_name="captcha-helpers")
