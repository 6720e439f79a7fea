"""Addresses that a customer's URL may not reach."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from yarl import URL

from bridge.deliver.guard import BlockedAddressError, Guard
from bridge.errors import InvalidRequestError


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1",  # noqa: S104  # loopback, private
        "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200",  # metadata, link-local, carrier NAT
        "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",  # documentation, benchmark, multicast
        "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "fec0::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",  # IPv4 in IPv6 clothes
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1",  # NAT64, 6to4
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",  # Teredo, client 10.0.0.1
        "2001:0:4136:e378:8000:63bf:f7f7:f7f7", "2001:20::1", "2001:2::1",  # Teredo to 8.8.8.8, ORCHIDv2, benchmark
        "3fff::1", "100::1", "5f00::1",  # documentation, discard, segment routing
        "168.63.129.16", "192.0.0.192", "192.0.0.9", "192.88.99.1",  # Azure's and Oracle's platforms, relays
        "fd20:ce::254", "64:ff9b::a83f:8110", "::ffff:168.63.129.16", "2002:a83f:8110::1",  # and in IPv6 clothes
        "::ffff:0:127.0.0.1", "64:ff9b:1:a00:0:100::", "2002:a9fe:a9fe::1",  # translated, local NAT64, metadata in 6to4
    ],
)  # fmt: skip
def test_addresses_inside(address: str) -> None:
    """Nothing but public addresses is reached, however they are written; `on` is the operator's own risk."""
    assert not Guard("off").allows(ipaddress.ip_address(address))
    assert Guard("on").allows(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"],
)
def test_addresses_outside(address: str) -> None:
    """Public addresses are reached."""
    assert Guard("off").allows(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("allowed", "address", "reached"),
    [
        ("10.1.0.0/16", "10.1.2.3", True),
        ("10.1.0.0/16", "10.2.0.1", False),
        ("10.1.0.0/16", "::ffff:10.1.2.3", True),
        ("192.168.1.7", "192.168.1.7", True),
        ("crm.internal, fd12::/48 ,10.0.0.0/8", "fd12::9", True),
        ("crm.internal", "10.0.0.1", False),
    ],
)
def test_networks_that_the_operator_allows(allowed: str, address: str, reached: bool) -> None:
    """Networks and single addresses, beside names, in one list."""
    assert Guard(allowed).allows(ipaddress.ip_address(address)) is reached


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("ftp://example.org/x", id="scheme"),
        pytest.param("file:///etc/passwd", id="file"),
        pytest.param("//example.org", id="no-scheme"),
        pytest.param("https://", id="no-host"),
        pytest.param("nonsense", id="no-url"),
        pytest.param("http://[::1", id="broken-brackets"),
        pytest.param("http://[2606:4700::1111]:8@/", id="brackets-before-an-at"),
        pytest.param("http://example.org:99999/", id="port"),
        pytest.param("https://user:pass@example.org/", id="password"),
        pytest.param("http://user@example.org/", id="user"),
        pytest.param("http://127.0.0.1:8080/", id="loopback"),
        pytest.param("http://[::1]/", id="loopback-v6"),
        pytest.param("http://[fe80::1%25eth0]/", id="link-local-with-zone"),
        pytest.param("http://[::ffff:169.254.169.254]/latest/meta-data", id="metadata-in-v6"),
    ],
)
def test_urls_refused_at_once(url: str) -> None:
    """What can be seen to be wrong without DNS is told to the customer when the URL is set."""
    with pytest.raises(InvalidRequestError):
        Guard("off").check_url(url)


@pytest.mark.parametrize("url", ["https://example.org/hook?x=1", "http://example.org:8080", "https://93.184.216.34/"])
def test_urls_accepted(url: str) -> None:
    """A name is accepted unseen: where it leads is checked when it is called."""
    Guard("off").check_url(url)


def test_names_that_the_operator_allows() -> None:
    """Whole names, in any case, with or without the root's dot; not their subdomains."""
    guard = Guard("CRM.internal., 10.0.0.0/8")
    assert guard.trusts(URL("http://crm.internal/x"))
    assert guard.trusts(URL("http://CRM.INTERNAL.:80/x"))
    assert not guard.trusts(URL("http://evil.crm.internal/"))
    assert not guard.trusts(URL("http://10.0.0.1/"))


def test_the_check_is_made_on_the_socket() -> None:
    """Every connection is checked, not the name once: an answer of DNS that changes to one inside is refused."""
    guard = Guard("off")
    with pytest.raises(BlockedAddressError):
        guard._socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("10.0.0.1", 80)))
    guard._socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("93.184.216.34", 80))).close()
