"""Take the pictures of the exported web page and of the page on which one labels.

The README and notebooks 05 and 07 show them. Needs Chromium and its driver, and npm:
``python -m tools.page_picture``; ``python -m tools.page_picture label`` takes the second only.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

import captcha_helpers as ch
from captcha_helpers.serving.label_session import LabelSession
from captcha_helpers.serving.labelling import HOST, LabelPage
from captcha_helpers.serving.server import listen

OUT = Path(__file__).parents[1] / "docs" / "images"
LABELLED = 7  # images that have a label when the picture is taken


class Quiet(SimpleHTTPRequestHandler):
    """A web server that writes no line for each file."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def chromium(address: str, width: int, height: int) -> Iterator[webdriver.Chrome]:
    """Open a page in a browser without a window."""
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", f"--window-size={width},{height}"):
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium") or ""
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    with webdriver.Chrome(options, service) as browser:
        browser.get(address)
        yield browser


def picture_of(browser: webdriver.Chrome) -> Image.Image:
    """What the window shows, in few colours."""
    shown = Image.open(io.BytesIO(browser.get_screenshot_as_png()))
    return shown.convert("RGB").quantize(128)


def web_page(work: Path) -> Image.Image:
    """Let the exported page read a sample."""
    ch.write_samples(work, 24, seed=3, styles=["gradient"])
    ch.export("pretrained", work / "out", formats=["web"], samples=work / "gradient")
    handler = partial(Quiet, directory=work / "out" / "web")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with chromium(f"http://127.0.0.1:{server.server_port}/", 1000, 1500) as browser:
            ready = "return document.documentElement.dataset.state"
            WebDriverWait(browser, 60).until(lambda _: browser.execute_script(ready) == "ready")
            browser.find_element(By.ID, "sample").click()
            WebDriverWait(browser, 60).until(lambda _: browser.find_element(By.ID, "text").text)
            picture = picture_of(browser)
        server.shutdown()
    return picture


def label_page(work: Path) -> Image.Image:
    """Label some images of a folder, and show the next."""
    images, labels = ch.generate("gradient", 60, seed=4)
    for number, image in enumerate(images):
        Image.fromarray(image).save(work / f"{number:04d}.png")
    session = LabelSession(work, trainings=False)
    for number in range(LABELLED):
        session.label(f"{number:04d}.png", labels[number])
    page = LabelPage(session, listen(HOST, 0))
    page.start()
    try:
        with chromium(page.url, 900, 1040) as browser:
            WebDriverWait(browser, 60).until(lambda _: browser.find_element(By.ID, "guess").text)
            rename = "const p = document.getElementById('where');"
            rename += "p.textContent = p.textContent.replace(arguments[0], 'my_images')"
            browser.execute_script(rename, str(work))
            return picture_of(browser)
    finally:
        page.close()


PICTURES = {"web": web_page, "label": label_page}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *PICTURES], help="default: both")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the pictures")
    options = parser.parse_args()
    for name in options.names or PICTURES:
        with tempfile.TemporaryDirectory() as work:
            picture = PICTURES[name](Path(work))
        path = options.out / f"{name}_page.png"
        picture.save(path, optimize=True)
        print(path, picture.size)


if __name__ == "__main__":
    main()
