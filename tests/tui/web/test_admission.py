"""Who may ask: the token, the origin with its port, and the names that a server has (B3)."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from tui.web.admission import (
    FOREIGN_NAME,
    FOREIGN_PAGE,
    LINK_NEEDED,
    Admission,
    Visit,
    host_name,
    is_loopback,
)

TOKEN = "the right one"


def answer(
    *,
    host: str,
    arrived_at: str,
    origin: str | None = None,
    token: str = TOKEN,
    listens_on: str = "127.0.0.1",
    public: tuple[str, ...] = (),
) -> str | None:
    admission = Admission(token=TOKEN, host=listens_on, public_urls=tuple(map(urlsplit, public)))
    return admission.refusal(Visit(host=host, origin=origin, arrived_at=arrived_at, token=token))


@pytest.mark.parametrize("token", ["", "x", TOKEN + "x", TOKEN[:-1], TOKEN.upper(), "\ud800é日"])
def test_another_token_is_refused(token: str) -> None:
    assert answer(host="localhost:8000", arrived_at="127.0.0.1", token=token) == LINK_NEEDED


@pytest.mark.parametrize(
    ("host", "arrived_at", "listens_on"),
    [
        ("localhost:8000", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("localhost:9000", "127.0.0.1", "127.0.0.1"),  # an SSH tunnel
        ("[::1]:8000", "::1", "::1"),
        ("localhost:8000", "::1", "localhost"),
        ("localhost:8000", "127.0.0.1", "0.0.0.0"),
        ("192.168.1.5:8000", "192.168.1.5", "0.0.0.0"),
        ("192.168.1.5:8000", "::ffff:192.168.1.5", "::"),
        ("[fe80::1]:8000", "fe80::1%eth0", "::"),
        (f"{socket.gethostname()}:8000", "192.168.1.5", "0.0.0.0"),
        ("Class.Example:8000", "192.168.1.5", "class.example"),
        ("class.example:8000", "127.0.0.1", "class.example"),
    ],
)
def test_the_names_of_this_server_are_answered(host: str, arrived_at: str, listens_on: str) -> None:
    assert answer(host=host, arrived_at=arrived_at, listens_on=listens_on) is None
    origin = f"http://{host}"
    assert answer(host=host, arrived_at=arrived_at, listens_on=listens_on, origin=origin) is None


@pytest.mark.parametrize("arrived_at", ["127.0.0.1", "192.168.1.5", "::1"])
@pytest.mark.parametrize(
    "listens_on", ["127.0.0.1", "0.0.0.0", "::", "192.168.1.5", "class.example"]
)
@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8000", "", "192.168.1.6", "10.0.0.1:8000", "[::2]", "[::1"),
        *("localhost.evil.example", "user@localhost", "localhost:port", "127.0.0.1.evil.example"),
    ],
)
def test_a_name_that_somebody_points_here_is_refused(
    host: str, arrived_at: str, listens_on: str
) -> None:
    """DNS rebinding, on the loopback address and on the network."""
    assert answer(host=host, arrived_at=arrived_at, listens_on=listens_on) == FOREIGN_NAME


@pytest.mark.parametrize(
    "origin",
    [
        *("null", "", "http://evil.example", "http://localhost", "http://localhost:8001"),
        *("http://localhost:80000", "http://127.0.0.1:8000", "ftp://localhost:8000"),
        *("http://localhost:8000.evil.example", "http://x@localhost:8000", "localhost:8000"),
    ],
)
def test_a_page_of_another_origin_is_refused(origin: str) -> None:
    assert answer(host="localhost:8000", arrived_at="127.0.0.1", origin=origin) == FOREIGN_PAGE


@pytest.mark.parametrize(
    ("host", "origin", "refusal"),
    [
        ("class.example", "https://class.example", None),
        ("CLASS.example", "https://class.example", None),
        ("127.0.0.1:8000", "https://class.example", None),  # a proxy that asks by our own name
        ("127.0.0.1:8000", "http://class.example", FOREIGN_PAGE),
        ("127.0.0.1:8000", "https://class.example:444", FOREIGN_PAGE),
        ("class.example:444", "https://class.example:444", FOREIGN_NAME),
        ("evil.example", "https://class.example", FOREIGN_NAME),
    ],
)
def test_a_proxy_is_known_by_its_public_address(
    host: str, origin: str, refusal: str | None
) -> None:
    public = ("https://class.example/room/",)
    assert answer(host=host, arrived_at="127.0.0.1", origin=origin, public=public) == refusal
    admission = Admission(token=TOKEN, host="127.0.0.1", public_urls=tuple(map(urlsplit, public)))
    assert admission.is_public_https(host) == (host.lower() == "class.example")


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("a.b:80", "a.b"),
        ("[::1]:80", "::1"),
        ("A", "a"),
        ("", None),
        ("[::1", None),
        ("a:b", None),
        ("x@a", None),
    ],
)
def test_a_host_is_a_name_and_a_port(host: str, name: str | None) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, *, loopback: bool) -> None:
    assert is_loopback(host) == loopback
