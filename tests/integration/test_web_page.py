"""The web page reads what Python reads, in a real browser, and sends nothing anywhere."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle, product
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

import captcha_helpers
from captcha_helpers import (
    ALPHANUMERIC,
    Mask,
    ModelSpec,
    Processing,
    Recognizer,
    evaluate,
    generate,
    greedy_decode,
    load,
    load_image,
    read_spec,
    write_report,
)
from captcha_helpers.data.processing import ink_box
from captcha_helpers.drawing.styles import STYLES
from captcha_helpers.exporting import page as page_module
from captcha_helpers.exporting.page import (
    CDN,
    RUNTIME_FILES,
    fetch_runtime,
    page_server,
    write_page,
)
from captcha_helpers.learning.starts import start_file
from captcha_helpers.reading.recognizer import from_keras
from captcha_helpers.reading.runtimes import load_keras
from tests.patience import end_of
from tests.servers import picture, read_greys, serving

pytestmark = pytest.mark.slow

SPEC = ModelSpec("0123456789", (4, 6), 48, 160)
PRETRAINED = start_file("pretrained")
LENGTHS = [(1, 8), (1, 1), (2, 3), (4, 4), (5, 5)]
KINDS = ("native", "resized", "enlarged", "half transparent", "JPEG", "turned JPEG")


def png(image: np.ndarray | Image.Image) -> bytes:
    return encode(image if isinstance(image, Image.Image) else Image.fromarray(image), "PNG")


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


# The decoder in JavaScript


def node() -> str:
    """Node.js of a version that takes decode.js for the module that it is."""
    path = shutil.which("node")
    if path is None:
        pytest.skip("there is no Node.js")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    if tuple(map(int, version[1:].split(".")[:2])) < (20, 19):
        pytest.skip(f"the tests need Node.js 20.19 or later, not {version}")
    return path


def reading_case(spec: ModelSpec, logits: np.ndarray) -> dict[str, Any]:
    """Logits (T, V) and what Python reads in them."""
    reading = Recognizer(lambda images: logits[None], spec).read_prepared(np.zeros((1, 1, 1, 1)))[0]
    steps, classes = logits.shape
    return {
        "spec": json.loads(spec.to_json()),
        "logits": {"data": logits.ravel().tolist(), "steps": steps, "classes": classes},
        "text": reading.text,
        "confidence": reading.confidence,
        "characters": reading.characters,
    }


def random_logits() -> Iterator[tuple[ModelSpec, np.ndarray]]:
    """Of several shapes and lengths; from far too many characters to too few."""
    rng = np.random.default_rng(0)
    for steps, charset in [(5, "ab"), (6, "a中é😀"), (24, "0123456789"), (40, ALPHANUMERIC)]:
        for length, blank, scale in product(LENGTHS, (-2, 0, 2, 4), (1, 6)):
            logits = rng.normal(0, scale, (steps, len(charset) + 1)).astype(np.float32)
            logits[:, 0] += blank * scale
            yield ModelSpec(charset, length, 1, 1), logits


def masks_for(charset: str) -> Iterator[Mask]:
    """None, some of the characters, and one whose charset, length and case all matter."""
    yield Mask()
    yield Mask(charset[: len(charset) // 2 + 1])
    yield Mask(charset[::-2].swapcase(), (2, 3), ignore_case=True)


def test_javascript_decodes_as_python_does(root: Path, tmp_path: Path):
    cases, bitten = [], 0
    for spec, logits in random_logits():
        for mask, head in product(masks_for(spec.charset), ("ctc", "per_position")):
            cases.append(reading_case(replace(spec, mask=mask, head=head), logits))
        plain = np.count_nonzero(greedy_decode(logits[None]))
        bitten += plain != len(cases[-6]["text"])
    assert len(cases) / 15 < bitten < len(cases) / 6  # the length matters in many, not in all
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(cases), encoding="utf-8")
    done = subprocess.run(
        [node(), "--test", "tests/web/decode.test.mjs"],
        cwd=root,
        env=os.environ | {"CAPTCHA_HELPERS_CASES": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "skipped 0" in done.stdout


# The files


def test_page_has_all_that_it_needs(tmp_path: Path):
    write_page(tmp_path, b"model", SPEC, [("4711", b"first"), ("中", b"second")])
    names = {
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    }
    scripts = {
        "app.js",
        "draw.js",
        "painter.js",
        "pictures.js",
        "reader.js",
        "decode.js",
        "mask.js",
    }
    static = {"index.html", "style.css", *scripts}
    written = {
        "model.onnx",
        "metadata.json",
        "samples.json",
        "looks.json",
        "samples/01.png",
        "samples/02.png",
    }
    assert names == static | written
    assert (tmp_path / "model.onnx").read_bytes() == b"model"
    assert ModelSpec.from_json((tmp_path / "metadata.json").read_text("utf-8")) == SPEC
    samples = json.loads((tmp_path / "samples.json").read_text("utf-8"))
    assert [sample["label"] for sample in samples] == ["4711", "中"]
    assert (tmp_path / samples[1]["file"]).read_bytes() == b"second"


def test_the_runtime_lies_beside_the_page_unless_the_cdn_is_asked_for(tmp_path: Path):
    beside, cdn = tmp_path / "beside", tmp_path / "cdn"
    for folder in (beside, cdn):
        folder.mkdir()
    write_page(beside, b"model", SPEC, [], runtime=dict.fromkeys(RUNTIME_FILES, b"code"))
    write_page(cdn, b"model", SPEC, [])
    for name in RUNTIME_FILES:
        assert (beside / "onnxruntime" / name).read_bytes() == b"code"
    assert not (cdn / "onnxruntime").exists()
    texts = [path.read_text("utf-8") for path in beside.glob("*.[hcj]*s*")]
    texts += [(beside / "index.html").read_text("utf-8")]
    assert not any("https:" in text for text in texts)
    html = (cdn / "index.html").read_text("utf-8")
    assert f'name="onnxruntime" content="{CDN}"' in html
    assert html.count("'self' https://cdn.jsdelivr.net") == 2  # scripts, and what they fetch


def policy(html: str) -> dict[str, set[str]]:
    (text,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)
    rules = [rule.split() for rule in text.split(";")]
    return {name: set(sources) for name, *sources in rules}


def test_the_page_allows_nothing_but_itself(root: Path):
    web = root / "captcha_helpers" / "assets" / "web"
    for page in ("index.html", "service.html", "service_docs.html"):
        html = (web / page).read_text("utf-8")
        rules = policy(html)
        assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == {"'none'"}
        assert rules["script-src"] <= {"'self'", "'wasm-unsafe-eval'"}
        assert rules["connect-src"] == rules["style-src"] == {"'self'"}
        assert not re.search(r"<script(?![^>]*src)|<style|style=|\son\w+=", html)  # none inline


def npm_that(says: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    (folder / "npm").write_text(f"#!/bin/sh\n{says}\n")
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for npm is a shell script")
@pytest.mark.parametrize("npm", ["none", "fails", "other"])
def test_without_the_runtime_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, npm: str
):
    def no_network(address: str) -> bytes:
        assert address.startswith(CDN)
        raise OSError("no route")

    monkeypatch.setattr(page_module, "_download", no_network)
    if npm == "none":
        monkeypatch.setenv("PATH", "")
    else:
        says = {"fails": "echo no such network >&2; exit 1", "other": "echo 1 > other.tgz"}
        npm_that(says[npm], tmp_path / "bin", monkeypatch)
    with pytest.raises(OSError, match=r"internet connection.*--cdn") as caught:
        fetch_runtime()
    said = {"none": "not installed", "fails": "no such network", "other": "lacks a file"}
    assert said[npm] in str(caught.value) and "no route" in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="PATH is not all that Windows looks at")
def test_without_npm_the_cdn_brings_the_runtime_and_it_is_checked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(page_module, "_download", lambda address: address.encode())
    with pytest.raises(OSError, match="not the file that this version was tested with"):
        fetch_runtime()
    digests = [hashlib.sha256(f"{CDN}{name}".encode()).hexdigest() for name in RUNTIME_FILES]
    monkeypatch.setattr(page_module, "_SHA256", digests)
    assert fetch_runtime() == {name: f"{CDN}{name}".encode() for name in RUNTIME_FILES}


def test_a_page_whose_runtime_cannot_be_had_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def nowhere() -> dict[str, bytes]:
        raise OSError("no runtime; check the internet connection")

    monkeypatch.setattr(page_module, "fetch_runtime", nowhere)
    checks = captcha_helpers.export("stars", tmp_path / "out", formats=["onnx", "web"])
    assert [check.left_out for check in checks] == ["", "no runtime; check the internet connection"]
    assert not (tmp_path / "out" / "web").exists()
    with pytest.raises(ValueError, match="no runtime"):
        captcha_helpers.export("stars", tmp_path / "other", formats=["web"])
    checks = captcha_helpers.export("stars", tmp_path / "cdn", formats=["web"], cdn=True)
    assert (tmp_path / "cdn" / "web" / "index.html").exists()


def test_the_verb_shows_the_page_and_nothing_else(tmp_path: Path):
    page = tmp_path / "out" / "web"
    page.mkdir(parents=True)
    write_page(page, b"model", SPEC, [("1", b"x")], runtime=dict.fromkeys(RUNTIME_FILES, b""))
    (tmp_path / "secret").write_text("of somebody")
    command = [sys.executable, "-m", "captcha_helpers", "web", tmp_path / "out", "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        (address,) = re.findall(r"http://127\.0\.0\.1:\d+/", line)
        types = {
            "": "text/html", "app.js": "text/javascript", "style.css": "text/css",
            f"onnxruntime/{RUNTIME_FILES[0]}": "text/javascript",
            f"onnxruntime/{RUNTIME_FILES[1]}": "application/wasm", "samples/01.png": "image/png",
        }  # fmt: skip
        with httpx.Client(base_url=address, verify=False) as client:
            for name, kind in types.items():
                answer = client.get(name)
                assert answer.status_code == 200 and answer.headers["content-type"] == kind
                assert answer.headers["x-content-type-options"] == "nosniff"
            for name in ("samples/", "../secret", "%2e%2e/%2e%2e/secret", "nowhere"):
                assert client.get(name).status_code == 404
        process.send_signal(signal.SIGINT)
        assert end_of(process) == ("", "") and process.returncode == 0
    finally:
        process.kill()
        process.wait()


def test_the_verb_says_where_a_page_comes_from(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="captcha-helpers export MODEL --to web"):
        page_server(tmp_path)
    write_page(tmp_path, b"model", SPEC, [])
    with page_server(tmp_path) as server, pytest.raises(OSError, match="choose another --port"):
        page_server(tmp_path, port=server.server_port)


def test_writing_a_page_needs_no_training_packages():
    code = """
import sys, captcha_helpers.exporting.page
print(*{"keras", "tensorflow", "onnx", "cv2"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# The page in a browser


@pytest.fixture(scope="module")
def keras_model() -> Any:
    pytest.importorskip("keras")
    return load_keras(PRETRAINED)


@pytest.fixture(scope="module")
def recognizer(keras_model: Any) -> Recognizer:
    return from_keras(keras_model, read_spec(PRETRAINED))


@pytest.fixture(scope="module")
def folder(keras_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with its runtime beside it."""
    pytest.importorskip("tf2onnx")
    try:
        runtime = fetch_runtime()
    except OSError as error:
        pytest.skip(f"there is no runtime: {error}")
    from captcha_helpers.exporting.onnx_graph import build_onnx

    spec = read_spec(PRETRAINED)
    images, labels = generate("stars", 3, seed=9)
    samples = [(label, png(image)) for label, image in zip(labels, images, strict=True)]
    path = tmp_path_factory.mktemp("page")
    write_page(path, build_onnx(keras_model, spec), spec, samples, runtime=runtime)
    return path


@pytest.fixture
def other(folder: Path, tmp_path: Path) -> Path:
    """A copy of the page, to be changed."""
    return shutil.copytree(folder, tmp_path / "other")


class Handler(http.server.SimpleHTTPRequestHandler):
    """Any page may use the files, as on a content delivery network."""

    def end_headers(self) -> None:
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[[Path], str]]:
    """Serve a folder and tell its address."""
    servers = []

    def start(folder: Path) -> str:
        handler = functools.partial(Handler, directory=str(folder))
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class Page:
    """The page, open in a browser."""

    def __init__(self, browser: Any, url: str) -> None:
        self.browser, self.url = browser, url
        for kind in ("browser", "performance"):
            browser.get_log(kind)  # what earlier pages did
        browser.get(url)
        self.wait(lambda: self.state() != "loading")

    def state(self) -> str:
        return self.run("return document.documentElement.dataset.state")

    def wait(self, condition: Callable[[], object]) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.browser, 20).until(lambda _: condition(), self.result())

    def run(self, script: str, *arguments: object) -> Any:
        return self.browser.execute_script(script, *arguments)

    def run_async(self, body: str, value: object) -> Any:
        """Run the body of an async function of `input`; an error comes back as text."""
        script = f"(async (input) => {{ {body} }})(arguments[0]).then(arguments[1], (error) => "
        return self.browser.execute_async_script(script + "arguments[1](`${error}`))", value)

    def find(self, name: str) -> Any:
        return self.browser.find_element("id", name)

    def result(self) -> str:
        """What people see and screen readers say."""
        return self.find("result").text

    def choose(self, path: Path, message: str) -> None:
        """Choose a file and wait for a message."""
        self.find("file").send_keys(str(path))
        self.wait(lambda: message in self.result())

    def press(self, key: str, *, with_shift: bool = False) -> str:
        """Press a key and tell what has the focus then."""
        from selenium.webdriver import ActionChains, Keys

        chain = ActionChains(self.browser)
        if with_shift:
            chain.key_down(Keys.SHIFT).send_keys(key).key_up(Keys.SHIFT).perform()
        else:
            chain.send_keys(key).perform()
        return self.run("return document.activeElement.id")

    def emulate(self, **features: str) -> None:
        pairs = [
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()
        ]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": pairs})

    def complaints(self) -> list[str]:
        """What the browser's console has."""
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def requests(self) -> list[str]:
        events = [json.loads(entry["message"]) for entry in self.browser.get_log("performance")]
        return [
            event["message"]["params"]["request"]["url"]
            for event in events
            if event["message"]["method"] == "Network.requestWillBeSent"
        ]


@pytest.fixture(scope="module")
def address(serve: Callable[[Path], str], folder: Path) -> str:
    return serve(folder)


@pytest.fixture
def page(chromium: Any, address: str) -> Page:
    return Page(chromium, address)


def variants(style: str, count: int) -> list[tuple[str, bytes]]:
    """Images as people have them: (kind, file)."""
    images, _ = generate(style, count, seed=7)
    rng = np.random.default_rng(7)
    kinds = cycle(KINDS)
    return [(kind, variant(kind, pixels, rng)) for kind, pixels in zip(kinds, images, strict=False)]


def variant(kind: str, pixels: np.ndarray, rng: np.random.Generator) -> bytes:
    image, flat = Image.fromarray(pixels), Image.fromarray(load_image(pixels))
    if kind == "resized":
        width, height = (np.array(image.size) * rng.uniform(0.6, 2.5, 2)).astype(int).tolist()
        return png(image.resize((width, height), Image.Resampling.BICUBIC))
    if kind == "enlarged":
        return png(image.resize((image.width * 3, image.height * 3)))
    if kind == "half transparent":
        alpha = np.linspace(90, 255, flat.width).astype(np.uint8)
        flat.putalpha(Image.fromarray(np.tile(alpha, (flat.height, 1))))
        return png(flat)
    if kind == "JPEG":
        return encode(flat, "JPEG", quality=85)
    if kind == "turned JPEG":
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned back for showing
        return encode(flat.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=85, exif=exif)
    return png(image)


def test_browser_reads_the_same_as_python(page: Page, folder: Path, recognizer: Recognizer):
    files = [file for style in captcha_helpers.STYLES for file in variants(style, 24)]
    (folder / "images").mkdir()
    for number, (_, data) in enumerate(files):
        (folder / "images" / str(number)).write_bytes(data)
    body = """
        const readings = [];
        for (let number = 0; number < input; number += 1) {
            const response = await fetch(`images/${number}`);
            readings.push(await window.readCaptcha(await response.blob()));
        }
        return readings;"""
    found = page.run_async(body, len(files))
    expected = list(recognizer.read_many(data for _, data in files))
    assert len(found) == len(expected) >= 120
    assert len({reading.text for reading in expected}) > 100
    differ = [
        (number, kind, theirs["text"], ours.text)
        for number, ((kind, _), theirs, ours) in enumerate(zip(files, found, expected, strict=True))
        if theirs["text"] != ours.text
    ]
    assert differ == []
    for theirs, ours in zip(found, expected, strict=True):
        assert theirs["confidence"] == pytest.approx(ours.confidence, abs=0.005)
        assert [character["char"] for character in theirs["characters"]] == list(ours.text)
        assert theirs["milliseconds"] > 0
    assert page.complaints() == []
    assert [url for url in page.requests() if not url.startswith((page.url, "data:"))] == []


def test_half_transparent_colours_come_out_as_python_has_them(page: Page):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    data = png(pixels)
    body = """
        const { pixelsOf } = await import("./reader.js");
        return Array.from((await pixelsOf(new Blob([new Uint8Array(input)]))).data);"""
    rgba = np.reshape(page.run_async(body, list(data)), (64, 64, 4))
    colour, alpha = rgba[..., :3], rgba[..., 3:]
    flat = np.floor((colour * alpha + 255 * (255 - alpha)) / 255 + 0.5)
    assert np.abs(flat - load_image(data)).max() <= 1


def test_the_page_can_reach_no_other_host(page: Page, folder: Path):
    assert {path.name for path in (folder / "onnxruntime").iterdir()} >= set(RUNTIME_FILES)
    elsewhere = page.url.replace("127.0.0.1", "localhost")  # the same server by another name
    assert "Failed to fetch" in page.run_async("await fetch(input)", elsewhere)
    assert page.run_async("return (await fetch(input)).status", page.url) == 200


def test_online_page_takes_the_runtime_from_its_public_address(
    chromium: Any, serve: Callable[[Path], str], other: Path, tmp_path: Path
):
    fresh, cdn = tmp_path / "fresh", tmp_path / "cdn"
    fresh.mkdir()
    write_page(fresh, (other / "model.onnx").read_bytes(), read_spec(PRETRAINED), [])
    html = (fresh / "index.html").read_text("utf-8")
    (address,) = re.findall(r'name="onnxruntime" content="https://cdn.jsdelivr.net(/.+)"', html)
    shutil.copytree(other / "onnxruntime", cdn / address[1:])
    html = html.replace("https://cdn.jsdelivr.net", stand_in := serve(cdn).removesuffix("/"))
    (fresh / "index.html").write_text(html, "utf-8")
    page = Page(chromium, serve(fresh))
    assert page.state() == "ready"
    assert page.complaints() == []
    elsewhere = [url for url in page.requests() if not url.startswith((page.url, "data:"))]
    assert sorted(elsewhere) == sorted(f"{stand_in}{address}{name}" for name in RUNTIME_FILES)
    assert not page.find("sample").is_displayed()  # there are none


def test_person_takes_samples_and_sees_whether_they_are_right(page: Page, folder: Path):
    samples = json.loads((folder / "samples.json").read_text("utf-8"))
    labels = {sample["label"] for sample in samples}
    for _ in range(3):
        page.run("document.getElementById('text').textContent = ''")
        page.find("sample").click()
        page.wait(lambda: page.find("text").text)
        text, message, verdict = page.result().splitlines()
        assert re.fullmatch(r"Read with a confidence of \d+\.\d % in \d+ ms\.( .*)?", message)
        said, label = verdict.rsplit(" ", 1)
        assert label in labels
        assert said == ("Right:" if text == label else "Wrong: the picture says")
        rows = [row.text.split() for row in page.find("characters").find_elements("tag name", "tr")]
        assert "".join(row[0] for row in rows) == text
        assert all(0 < float(row[1]) <= 100 for row in rows)
    assert page.find("result").get_attribute("aria-live") == "polite"
    assert page.complaints() == []


def test_what_people_know_of_the_text_is_read_with(page: Page):
    page.find("sample").click()
    page.wait(lambda: page.find("text").text)
    page.find("length").send_keys("3\t")
    page.wait(lambda: len(page.find("text").text) == 3)
    page.find("charset").send_keys("upper+é\t")
    page.wait(lambda: "does not have the characters é" in page.result())
    assert re.fullmatch("[A-Z]{3}", page.find("text").text)
    page.find("ignore-case").click()
    page.wait(lambda: page.find("ignore-case").is_selected())
    page.find("length").send_keys("9-\t")
    page.wait(lambda: "is not a length" in page.result())
    page.find("length").clear()
    page.find("charset").clear()
    page.find("charset").send_keys("é\t")
    page.wait(lambda: "none of the characters é" in page.result())
    assert not page.find("text").is_displayed()
    assert page.complaints() == []


def test_what_people_draw_is_read_along(page: Page, recognizer: Recognizer):
    pixels = """
        const { drawCaptcha } = await import("./painter.js");
        const [style] = await (await fetch("looks.json")).json();
        const none = { rotation: 0, rise: 0, wave: 0, overlap: 0 };
        Object.assign(none, { lines: 0, specks: 0, noise: 0, blur: 0 });
        const blob = await drawCaptcha(style, "4711", { ...none, ...input }, 7);
        return Array.from(new Uint8Array(await blob.arrayBuffer()));"""
    plain = page.run_async(pixels, {})
    assert plain == page.run_async(pixels, {})  # the same seed, the same picture
    assert recognizer.read(bytes(plain)).text == "4711"
    for name in ("rotation", "rise", "wave", "overlap", "lines", "specks", "noise", "blur"):
        assert page.run_async(pixels, {name: 4}) != plain, name
    page.find("drawing-title").click()
    page.wait(lambda: page.find("verdict").is_displayed())
    drawn = page.find("draw-text").get_attribute("value")
    assert page.find("verdict").text.endswith(drawn) and drawn
    page.run(
        "const slider = document.getElementById('draw-noise'); slider.value = 100;"
        "document.getElementById('text').textContent = '';"
        "slider.dispatchEvent(new Event('input'));"
    )
    page.wait(lambda: page.find("text").text)  # it is read again, with the noise
    assert page.find("verdict").text.endswith(drawn)
    assert page.complaints() == []


def test_drawing_begins_with_the_looks_of_the_generator(page: Page, recognizer: Recognizer):
    drawn = """
        const [{ drawCaptcha }, { slidersOf }] =
            await Promise.all([import("./painter.js"), import("./draw.js")]);
        const styles = await (await fetch("looks.json")).json();
        const pictures = styles.map(async (style) => {
            const blob = await drawCaptcha(style, "4711", slidersOf(style), 7);
            return Array.from(new Uint8Array(await blob.arrayBuffer()));
        });
        return [styles.map((style) => style.name), await Promise.all(pictures)];"""
    names, pictures = page.run_async(drawn, None)
    assert names == list(STYLES)
    greys = {}
    for name, data in zip(names, pictures, strict=True):
        image = Image.open(io.BytesIO(bytes(data))).convert("L")
        assert image.size == (STYLES[name].width, STYLES[name].height)
        greys[name] = np.asarray(image, np.float32)
    left, right = greys["gradient"][:8, :8].mean(), greys["gradient"][-8:, -8:].mean()
    assert left < 200 and right > 240  # its background gets lighter towards the bottom right
    page.find("drawing-title").click()
    page.wait(lambda: page.find("verdict").is_displayed())
    choose = """
        const look = document.getElementById("draw-look");
        look.value = arguments[0];
        look.dispatchEvent(new Event("change"));
        return ["rotation", "lines", "specks"].map((name) =>
            Number(document.getElementById(`draw-${name}`).value));"""
    assert page.run(choose, "classic") == [STYLES["classic"].rotation, 1, 30]
    assert page.run(choose, "slanted") == [0, 1, 0]
    assert page.complaints() == []


def test_frames_stand_under_their_columns_of_the_picture(page: Page, keras_model: Any):
    page.find("sample").click()
    page.wait(lambda: page.find("plot").is_displayed())
    body = """
        const edges = (element) => [element.left, element.right];
        const bars = Array.from(document.querySelectorAll("#plot > span"));
        return [
            edges(document.getElementById("picture").getBoundingClientRect()),
            bars.map((bar) => edges(bar.getBoundingClientRect())),
            bars.filter((bar) => bar.className === "in-text").map((bar) => bar.title.split(" ")[2]),
        ];"""
    (left, right), bars, letters = page.run(body)
    columns = np.linspace(left, right, len(bars) + 1)
    assert len(bars) == keras_model.output_shape[1]
    assert np.array(bars) == pytest.approx(np.stack([columns[:-1], columns[1:]], axis=1), abs=0.5)
    assert dict.fromkeys(letters) == dict.fromkeys(page.find("text").text)


def test_empty_edges_are_cut_away_and_have_no_frames(
    chromium: Any,
    serve: Callable[[Path], str],
    other: Path,
    keras_model: Any,
    recognizer: Recognizer,
    tmp_path: Path,
):
    from captcha_helpers.exporting.onnx_graph import build_onnx

    spec = replace(recognizer.spec, processing=Processing(auto_crop=True))
    (other / "metadata.json").write_text(spec.to_json(), "utf-8")
    (other / "model.onnx").write_bytes(build_onnx(keras_model, spec))
    (pixels,), _ = generate("stars", 1, seed=11)
    height, width, _ = load_image(pixels).shape
    sheet = Image.new("RGB", (4 * width, 3 * height), "white")
    sheet.paste(Image.fromarray(load_image(pixels)), (2 * width, height))
    sheet.save(tmp_path / "sheet.png")
    page = Page(chromium, serve(other))
    page.choose(tmp_path / "sheet.png", "confidence")
    read = Recognizer(recognizer.run, spec).read(tmp_path / "sheet.png")
    assert page.find("text").text == read.text
    assert page.find("text").text != recognizer.read(tmp_path / "sheet.png").text
    assert page.find("plot").rect["x"] == pytest.approx(
        page.find("picture").rect["x"]
        + page.find("picture").rect["width"] * ink_box(load_image(sheet))[1].start / sheet.width,
        abs=1,
    )
    assert page.find("plot").rect["width"] < page.find("picture").rect["width"] / 3
    assert page.complaints() == []


def test_heads_without_frames_have_no_plot(
    chromium: Any, serve: Callable[[Path], str], other: Path, recognizer: Recognizer
):
    spec = replace(recognizer.spec, head="per_position")  # each frame taken for a position
    (other / "metadata.json").write_text(spec.to_json(), "utf-8")
    page = Page(chromium, serve(other))
    page.choose(other / "samples" / "01.png", "confidence")
    read = Recognizer(recognizer.run, spec).read(other / "samples" / "01.png")
    assert page.find("text").text == read.text
    assert not page.find("plot").is_displayed()
    assert page.complaints() == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"just words", "not a picture"),
        (b"", "not a picture"),
        (png(Image.new("L", (3, 40)))[:-30], "not a picture"),
        (png(Image.new("L", (3, 40))), "too small: 3 × 40 pixels"),
        (png(Image.new("1", (8000, 5001))), "too large: 8000 × 5001 pixels"),
        (png(Image.new("1", (20000, 4))), "too large: 20000 × 4 pixels"),
    ],
    ids=["text", "nothing", "half of a file", "low", "large", "long"],
)
def test_what_cannot_be_read_is_told(page: Page, tmp_path: Path, data: bytes, message: str):
    path = tmp_path / "letter.txt"
    path.write_bytes(data)
    page.choose(path, message)
    assert not page.find("text").is_displayed()
    assert not page.find("details").is_displayed()
    page.find("sample").click()  # and the page goes on
    page.wait(lambda: page.find("text").is_displayed())
    assert message not in page.result()


def test_missing_model_is_told(chromium: Any, serve: Callable[[Path], str], other: Path):
    (other / "model.onnx").unlink()
    page = Page(chromium, serve(other))
    assert page.state() == "failed"
    assert "could not be loaded (model.onnx: the server answers 404)" in page.result()


def test_missing_runtime_is_told(chromium: Any, serve: Callable[[Path], str], other: Path):
    shutil.rmtree(other / "onnxruntime")
    page = Page(chromium, serve(other))
    assert page.state() == "failed"
    assert "onnxruntime/ort.wasm.bundle.min.mjs cannot be reached" in page.result()


@pytest.mark.parametrize(
    ("event", "carrier"), [("Clipboard", "clipboardData"), ("Drag", "dataTransfer")]
)
def test_pictures_can_be_pasted_and_dropped(page: Page, folder: Path, event: str, carrier: str):
    name = {"Clipboard": "paste", "Drag": "drop"}[event]
    script = f"""
        const data = new DataTransfer();
        if (input) data.items.add(new File([new Uint8Array(input)], "picture.png"));
        const options = {{ {carrier}: data, bubbles: true, cancelable: true }};
        document.body.dispatchEvent(new {event}Event("{name}", options));"""
    page.run_async(script, None)
    page.wait(lambda: "That was not a picture" in page.result())
    page.run_async(script, list((folder / "samples" / "02.png").read_bytes()))
    page.wait(lambda: page.find("text").is_displayed())
    assert page.complaints() == []


def test_keyboard_is_enough(page: Page):
    from selenium.webdriver import Keys

    assert page.press(Keys.TAB) == "file"
    outline = "return getComputedStyle(document.querySelector('label')).outlineStyle"
    assert page.run(outline) == "solid"  # one sees where one is
    assert page.press(Keys.TAB) == "sample"
    assert page.run(outline) == "none"
    page.press(Keys.ENTER)
    page.wait(lambda: page.find("text").is_displayed())
    assert page.press(Keys.TAB, with_shift=True) == "file"
    inputs = ("sample", "charset", "length", "ignore-case")
    assert tuple(page.press(Keys.TAB) for _ in inputs) == inputs
    assert page.press(Keys.TAB) == "drawing-title"
    assert page.press(Keys.TAB) == ""  # no trap


@pytest.mark.parametrize("width", [320, 1000])
def test_page_fits_into_the_window(page: Page, width: int):
    metrics = {"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    page.find("sample").click()
    page.wait(lambda: page.find("details").is_displayed())
    widest = page.run("return document.documentElement.scrollWidth")
    page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert widest == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_the_ground(page: Page, scheme: str):
    page.emulate(prefers_color_scheme=scheme)
    page.find("sample").click()
    page.wait(lambda: page.find("verdict").is_displayed())
    script = """
        const ground = (element) => {
            const colour = getComputedStyle(element).backgroundColor;
            return colour === "rgba(0, 0, 0, 0)" ? ground(element.parentElement) : colour;
        };
        const names = "h1, p, label, button, #text, #verdict, figcaption, th, td span, dt, dd";
        return Array.from(document.querySelectorAll(names)).map((element) =>
            [element.outerHTML, getComputedStyle(element).color, ground(element)]);"""
    pairs = page.run(script)
    page.emulate()
    dull = [html for html, ink, ground in pairs if contrast(ink, ground) < 4.5]
    assert len(pairs) > 20
    assert dull == []


def contrast(first: str, second: str) -> float:
    """Of two colours such as ``rgb(1, 2, 3)``, as WCAG 2 defines it."""
    low, high = sorted(map(luminance, (first, second)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    share = np.array(re.findall(r"\d+", colour)[:3], float) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_nothing_moves_for_those_who_want_it_so(page: Page):
    page.find("sample").click()
    page.wait(lambda: page.find("plot").is_displayed())
    script = "return getComputedStyle(document.querySelector('#plot > span')).animationName"
    assert page.run(script) != "none"
    page.emulate(prefers_reduced_motion="reduce")
    still = page.run(script)
    page.emulate()
    assert still == "none"


def test_the_report_fits_on_a_phone_and_shows_every_picture_in_its_shape(
    chromium: Any, tmp_path: Path
):
    images, labels = generate("mixed", 12, seed=3)
    (tmp_path / "images").mkdir()
    for image, label in zip(images, labels, strict=True):
        Image.fromarray(image).save(tmp_path / "images" / f"{label}.png")
    result = evaluate(load("stars"), tmp_path / "images", progress=False)
    write_report(result, tmp_path / "page.html")
    phone = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        chromium.get((tmp_path / "page.html").as_uri())
        wide, shapes = chromium.execute_script(
            "return [document.documentElement.scrollWidth, Array.from(document.images, "
            "image => image.clientWidth / image.clientHeight)]"
        )
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide == 360 and len(shapes) == 12
    height, width = images.shape[1:3]
    assert all(shape == pytest.approx(width / height, rel=0.05) for shape in shapes)


# The service's pages


class ServicePage(Page):
    """A page of the service, which has no state to wait for."""

    def state(self) -> str:
        return "ready"

    def result(self) -> str:
        return self.run("return document.getElementById('result')?.innerText ?? ''")


def unsure(images: np.ndarray) -> np.ndarray:
    """Read as `read_greys` does, but with doubts where the first character is a 1 or a 2."""
    logits = read_greys(images)
    first = images[:, :, :16].mean(axis=(1, 2, 3)) / 28
    return logits * np.where(first > 2.5, 1, np.where(first > 1.5, 0.45, 0.2))[:, None, None]


def test_the_service_page_takes_several_files_and_shows_doubt_as_doubt(
    chromium: Any, tmp_path: Path
):
    for name in ("9999", "2999", "1999"):
        (tmp_path / f"{name}.png").write_bytes(picture(name))
    (tmp_path / "letter.txt").write_text("no picture")
    levels = "return Array.from(arguments[0]).map((row) => row.dataset.level)"
    with serving(unsure) as (url, _):
        page = ServicePage(chromium, f"{url}/ui")
        colours = {}
        for name, level, said in (
            ("9999", "high", "ms."),
            ("2999", "medium", "check it"),
            ("1999", "low", "probably wrong"),
        ):
            page.choose(tmp_path / f"{name}.png", said)
            assert page.find("text").text == name
            assert page.find("text").get_attribute("data-level") == level
            colours[level] = page.find("text").value_of_css_property("color")
            bars = page.browser.find_elements("css selector", "#characters .bar > i")
            assert len(bars) == 4
        assert len(set(colours.values())) == 3
        names = ["9999.png", "letter.txt", "2999.png", "1999.png"]
        page.find("file").send_keys("\n".join(str(tmp_path / name) for name in names))
        page.wait(lambda: "4 pictures: 1 read with confidence, 2 to be checked" in page.result())
        assert "(1 of them probably wrong), 1 not read." in page.result()
        rows = page.find("pictures").find_elements("tag name", "tr")
        assert page.run(levels, rows) == ["high", "low", "medium", "low"]
        assert [row.text.split()[:2] for row in rows[::2]] == [
            ["9999.png", "9999"],
            ["2999.png", "2999"],
        ]
        assert "Not read: this is not a PNG" in rows[1].text
        assert not page.find("text").is_displayed()
        page.find("length").send_keys("2\t")  # all are read again
        page.wait(lambda: "4 pictures" in page.result() and "9999\n" not in page.result())
        assert page.complaints() == [] or all("415" in one for one in page.complaints())


def test_the_manual_is_one_that_people_can_type_from(chromium: Any):
    with serving() as (url, _):
        page = ServicePage(chromium, f"{url}/docs")
        page.wait(lambda: page.browser.find_elements("tag name", "pre"))
        text = page.find("operations").text
        assert f"curl -F file=@image.png {url}/predict\n" in text
        assert f"curl -F file=@1.png -F file=@2.png {url}/predict/batch\n" in text
        assert f'curl "{url}/?url=ADDRESS_OF_THE_IMAGE"' in text
        assert f"curl {url}/healthz\n" in text
        for odd in ("`", "Successful Response", "undefined", "null", "[object"):
            assert odd not in text
        assert page.complaints() == []
