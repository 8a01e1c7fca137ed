"""Take the picture of the exported web page that the README and notebook 05 show.

Needs Chromium and its driver, and npm: ``python -m tools.page_picture``.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

import captcha_helpers as ch

OUT = Path(__file__).parents[1] / "docs" / "images" / "web_page.png"


class Quiet(SimpleHTTPRequestHandler):
    """A web server that writes no line for each file."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def photograph(address: str, width: int, height: int) -> Image.Image:
    """Open the page, let it read a sample, and take a picture of it."""
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", f"--window-size={width},{height}"):
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium") or ""
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    with webdriver.Chrome(options, service) as browser:
        browser.get(address)
        ready = "return document.documentElement.dataset.state"
        WebDriverWait(browser, 60).until(lambda _: browser.execute_script(ready) == "ready")
        browser.find_element(By.ID, "sample").click()
        WebDriverWait(browser, 60).until(lambda _: browser.find_element(By.ID, "text").text)
        return Image.open(io.BytesIO(browser.get_screenshot_as_png()))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        ch.write_samples(Path(work), 24, seed=3, styles=["gradient"])
        ch.export(
            "pretrained",
            Path(work, "out"),
            formats=["web"],
            samples=Path(work, "gradient"),
        )
        handler = partial(Quiet, directory=Path(work, "out", "web"))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            picture = photograph(f"http://127.0.0.1:{server.server_port}/", 1000, 1500)
            server.shutdown()
    picture.convert("RGB").quantize(128).save(options.out, optimize=True)
    print(options.out, picture.size)


if __name__ == "__main__":
    main()
