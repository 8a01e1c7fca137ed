"""The download on behalf of others goes nowhere but where it is allowed to."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv6Address, ip_address
from urllib.parse import quote, unquote

import anyio
import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captcha_helpers.serving import fetch
from captcha_helpers.serving.fetch import Fetcher, FetchError
from tests.servers import image_host

PRIVATE = [
    "127.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1%eth0",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    # IPv4 addresses wrapped in IPv6: compatible, mapped, translated, NAT64, 6to4, Teredo
    "::127.0.0.1",
    "::10.0.0.1",
    "::ffff:0:127.0.0.1",
    "::ffff:0:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0.0.0.0",
    "::ffff:192.88.99.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::8.8.8.8",
    "2002:0a00:0001::",
    "2002:0808:0808::",
    "2001:0:808:808::f5ff:fffe",
    # Set apart
    "0.1.2.3",
    "192.0.0.8",
    "192.0.0.9",
    "192.88.99.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.175.48.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "240.0.0.1",
    "100::1",
    "2001:2::1",
    "2001:db8::1",
    "2620:4f:8000::1",
    "3fff::1",
    "5f00::1",
    "fec0::1",
]


def answer(request: http.server.BaseHTTPRequestHandler) -> None:
    path, _, rest = request.path.partition("?")
    if path == "/redirect":
        request.send_response(302)
        request.send_header("Location", unquote(rest))
        request.end_headers()
        return
    if path == "/slow":
        time.sleep(1)
    request.send_response(404 if path == "/missing" else 200)
    if path == "/endless":
        request.end_headers()
        try:
            while True:
                request.wfile.write(bytes(10_000))
        except OSError:  # the client has had enough
            return
    body = request.path.encode() + b" for " + request.headers["Host"].encode()
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with image_host(answer) as port:
        yield port


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Let names lead to addresses; gives a list of the names that were looked up."""
    asked: list[str] = []

    def lead(**addresses: list[str]) -> list[str]:
        async def look_up(host: str, port: int) -> list[str]:
            asked.append(host)
            return addresses[host.replace(".", "_")]

        monkeypatch.setattr(fetch, "_addresses", look_up)
        return asked

    return lead


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note addresses instead of connecting to them."""
    made: list[str] = []

    async def connect(self: object, host: str, port: int, *options: object) -> None:
        made.append(host)
        raise httpcore.ConnectError("this test connects to nobody")

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect)
    return made


def get(hosts: list[str], url: str, *, max_bytes: int = 1000, seconds: float = 10.0) -> bytes:
    return anyio.run(Fetcher(hosts, max_bytes=max_bytes, seconds=seconds).fetch, url)


def refusal(hosts: list[str], url: str, **options: float) -> FetchError:
    with pytest.raises(FetchError) as caught:
        get(hosts, url, **options)
    return caught.value


def test_named_hosts_are_downloaded_from(port: int):
    assert get([f"127.0.0.1:{port}"], f"http://127.0.0.1:{port}/a.png?b=1 2").startswith(
        b"/a.png?b=1%202 for "
    )
    assert get([f"localhost:{port}"], f"http://LOCALHOST.:{port}#top").startswith(b"/ for ")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.png",
        "file:///etc/passwd",
        "ftp://images.example/a.png",
        "gopher://images.example:70/_",
        "data:image/png;base64,AAAA",
        "http://",
        "http:///a.png",
        "http://images.example:99999/",
        "http://images.example:x/",
        "http://[::1/",
        "http://user:secret@images.example/",
        "http://images.example@127.0.0.1/",
        "http://b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example/",
    ],
)
def test_what_is_no_web_address_is_refused(connections: list[str], url: str):
    assert refusal(["images.example", "127.0.0.1"], url).status in (400, 403)
    assert not connections


@pytest.mark.parametrize(
    "url",
    [
        "http://elsewhere.example/",
        "http://a.images.example/",
        "http://images.example.elsewhere.example/",
        "http://127.0.0.1/",
        "http://localhost/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://images.example:8080/",
        "http://images.example:22/",
        "https://elsewhere.example\\@images.example/",
    ],
)
def test_other_hosts_and_ports_are_refused(connections: list[str], url: str):
    assert refusal(["images.example"], url).status in (400, 403)
    assert refusal([], url).status in (400, 403)
    assert not connections


@pytest.mark.parametrize("address", PRIVATE)
@pytest.mark.parametrize("others", [[], ["8.8.8.8"]])
def test_a_named_host_does_not_lead_into_the_own_network(
    names: Callable, connections: list[str], address: str, others: list[str]
):
    names(images_example=[*others, address])
    error = refusal(["images.example"], "https://images.example/")
    assert error.status == 403 and "not public" in error.message and address not in error.message
    assert not connections


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
)
def test_public_addresses_are_connected_to(names: Callable, connections: list[str], address: str):
    names(images_example=[address])
    assert refusal(["images.example"], "http://images.example/").status == 422
    assert connections == [address]


def test_localhost_leads_to_this_machine_only(names: Callable, connections: list[str]):
    names(localhost=["10.0.0.1"])
    assert refusal(["localhost"], "http://localhost/").status == 403
    assert not connections


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "::ffff:0.0.0.0"])
def test_the_address_of_everything_is_never_connected_to(
    names: Callable, connections: list[str], address: str
):
    """On Linux it leads to this machine, whatever else was allowed."""
    names(localhost=[address], images_example=[address])
    for host in ("localhost", "images.example"):
        assert refusal([host, "127.0.0.1"], f"http://{host}/").status == 403
    for url in ("http://0/", "http://0.0.0.0/", "http://[::]/", "http://00.0/"):
        assert refusal(["localhost", "127.0.0.1"], url).status == 403
    assert not connections


def test_a_zero_that_was_named_as_a_host_leads_nowhere(connections: list[str]):
    assert refusal(["0"], "http://0/").status in (403, 422)
    assert not connections


@given(st.integers(0, 2**32 - 1))
def test_a_wrapped_address_counts_as_what_it_wraps(number: int):
    plain = ip_address(number)
    for prefix in ("::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::"):
        assert fetch.is_public(IPv6Address(int(IPv6Address(prefix)) + number)) == fetch.is_public(
            plain
        )
    assert not fetch.is_public(IPv6Address((0x2002 << 112) + (number << 80)))


def test_a_private_address_can_be_named_beside_its_host(names: Callable, port: int):
    asked = names(intranet_example=["127.0.0.1"])
    hosts = [f"intranet.example:{port}", "127.0.0.1"]
    body = get(hosts, f"http://intranet.example:{port}/a.png")
    assert body == f"/a.png for intranet.example:{port}".encode()  # the host keeps its name
    assert asked == ["intranet.example"]  # looked up once: what was checked is connected to


def test_the_next_address_is_tried(names: Callable, port: int):
    names(intranet_example=["127.0.0.2", "127.0.0.1"])  # only the second one listens
    hosts = [f"intranet.example:{port}", "127.0.0.1", "127.0.0.2"]
    assert get(hosts, f"http://intranet.example:{port}/").startswith(b"/ for")


def test_redirects_are_followed_within_named_hosts(port: int):
    base = f"http://127.0.0.1:{port}"
    assert get([f"127.0.0.1:{port}"], f"{base}/redirect?/a.png").startswith(b"/a.png for")
    assert get([f"127.0.0.1:{port}"], f"{base}/redirect?{base}/b.png").startswith(b"/b.png for")
    error = refusal([f"127.0.0.1:{port}"], f"{base}/redirect?{'/redirect?' * 4}/a.png")
    assert error.status == 422 and "more than 3 times" in error.message


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://127.0.0.1/a.png", 403),
        ("http://localhost/a.png", 403),
        ("//elsewhere.example/", 403),
        ("file:///etc/passwd", 422),
        ("http://[", 422),
        # What browsers take for another host, and `urljoin` for a path of this one
        (r"\\127.0.0.1", 422),
        (r"\\127.0.0.1/a.png", 422),
        (r"/\127.0.0.1/a.png", 422),
        (r"http:\\127.0.0.1\a.png", 422),
        ("http:///s", 422),
        ("http:s", 422),
        ("http:/127.0.0.1/", 422),
        ("///127.0.0.1/s", 422),
        ("//", 422),
        ("/a\tb.png", 422),
    ],
)
def test_redirects_lead_nowhere_else(port: int, target: str, status: int):
    url = f"http://127.0.0.1:{port}/redirect?{quote(target)}"
    assert refusal([f"127.0.0.1:{port}"], url).status == status


def test_a_redirect_is_looked_up_and_checked_as_the_first_url_is(names: Callable, port: int):
    asked = names(intranet_example=["127.0.0.1"], inner_example=["10.0.0.1"])
    hosts = [f"intranet.example:{port}", "127.0.0.1", "inner.example"]
    url = f"http://intranet.example:{port}/redirect?http://inner.example/"
    assert refusal(hosts, url).status == 403
    assert asked == ["intranet.example", "inner.example"]


def test_large_files_are_cut_off(port: int):
    error = refusal([f"127.0.0.1:{port}"], f"http://127.0.0.1:{port}/endless", max_bytes=50_000)
    assert error.status == 413 and "50,000 bytes" in error.message


def test_slow_hosts_are_given_up(port: int):
    error = refusal([f"127.0.0.1:{port}"], f"http://127.0.0.1:{port}/slow", seconds=0.2)
    assert error.status == 422 and "longer than 0.2 seconds" in error.message


def test_hosts_without_the_image_are_told(port: int):
    error = refusal([f"127.0.0.1:{port}"], f"http://127.0.0.1:{port}/missing")
    assert error.status == 422 and "answered 404" in error.message
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()[1]
    assert refusal([f"127.0.0.1:{nobody}"], f"http://127.0.0.1:{nobody}/").status == 422
    assert refusal([f"{'a' * 64}.example"], f"http://{'a' * 64}.example/").status == 422


def test_tls_is_asked_for_the_name_and_checked(names: Callable):
    names(images_example=["127.0.0.1"])
    hello = bytearray()

    def listen(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            hello.extend(connection.recv(10_000))

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        thread = threading.Thread(target=listen, args=[server])
        thread.start()
        hosts = [f"images.example:{port}", "127.0.0.1"]
        assert refusal(hosts, f"https://images.example:{port}/").status == 422
        thread.join()
    assert b"images.example" in hello
    assert fetch._tls().check_hostname and fetch._tls().verify_mode == ssl.CERT_REQUIRED


@pytest.mark.parametrize("host", ["http://a.example", "a.example/b", "", ":80", "u@a.example", "*"])
def test_hosts_are_written_as_hosts(host: str):
    with pytest.raises(ValueError, match="must be a name or an address"):
        Fetcher([host], max_bytes=1)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_the_address_of_everything_cannot_be_named(host: str):
    with pytest.raises(ValueError, match="every address of this machine"):
        Fetcher([host], max_bytes=1)


@given(st.text())
def test_any_text_is_refused_without_a_crash(url: str):
    for prefix in ("", "http://", "http://images.example"):
        assert refusal(["1.2.3.4:5"], prefix + url).status in (400, 403)
