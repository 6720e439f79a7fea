"""Which addresses the bridge may call on a customer's word: public ones, and those the operator has allowed.

A webhook or audio URL comes from a tenant; the bridge stands inside the operator's network. The check is made on the
very address a socket is about to connect to, after DNS has answered, so neither a name that resolves inside nor one
that changes its answer gets through (server-side request forgery, OWASP A10:2021).
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Any, Final

import aiohttp
from yarl import URL

from bridge.errors import InvalidRequestError

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""RFC 6052: an IPv4 address in the last 32 bits."""
GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
"""All that IANA has given out of IPv6 for use between networks."""
NOBODYS: Final[tuple[IPNetwork, ...]] = (
    # IANA's special-purpose registries (RFC 6890 and what updates it), where Python's versions disagree.
    ipaddress.IPv4Network("192.0.0.0/24"),  # protocol assignments; some clouds keep their metadata there
    ipaddress.IPv4Network("192.88.99.0/24"),  # relays of 6to4, given up (RFC 7526)
    ipaddress.IPv6Network("2001::/23"),  # protocol assignments: Teredo, benchmarks, ORCHID
    ipaddress.IPv6Network("3fff::/20"),  # documentation (RFC 9637)
    # learn.microsoft.com, "What is IP address 168.63.129.16": Azure's platform, of its virtual machines alone.
    ipaddress.IPv4Network("168.63.129.16"),
)
"""Networks that lead to no customer's server, though they look public."""
CONNECTIONS: Final = 256


class BlockedAddressError(OSError):
    """An address that the bridge may not call. An OSError, as any connection that fails."""


class Guard:
    """`allowed` is `settings.allow_private_urls`: `off`, `on` (any), or host names and networks, comma-separated.

    A host on the list may have any address; a network on the list may be reached under any name.
    """

    def __init__(self, allowed: str) -> None:
        self._any = allowed.strip().lower() == "on"
        self._hosts: set[str] = set()
        self._networks: list[IPNetwork] = []
        if self._any or allowed.strip().lower() == "off":
            return
        for item in filter(None, (part.strip().lower() for part in allowed.split(","))):
            try:
                self._networks.append(ipaddress.ip_network(item, strict=False))
            except ValueError:
                self._hosts.add(item.rstrip("."))

    def check_url(self, url: str) -> None:
        """What can be said without DNS, to tell a customer at once. Raises InvalidRequestError."""
        try:
            parsed = URL(url)
            host = parsed.host
        except (ValueError, IndexError):  # yarl's IndexError: brackets behind which a port and an @ come
            raise _refused("not a URL") from None
        if parsed.scheme not in {"http", "https"} or not host:
            raise _refused("must begin with https:// or http:// and name a host")
        if parsed.user is not None or parsed.password is not None:
            raise _refused("must not hold a user name or password")
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return
        if not (self.trusts(parsed) or self.allows(address)):
            raise _refused(f"{host} is not a public address")

    def trusts(self, url: URL) -> bool:
        """Whether the operator allowed this host by name, whatever its address."""
        return self._any or (url.host or "").lower().rstrip(".") in self._hosts

    def allows(self, address: IPAddress) -> bool:
        """Whether a socket may connect there: a public address, or in a network the operator allowed."""
        if self._any or any(address in network for network in self._networks):
            return True
        inner = _embedded(address)
        if inner is not None:
            return self.allows(inner)
        if isinstance(address, ipaddress.IPv6Address) and address not in GLOBAL_UNICAST:
            return False
        if any(address in network for network in NOBODYS):
            return False
        return address.is_global and not address.is_multicast

    def connector(self) -> aiohttp.TCPConnector:
        """Connects to allowed addresses only; raises ClientConnectorError around BlockedAddressError for others."""
        return aiohttp.TCPConnector(limit=CONNECTIONS, socket_factory=self._socket)

    def _socket(self, target: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _name, address = target
        if not self.allows(ipaddress.ip_address(str(address[0]).partition("%")[0])):
            raise BlockedAddressError(errno.EACCES, "not a public address")  # which one is not the customer's business
        return socket.socket(family, kind, protocol)


class GuardedSession:
    """An HTTP client for customers' URLs: no redirects, no cookies, no proxy, and the guard at every connection."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._guarded = _session(guard.connector())
        # Apart, so that no connection opened for a trusted name is ever used for another.
        self._trusted = _session(aiohttp.TCPConnector(limit=CONNECTIONS))

    async def request(self, method: str, url: str, **options: Any) -> aiohttp.ClientResponse:
        """As `aiohttp.ClientSession.request`. Raises InvalidRequestError (`Guard.check_url`) or aiohttp.ClientError."""
        self._guard.check_url(url)
        parsed = URL(url)
        session = self._trusted if self._guard.trusts(parsed) else self._guarded
        return await session.request(method, parsed, allow_redirects=False, **options)

    async def close(self) -> None:
        await self._guarded.close()
        await self._trusted.close()


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    """What comes back is left as it came: a small answer that unpacks into a large one costs nothing."""
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)


def _embedded(address: IPAddress) -> IPAddress | None:
    """The IPv4 address that an IPv6 one leads to, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour


def _refused(why: str) -> InvalidRequestError:
    return InvalidRequestError(f"url: {why}", fields={"url": why})
