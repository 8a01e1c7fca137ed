"""The page of `label`: only itself may read or write, and what goes wrong is said."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import pytest

from captcha_helpers import Recognizer
from captcha_helpers.serving import labelling
from captcha_helpers.serving.label_session import LabelSession
from captcha_helpers.serving.labelling import LabelPage, create_label_app, label
from captcha_helpers.serving.server import listen
from captcha_helpers.serving.slow_clients import ImpatientProtocol
from tests.servers import SPEC, picture, read_greys, running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(30):
        (tmp_path / f"{number}.png").write_bytes(picture(f"{number:04}"))
    return tmp_path


@pytest.fixture
def client(folder: Path) -> Iterator[httpx.Client]:
    session = LabelSession(folder, model=Recognizer(read_greys, SPEC), trainings=False)
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        app = create_label_app(session, token="secret", port=port)
        with (
            running(app, ImpatientProtocol, listener) as (url, _),
            httpx.Client(base_url=f"{url}/secret/", verify=False) as client,
        ):
            yield client
    session.close()


def test_the_way_of_one_label(client: httpx.Client, folder: Path):
    item = client.post("next", json={}).json()["item"]
    number = int(Path(item["name"]).stem)
    assert item["guess"] == f"{number:04}" and item["label"] == "" and item["problem"] == ""
    assert [one["char"] for one in item["characters"]] == list(item["guess"])
    image = client.get("image", params={"name": item["name"]})
    assert image.headers["content-type"] == "image/png" and image.content[:4] == b"\x89PNG"
    state = client.post("label", json={"name": item["name"], "label": item["guess"]}).json()
    assert state["labelled"] == 1 and state["images"] == 30
    assert (folder / "labels.csv").read_text("utf-8").endswith(f"{item['name']},{number:04}\n")
    again = client.get("item", params={"name": item["name"]}).json()["item"]
    assert again["label"] == item["guess"]
    assert client.get("state").json()["labels"] == str(folder / "labels.csv")


@pytest.mark.parametrize("path", ["", "label.js", "style.css", "state", "image?name=1.png"])
def test_other_pages_and_other_names_of_this_machine_get_nothing(client: httpx.Client, path: str):
    assert client.get(path).status_code == 200
    for headers in (
        {"Host": "evil.example"},
        {"Host": "127.0.0.1"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:9"},
        {"Origin": "null"},
    ):
        assert client.get(path, headers=headers).status_code == 403
    own = f"http://127.0.0.1:{client.base_url.port}"
    assert client.get(path, headers={"Origin": own}).status_code == 200
    assert client.get(f"{own}/{path}").status_code == 404  # without the random part


def test_nobody_else_writes(client: httpx.Client, folder: Path):
    sent = {"name": "1.png", "label": "0001"}
    answer = client.post("label", json=sent, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403 and not (folder / "labels.csv").exists()


def test_answers_may_be_shown_nowhere_else(client: httpx.Client):
    for path in ("", "state", "image?name=1.png"):
        headers = client.get(path).headers
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["x-frame-options"] == "DENY" and headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("path", "sent", "status", "words"),
    [
        ("label", {"name": "1.png", "label": ""}, 422, "type what the image says"),
        ("label", {"name": "1.png", "label": 7}, 422, "label must be a string"),
        ("label", {"name": "../1.png", "label": "7"}, 404, "no such image"),
        ("label", ["1.png"], 422, "no JSON object"),
        ("aside", {"name": "x.png"}, 404, "no such image"),
        ("save", {}, 422, "--out FILE.keras"),
        ("label", {"name": "1.png", "label": "7" * 20_000}, 422, "too large"),
    ],
)
def test_what_is_wrong_is_said(
    client: httpx.Client, path: str, sent: object, status: int, words: str
):
    answer = client.post(path, json=sent)
    assert answer.status_code == status and words in answer.json()["detail"]


def test_an_image_that_cannot_be_opened_is_told_and_can_be_set_aside(
    folder: Path, request: pytest.FixtureRequest
):
    (folder / "3.png").write_bytes(b"no picture")
    client = request.getfixturevalue("client")
    assert client.get("image", params={"name": "3.png"}).status_code == 422
    item = client.get("item", params={"name": "3.png"}).json()["item"]
    assert item["problem"] and "guess" not in item
    state = client.post("aside", json={"name": "3.png", "unreadable": True}).json()
    assert state["unreadable"] == 1
    assert client.post("aside", json={"name": "4.png"}).json()["unreadable"] == 1  # skipped
    names = set()
    while (item := client.post("next", json={}).json()["item"]) is not None:
        names.add(item["name"])
        client.post("label", json={"name": item["name"], "label": item["guess"]})
    assert "3.png" not in names and "4.png" in names
    assert client.post("label", content=b"{").status_code == 422


def test_conflicts_are_of_two_kinds(client: httpx.Client):
    for number in range(20):
        assert client.post("label", json={"name": f"{number}.png", "label": "12"}).is_success
    new = client.post("label", json={"name": "25.png", "label": "1é"})
    assert (new.status_code, new.json()["kind"]) == (409, "new")
    changed = client.post("label", json={"name": "1.png", "label": "21"})
    assert (changed.status_code, changed.json()["kind"]) == (409, "changed")


def test_a_disk_that_is_full_is_told_and_nothing_is_lost(
    client: httpx.Client, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    assert client.post("label", json={"name": "1.png", "label": "0001"}).is_success

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("captcha_helpers.data.label_book.write_bytes", full)
    answer = client.post("label", json={"name": "2.png", "label": "0002"})
    assert answer.status_code == 507 and "No space left" in answer.json()["detail"]
    assert (folder / "labels.csv").read_text("utf-8") == "file,label\n1.png,0001\n"


def test_labels_that_were_given_elsewhere_are_taken_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (folder / "exported.json").write_text('{"x/1.png": "0001", "99.png": "0099"}', "utf-8")
    monkeypatch.setattr(LabelPage, "run", lambda _: None)
    labelling.label(
        folder,
        labels_from=folder / "exported.json",
        model=Recognizer(read_greys, SPEC),
        trainings=False,
        open_browser=False,
    )
    assert (folder / "labels.csv").read_text("utf-8") == "file,label\n1.png,0001\n"
    said = capsys.readouterr()
    assert "1 label taken from" in said.out + said.err and "1 of images that are not" in (
        said.out + said.err
    )


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Let this process look like a notebook's kernel; gives what is shown below the cell."""
    shown: list[Any] = []
    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    monkeypatch.setattr(
        ipython, "get_ipython", lambda: SimpleNamespace(kernel=object()), raising=False
    )
    monkeypatch.setattr(display, "IFrame", lambda *arguments: arguments, raising=False)
    monkeypatch.setattr(display, "display", shown.append, raising=False)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


def in_notebook(folder: Path) -> LabelPage:
    page = label(folder, model=Recognizer(read_greys, SPEC), trainings=False)
    assert page is not None
    return page


def test_in_a_notebook_the_page_is_framed_and_the_kernel_is_free(kernel: list[Any], folder: Path):
    page = in_notebook(folder)
    try:
        assert [frame[0] for frame in kernel] == [page.url] and page.url in repr(page)
        with httpx.Client(base_url=page.url, verify=False) as client:
            headers = client.get("").headers
            assert "x-frame-options" not in headers and headers["cache-control"] == "no-store"
            sent = {"name": "1.png", "label": "0001"}
            assert client.post("label", json=sent).status_code == 200
            for odd in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
                assert client.post("label", json=sent, headers=odd).status_code == 403
    finally:
        page.close()
    assert (folder / "labels.csv").read_text("utf-8") == "file,label\n1.png,0001\n"
    with pytest.raises(httpx.ConnectError):
        httpx.get(page.url, verify=False)
    page.close()  # once more does no harm


def test_in_colab_the_page_comes_by_a_proxy_and_its_address_is_the_key(
    kernel: list[Any], folder: Path, monkeypatch: pytest.MonkeyPatch
):
    colab, framed = ModuleType("google.colab"), []
    monkeypatch.setattr(
        colab,
        "output",
        SimpleNamespace(
            serve_kernel_port_as_iframe=lambda port, path, height: framed.append((port, path))
        ),
        raising=False,
    )
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    page = in_notebook(folder)
    try:
        assert kernel == []
        port, path = framed[0]
        assert page.url == f"http://127.0.0.1:{port}{path}"
        proxied = {"Host": f"{port}-m-s.colab.dev", "Origin": f"https://{port}-m-s.colab.dev"}
        assert httpx.get(page.url, headers=proxied, verify=False).status_code == 200
        for other in ("/", "/guess/", "/guess/state"):
            found = httpx.get(f"http://127.0.0.1:{port}{other}", headers=proxied, verify=False)
            assert found.status_code == 404
    finally:
        page.close()


def test_a_terminals_ipython_is_no_notebook(kernel: list[Any], monkeypatch: pytest.MonkeyPatch):
    assert labelling._in_notebook()
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", SimpleNamespace)
    assert not labelling._in_notebook()
    assert kernel == []
