"""The printed links: somebody can open them, wherever the server listens (C22)."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from tui.web import links as module
from tui.web.links import links


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("localhost", "http://localhost:8000"),
        ("class.example", "http://class.example:8000"),
        ("::1", "http://[::1]:8000"),
        ("[::1]", "http://[::1]:8000"),
        ("192.168.1.5", "http://192.168.1.5:8000"),
    ],
)
def test_an_address_is_printed_as_given(host: str, base: str) -> None:
    assert links(host, 8000, "T", ()) == [f"{base}/?token=T"]


@pytest.mark.parametrize(("host", "local"), [("0.0.0.0", "localhost"), ("::", "[::1]")])
def test_a_server_that_listens_everywhere_names_this_machine(host: str, local: str) -> None:
    found = [urlsplit(link) for link in links(host, 8000, "T", ())]
    assert found[-1].netloc == f"{local}:8000"
    for link in found:
        assert link.hostname not in {"0.0.0.0", "::"}
        family = socket.AF_INET if host == "0.0.0.0" else socket.AF_INET6
        assert socket.getaddrinfo(link.hostname, link.port, family)


@pytest.mark.parametrize(("host", "local"), [("0.0.0.0", "localhost"), ("::", "[::1]")])
def test_without_a_network_there_is_this_machine(
    host: str, local: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_outward_address", lambda _: None)
    assert links(host, 8000, "T", ()) == [f"http://{local}:8000/?token=T"]


def test_a_proxy_is_what_browsers_open() -> None:
    public = (urlsplit("https://class.example/room/"), urlsplit("http://class.example:81"))
    assert links("127.0.0.1", 8000, "T", public) == [
        "https://class.example/room/?token=T",
        "http://class.example:81/?token=T",
    ]
