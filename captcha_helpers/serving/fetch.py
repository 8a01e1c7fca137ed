"""Download an image for somebody else, and only from where that is allowed.

A program that fetches what others ask for can be turned against the network that it stands in
(server-side request forgery). So it goes to hosts that were named, and to the very address that it
checked: a name may lead elsewhere the next time that it is looked up (DNS rebinding). That address
must be public, or have been named itself; an IPv6 address that wraps an IPv4 address counts as that
one. Each redirect is checked as the first URL is.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterable
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from captcha_helpers.core.extras import needs

try:
    import anyio
    import httpcore
except ModuleNotFoundError as error:
    raise ImportError(needs(f"Downloading images needs {error.name}", "serve")) from error

MAX_REDIRECTS = 3

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = {301, 302, 303, 307, 308}
_ODD = re.compile(r"[\\\x00-\x1f\x7f]")  # programs disagree on what these mean in a URL

# IPv6 addresses whose last 32 bits are the IPv4 address that they lead to: compatible (RFC 4291),
# mapped (RFC 4291), translated (RFC 2765) and NAT64 (RFC 6052).
_WRAPPED = [
    ip_network(f"{prefix}/96") for prefix in ("::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::")
]
# What `is_global` lets through in some version of Python, although no web server of anybody's is
# there: relays that lead to an IPv4 address by way of somebody else (6to4, Teredo), and what
# the IANA registries of special-purpose addresses set apart (RFC 6890).
_SPECIAL = [
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "192.0.0.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.175.48.0/24",
        "64:ff9b:1::/48",
        "100::/32",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "2620:4f:8000::/48",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
    )
]


class FetchError(Exception):
    """An image that was not downloaded.

    Args:
        status: HTTP status that says why: 400 for what is no URL, 403 for what is not allowed, 413
            for a file that is too large, 422 if the host does not give an image.
        message: What is wrong and what to do about it.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message

    def __str__(self) -> str:
        return self.message


class Fetcher:
    """Downloads from hosts that were named, and from no others.

    Args:
        hosts: Names or addresses. ``images.example`` allows the ports 80 and 443 there,
            ``images.example:8080`` that one. A host whose address is private or loopback is refused
            unless the address is named too; ``localhost`` stands for its own.
        max_bytes: Larger files are refused.
        seconds: How long a download may take, redirects included.

    Raises:
        ValueError: If a host is something else, a URL for example, or the address ``0.0.0.0`` or
            ``::``, which stands for every address of this machine.

    Example:
        >>> fetcher = Fetcher(["images.example"], max_bytes=2_000_000)
        >>> anyio.run(fetcher.fetch, "https://elsewhere.example/a.png")
        Traceback (most recent call last):
            ...
        captcha_helpers.serving.fetch.FetchError: the host 'elsewhere.example' is not allowed; ...
    """

    def __init__(self, hosts: Iterable[str], *, max_bytes: int, seconds: float = 10.0) -> None:
        self.hosts = {_host_and_port(host) for host in hosts}
        self.max_bytes = max_bytes
        self.seconds = seconds

    async def fetch(self, url: str) -> bytes:
        """Download one file.

        Args:
            url: Its address, http or https.

        Returns:
            What is in it; nothing says that it is an image.

        Raises:
            FetchError: If it is not allowed, is too large, takes too long or is not there.
        """
        try:
            with anyio.fail_after(self.seconds):
                for _ in range(MAX_REDIRECTS + 1):
                    answer = await self._get(url)
                    if isinstance(answer, bytes):
                        return answer
                    url = answer
        except TimeoutError:
            raise FetchError(
                422, f"the download took longer than {self.seconds:g} seconds"
            ) from None
        except (
            httpcore.NetworkError,
            httpcore.TimeoutException,
            httpcore.ProtocolError,
            OSError,
        ) as error:
            raise FetchError(422, f"the download failed ({type(error).__name__})") from None
        raise FetchError(422, f"the URL redirects more than {MAX_REDIRECTS} times")

    async def _get(self, url: str) -> bytes | str:
        """Return the body, or the URL that a redirect leads to."""
        target = self._checked(url)
        context = _tls() if target.scheme == b"https" else None
        backend = _CheckedConnections(self.hosts)
        headers = [("User-Agent", "captcha-helpers"), ("Accept", "image/*")]
        async with (
            httpcore.AsyncConnectionPool(network_backend=backend, ssl_context=context) as pool,
            pool.stream("GET", target, headers=headers) as response,
        ):
            said = {name.lower(): value.decode("latin-1") for name, value in response.headers}
            if response.status in _REDIRECTS and b"location" in said:
                return _join(url, said[b"location"])
            if response.status != 200:
                raise FetchError(422, f"the host answered {response.status} instead of an image")
            body = bytearray()
            async for chunk in response.aiter_stream():
                body += chunk
                if len(body) > self.max_bytes:
                    raise FetchError(413, f"the file has more than {self.max_bytes:,} bytes")
            return bytes(body)

    def _checked(self, url: str) -> httpcore.URL:
        """Take a URL to pieces, refuse what is not allowed, and pass on the pieces alone."""
        if _ODD.search(url):
            raise FetchError(400, "the URL must not hold a backslash or a control character")
        try:
            parts = urlsplit(url)
            host, port = _name(parts), parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError:
            raise FetchError(400, "the URL is not written as one") from None
        if parts.scheme not in _PORTS or not host:
            raise FetchError(400, "the URL must begin with http:// or https:// and name a host")
        if not host.isascii():
            raise FetchError(400, f"write the host {host!r} in its ASCII form, which begins xn--")
        if "@" in parts.netloc:
            raise FetchError(400, "the URL must not hold a user name or a password")
        usual = (host, None) in self.hosts and port in _PORTS.values()
        if not usual and (host, port) not in self.hosts:
            raise FetchError(
                403,
                f"the host {host!r} is not allowed on port {port}"
                if any(host == name for name, _ in self.hosts)
                else f"the host {host!r} is not allowed; whoever runs this service names those "
                "that are (--allow-url-host)",
            )
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        query = quote(parts.query, safe="/?%:@!$&'()*+,;=~-._")
        return httpcore.URL(
            scheme=parts.scheme, host=host, port=port, target=path + (f"?{query}" if query else "")
        )


class _CheckedConnections(httpcore.AsyncNetworkBackend):
    """Looks a host up once and connects to an address that may be used.

    httpcore still takes the host's name for the Host header and for the certificate.
    """

    def __init__(self, hosts: set[tuple[str, int | None]]) -> None:
        self.named = {host for host, _ in hosts}
        self.backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of the host that answers."""
        options = timeout, local_address, socket_options
        addresses = await _addresses(host, port)
        if not all(self._usable(address, host) for address in addresses):
            raise FetchError(
                403, f"the host {host!r} has an address that is not public; name the address too"
            )
        for address in addresses[:-1]:
            try:
                return await self.backend.connect_tcp(address, port, *options)
            except (httpcore.NetworkError, httpcore.TimeoutException):
                continue
        return await self.backend.connect_tcp(addresses[-1], port, *options)

    def _usable(self, text: str, host: str) -> bool:
        address = ip_address(text.partition("%")[0])
        if address.is_unspecified:
            return False
        if str(address) in self.named or text in self.named:
            return True
        if host == "localhost":
            return address.is_loopback or _unwrapped(address).is_loopback
        return is_public(address)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address belongs to the public internet, and no part of it is set apart.

    Args:
        address: An address, without a zone.

    Returns:
        For an IPv6 address that wraps an IPv4 address, what holds for that one.

    Example:
        >>> is_public(ip_address("::ffff:8.8.8.8")), is_public(ip_address("::ffff:10.0.0.1"))
        (True, False)
    """
    address = _unwrapped(address)
    special = any(address in network for network in _SPECIAL)
    return address.is_global and not (special or address.is_multicast or address.is_reserved)


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    wraps = address.version == 6 and any(address in network for network in _WRAPPED)
    return IPv4Address(int(address) & 0xFFFFFFFF) if wraps else address


async def _addresses(host: str, port: int) -> list[str]:
    """Look up a host, once."""
    try:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise FetchError(422, f"the host {host!r} cannot be found") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _host_and_port(text: str) -> tuple[str, int | None]:
    """Take ``host``, ``host:port``, ``::1`` or ``[::1]:port`` to pieces."""
    try:
        address = ip_address(text)
    except ValueError:
        pass
    else:
        if address.is_unspecified:
            raise ValueError(
                f"the allowed host {text!r} stands for every address of this machine; name one of "
                "them, as 127.0.0.1"
            )
        return str(address), None
    try:
        parts = urlsplit(f"//{text}")
        host, port = _name(parts), parts.port
        if not host or not host.isascii() or parts.netloc != text or "@" in text or "*" in text:
            raise ValueError
    except ValueError:
        raise ValueError(
            f"the allowed host {text!r} must be a name or an address, perhaps with a port, as in "
            "images.example or images.example:8080"
        ) from None
    return host, port


def _name(parts: SplitResult) -> str:
    """Give a host one spelling: in lower case, without a last dot."""
    return (parts.hostname or "").rstrip(".")


def _join(url: str, location: str) -> str:
    """Where a redirect leads; what browsers and `urljoin` read differently leads nowhere."""
    try:
        parts = urlsplit(location)
        if _ODD.search(location) or (
            (parts.scheme or location.startswith("//")) and not parts.netloc
        ):
            raise ValueError
        return urljoin(url, location)
    except ValueError:
        raise FetchError(422, "the host redirects to what is no URL") from None


@cache
def _tls() -> ssl.SSLContext:
    return httpcore.default_ssl_context()
