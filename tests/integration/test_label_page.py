"""From a folder without labels to a reader, as a person does it: in a browser, by the keyboard."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from captcha_helpers import evaluate, load
from captcha_helpers.data.label_book import LabelBook
from captcha_helpers.drawing.samples import write_samples
from captcha_helpers.reading.evaluation import Evaluation
from captcha_helpers.serving.label_session import LabelSession
from tests.patience import end_of, until

pytestmark = pytest.mark.slow


@pytest.fixture
def browser(chromium: Any) -> Iterator[Any]:
    """A browser as wide as a phone."""
    phone = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    yield chromium
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


class Labelling:
    """The command, and its page in a browser."""

    def __init__(self, browser: Any, *arguments: object) -> None:
        command = [sys.executable, "-m", "captcha_helpers", "label", *map(str, arguments)]
        self.process = subprocess.Popen(
            [*command, "--no-browser"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        said = self.process.stdout.readline() + self.process.stdout.readline()
        (url,) = re.findall(r"http://127\.0\.0\.1:\d+/[\w-]+/", said)
        self.browser = browser
        browser.get(url)
        self.wait(self.name)

    def wait(self, condition: Callable[[], object]) -> None:
        until(condition, lambda: (self.text("message"), self.text("training")), pause=0.2)

    def text(self, name: str) -> str:
        return self.browser.find_element("id", name).text

    def name(self) -> str:
        return self.text("guess").split(":")[0]

    def press(self, key: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.browser).send_keys(key).perform()

    def label(self, text: str) -> None:
        """Accept the guess if it is right; else type what is true."""
        from selenium.webdriver import Keys

        before, field = self.name(), self.browser.switch_to.active_element
        assert field.get_attribute("id") == "label"
        if field.get_attribute("value") != text:
            field.send_keys(Keys.CONTROL, "a")
            self.press(text)
        self.press(Keys.ENTER)
        self.wait(lambda: self.name() != before or "once more" in self.text("message"))
        if self.name() == before:  # a character that no label had
            self.press(Keys.ENTER)
            self.wait(lambda: self.name() != before)


def test_from_a_folder_without_labels_to_a_reader(browser: Any, tmp_path: Path):
    folder, out = tmp_path / "pictures", tmp_path / "reader.keras"
    folder.mkdir()
    truth = {}
    for number, path in enumerate(write_samples(tmp_path, 300, seed=11, styles=["slanted"])):
        name = f"{number:03}.png"
        truth[name] = path.stem.split("_")[0]
        (folder / name).write_bytes(path.read_bytes())
    options = [folder, "--out", out, "--minutes", "0.3"]
    page = Labelling(browser, *options)
    try:
        width = "return document.documentElement.scrollWidth"
        assert browser.execute_script(width) <= 360
        for _ in range(12):
            page.label(truth[page.name()])
        page.process.send_signal(signal.SIGKILL)
        page.process.wait()
        written = LabelBook(folder / "labels.csv").labels
        assert len(written) == 12 and written.items() <= truth.items()

        page = Labelling(browser, *options)
        assert "12 of 300 labelled" in page.text("count")
        while len(LabelBook(folder / "labels.csv").labels) < 44:  # a training begins with 20
            page.label(truth[page.name()])
        page.wait(lambda: "a reader of 20 labels" in page.text("training"))
        for name, shown in (("survey", "accept-all"), ("accept-all", "done"), ("save", "done")):
            browser.execute_script(f"document.getElementById({name!r}).focus()")
            page.press(" ")
            element = browser.find_element("id", shown)
            page.wait(lambda element=element: element.is_displayed() and element.text)
            page.wait(lambda name=name: name != "save" or "is written" in page.text("done"))
        page.process.send_signal(signal.SIGINT)
        end_of(page.process)
        assert page.process.returncode == 0
    finally:
        page.process.kill()
        page.process.wait()
    labels = LabelBook(folder / "labels.csv").labels
    assert sum(truth[name] == text for name, text in labels.items()) >= 0.97 * len(labels) > 200
    write_samples(tmp_path / "others", 100, seed=12, styles=["slanted"])
    found = evaluate(load(out), tmp_path / "others" / "slanted")
    assert isinstance(found, Evaluation) and found.score.exact_match >= 0.95
    assert sorted(path.name for path in folder.glob("*.png")) == sorted(truth)


def test_a_reader_that_is_good_enough_is_proposed_for_the_rest(browser: Any, tmp_path: Path):
    (folder,) = {path.parent for path in write_samples(tmp_path, 3, styles=["stars"])}
    session = LabelSession(folder, labels=tmp_path / "my.csv", trainings=False)
    notes = {"unreadable": [], "tests": [[session._guesser.key, 0, "1", "1"]] * 80}
    session.close()
    (tmp_path / ".my.csv.session").write_text(json.dumps(notes), "utf-8")
    page = Labelling(browser, folder, "--labels", tmp_path / "my.csv", "--no-training")
    try:
        assert "100 % (95 % to 100 %). That is enough" in page.text("quality")
        colour = browser.find_element("id", "survey").value_of_css_property("background-color")
        assert colour != browser.find_element("id", "skip").value_of_css_property(
            "background-color"
        )
    finally:
        page.process.kill()
        page.process.communicate()


def test_every_control_has_a_name(browser: Any, tmp_path: Path):
    (folder,) = {path.parent for path in write_samples(tmp_path, 3, styles=["stars"])}
    page = Labelling(browser, folder, "--labels", tmp_path / "my.csv", "--no-training")
    try:
        tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        roles = {"button", "textbox", "image", "progressbar"}
        named = [
            (node["role"]["value"], node.get("name", {}).get("value"))
            for node in tree
            if not node.get("ignored") and node["role"]["value"] in roles
        ]
        assert {role for role, _ in named} == roles and all(name for _, name in named), named
    finally:
        page.process.kill()
        page.process.communicate()
