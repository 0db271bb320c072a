"""The links that `serve` prints: addresses that somebody can open, with the token."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import SplitResult

# Of the networks that documents use (RFC 5737, RFC 3849): nothing is ever sent there.
ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}


def links(host: str, port: int, token: str, public_urls: Sequence[SplitResult]) -> list[str]:
    """Returns a link for each address by which the page can be reached, the best one first."""
    bases = [url.geturl().rstrip("/") for url in public_urls]
    if not bases:
        bases = [f"http://{_bracketed(name)}:{port}" for name in _names(host)]
    return [f"{base}/?token={token}" for base in bases]


def _names(host: str) -> list[str]:
    """Returns the names to open; a server that listens everywhere has no address of that name."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return [host]
    if not address.is_unspecified:
        return [str(address)]
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    outward = _outward_address(family)
    local = "localhost" if family == socket.AF_INET else "::1"
    return [local] if outward is None else [outward, local]


def _outward_address(family: socket.AddressFamily) -> str | None:
    """Returns the address of this machine that others would see; None without a network."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((ELSEWHERE[family], 9))  # chooses an address, sends nothing
            return str(probe.getsockname()[0])
    except OSError:
        return None


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name else name
