"""Decides whether a request may be answered: its name, its origin and its token.

Any account of this machine reaches a loopback port, and any page in a browser does so in its
user's name. So a request must carry the token of the printed link, come from a page of ours, and
ask for a name that this server has: a name that somebody else points at this machine (DNS
rebinding) would make a foreign page one of ours. This module knows no HTTP library.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

LINK_NEEDED = (
    "This page needs the link with the token that `charlm-tui serve` printed when it started."
)
FOREIGN_PAGE = "A page of another site sent this request."
FOREIGN_NAME = (
    "The server does not answer to this name. Open the link that `charlm-tui serve` printed, or "
    "start it with --public-url and the address that browsers request."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """The facts about a request that decide whether it is answered."""

    host: str
    """The header `Host`: a name or address, optionally with a port."""
    origin: str | None
    """The header `Origin`; None where it is missing."""
    arrived_at: str
    """The address of this machine that the connection was made to."""
    token: str
    """The token in the cookie; empty without a cookie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The rules that decide which requests are answered."""

    token: str
    """The secret of the printed link."""
    host: str
    """Name or address that the server listens on."""
    public_urls: Sequence[SplitResult] = ()
    """Addresses of proxies in front of this server, as browsers know them."""

    def refusal(self, visit: Visit) -> str | None:
        """Returns why a request is refused; None if it may be answered."""
        if not self._has_name(visit):
            return FOREIGN_NAME
        if visit.origin is not None and not self._is_own_origin(visit.origin, visit.host):
            return FOREIGN_PAGE
        return None if self.has_token(visit.token) else LINK_NEEDED

    def has_token(self, token: str) -> bool:
        """Compares a token with the right one in constant time."""
        return hmac.compare_digest(token.encode(errors="replace"), self.token.encode())

    def is_public_https(self, host: str) -> bool:
        """Tells whether a host is that of a proxy that browsers reach by https."""
        urls = (url for url in self.public_urls if url.scheme == "https")
        return any(url.netloc.lower() == host.lower() for url in urls)

    def _has_name(self, visit: Visit) -> bool:
        """Tells whether the visitor asked for a name of this server."""
        if any(url.netloc.lower() == visit.host.lower() for url in self.public_urls):
            return True
        name = host_name(visit.host)
        if name is None:
            return False
        if is_loopback(visit.arrived_at):
            return is_loopback(name) or name == self.host.lower()
        own_names = {
            self.host.strip("[]").lower(),
            socket.gethostname().lower(),
            socket.getfqdn().lower(),
        }
        return name in own_names or _same_address(name, visit.arrived_at)

    def _is_own_origin(self, origin: str, host: str) -> bool:
        """Tells whether the requesting page came from this server: same scheme, name and port."""
        origins = {f"{scheme}://{host}" for scheme in ("http", "https")}
        origins |= {f"{url.scheme}://{url.netloc}" for url in self.public_urls}
        return origin.lower() in {known.lower() for known in origins}


def host_name(host: str) -> str | None:
    """Returns the name or address of a `Host` header without its port; None where it has none."""
    if "@" in host:
        return None
    try:
        parts = urlsplit(f"//{host}")
        parts.port  # noqa: B018 - raises where it is none
    except ValueError:
        return None
    return parts.hostname


def is_loopback(host: str) -> bool:
    """Tells whether only programs of this machine can reach a host."""
    if host == "localhost":
        return True
    address = _address(host.strip("[]"))
    return address is not None and address.is_loopback


def _same_address(one: str, other: str) -> bool:
    address = _address(one)
    return address is not None and address == _address(other)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Returns an address without its zone, an IPv4 address in IPv6's form as IPv4."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
