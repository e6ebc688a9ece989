"""Every special range is refused by name, and ordinary public addresses are not."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.urls.denylist import DENIED, find_rule, read_address

REFUSED = [
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("0.0.0.0", "unspecified"),
    ("0.1.2.3", "unspecified"),  # "this network"; Linux connects 0.x to itself
    ("10.0.0.1", "private"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.168.1.1", "private"),
    ("100.64.0.1", "cgnat"),
    ("100.100.100.200", "cloud_metadata"),  # Alibaba, inside CGNAT
    ("168.63.129.16", "cloud_metadata"),  # Azure, public by number
    ("169.254.169.254", "cloud_metadata"),
    ("169.254.170.2", "cloud_metadata"),
    ("169.254.1.1", "link_local"),
    ("192.0.0.192", "cloud_metadata"),
    ("192.0.0.8", "reserved"),
    ("192.0.2.1", "documentation"),
    ("198.51.100.7", "documentation"),
    ("203.0.113.9", "documentation"),
    ("192.88.99.1", "6to4"),
    ("198.18.0.1", "benchmarking"),
    ("198.19.255.255", "benchmarking"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.250", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "broadcast"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::ffff:127.0.0.1", "ipv4_mapped"),
    ("::ffff:8.8.8.8", "ipv4_mapped"),  # even of a public one: nobody needs this spelling
    ("::ffff:0:7f00:1", "ipv4_translated"),
    ("::7f00:1", "ipv4_compatible"),
    ("64:ff9b::7f00:1", "nat64"),
    ("64:ff9b:1::7f00:1", "nat64"),
    ("100::1", "discard"),
    ("2001::1", "teredo"),
    ("2001:2::1", "benchmarking"),
    ("2001:10::1", "reserved"),
    ("2001:db8::1", "documentation"),
    ("2002:7f00:1::", "6to4"),
    ("3fff::1", "documentation"),
    ("5f00::1", "segment_routing"),
    ("fc00::1", "unique_local"),
    ("fd12:3456::1", "unique_local"),
    ("fd00:ec2::254", "cloud_metadata"),
    ("fd20:ce::254", "cloud_metadata"),
    ("fe80::1", "link_local"),
    ("fe80::1%eth0", "link_local"),
    ("fec0::1", "site_local"),
    ("ff02::1", "multicast"),
    ("4000::1", "unassigned"),
    ("8000::1", "unassigned"),
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "172.32.0.1",
    "100.128.0.1",
    "192.0.1.1",
    "2606:4700::1111",
    "2a00:1450::1",
    "2001:4860::1",
]


@pytest.mark.parametrize(("text", "rule"), REFUSED)
def test_special_addresses_are_refused_by_the_name_of_their_rule(text: str, rule: str) -> None:
    """A person who reads the rule's name knows which range the receiver is in."""
    address = read_address(text)
    assert address is not None
    assert find_rule(address) == rule


@pytest.mark.parametrize("text", PUBLIC)
def test_ordinary_public_addresses_pass(text: str) -> None:
    """The list refuses nothing that a receiver on the internet may have."""
    assert find_rule(ip_address(text)) is None


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "0x7f000001", "0177.0.0.1", "2130706433", "1.2.3.4.5", "::g"]
)
def test_only_the_usual_spelling_reads_as_an_address(text: str) -> None:
    """What a C library takes for an address but `ipaddress` does not is no address here."""
    assert read_address(text) is None


@given(st.ip_addresses(v=4))
def test_whatever_python_calls_special_in_ipv4_is_refused(address: IPv4Address) -> None:
    """Our list is at least as strict as the standard library's own."""
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert find_rule(address) is not None


@given(st.ip_addresses(v=6))
def test_whatever_python_calls_special_in_ipv6_is_refused(address: IPv6Address) -> None:
    """Our list is at least as strict as the standard library's own, and all but 2000::/3 is shut."""
    if not address.is_global or address.is_multicast or address not in ip_network("2000::/3"):
        assert find_rule(address) is not None


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:0:0", "::", "64:ff9b::", "::ffff:0:0:0", "2002::"]))
def test_no_ipv6_wrapping_of_an_ipv4_address_passes(inner: IPv4Address, prefix: str) -> None:
    """Mapped, compatible, translated, NAT64 and 6to4 forms are all refused, whatever they carry."""
    shift = 80 if prefix == "2002::" else 0
    assert find_rule(IPv6Address(int(IPv6Address(prefix)) | (int(inner) << shift))) is not None


@given(st.sampled_from(DENIED), st.floats(min_value=0, max_value=1))
def test_a_denied_range_is_refused_from_end_to_end(entry: tuple[str, str], where: float) -> None:
    """First, last and every address between belong to the range."""
    network = ip_network(entry[0])
    address = network[min(int(where * network.num_addresses), network.num_addresses - 1)]
    assert find_rule(address) is not None
    assert find_rule(network[0]) is not None
    assert find_rule(network[-1]) is not None
