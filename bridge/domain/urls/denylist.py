"""The deny list: addresses to which nothing may be delivered, each with the name of the rule that forbids it.

`ipaddress.is_global` is not enough: up to Python 3.12 it calls NAT64, 6to4, IPv4-compatible, site-local and multicast
addresses global, and it knows no cloud's metadata service. So the list is our own, after the IANA IPv4 and IPv6
Special-Purpose Address Registries and the clouds' documentation. In IPv6 it works the other way round: only 2000::/3
(global unicast) is open at all.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

# First match wins, so the narrow entries stand above the wide ones.
DENIED: tuple[tuple[str, str], ...] = (
    ("169.254.169.254/32", "cloud_metadata"),  # AWS, GCP, Azure and most others
    ("169.254.170.2/32", "cloud_metadata"),  # AWS ECS task credentials
    ("169.254.170.23/32", "cloud_metadata"),  # AWS EKS pod identity
    ("100.100.100.200/32", "cloud_metadata"),  # Alibaba Cloud
    ("168.63.129.16/32", "cloud_metadata"),  # Azure's host agent, a public address by number
    ("192.0.0.192/32", "cloud_metadata"),  # Oracle Cloud
    ("0.0.0.0/8", "unspecified"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "cgnat"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link_local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "reserved"),  # IETF protocol assignments
    ("192.0.2.0/24", "documentation"),
    ("192.88.99.0/24", "6to4"),  # the retired relay anycast
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("255.255.255.255/32", "broadcast"),
    ("240.0.0.0/4", "reserved"),
    ("fd00:ec2::/32", "cloud_metadata"),  # AWS: metadata, DNS and time over IPv6
    ("fd20:ce::254/128", "cloud_metadata"),  # GCP over IPv6
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("::ffff:0:0/96", "ipv4_mapped"),
    ("::ffff:0:0:0/96", "ipv4_translated"),
    ("::/96", "ipv4_compatible"),
    ("64:ff9b::/96", "nat64"),
    ("64:ff9b:1::/48", "nat64"),
    ("100::/64", "discard"),
    ("100:0:0:1::/64", "discard"),
    ("2001::/32", "teredo"),
    ("2001:2::/48", "benchmarking"),
    ("2001:db8::/32", "documentation"),
    ("2001::/23", "reserved"),  # IETF protocol assignments, ORCHID among them
    ("2002::/16", "6to4"),
    ("3fff::/20", "documentation"),
    ("5f00::/16", "segment_routing"),
    ("fc00::/7", "unique_local"),
    ("fe80::/10", "link_local"),
    ("fec0::/10", "site_local"),
    ("ff00::/8", "multicast"),
)
GLOBAL_UNICAST = IPv6Network("2000::/3")


def _ranges(version: int) -> tuple[tuple[int, int, str], ...]:
    networks = [(ip_network(text), rule) for text, rule in DENIED]
    return tuple(
        (int(network.network_address), int(network.broadcast_address), rule)
        for network, rule in networks
        if network.version == version
    )


_RANGES = {4: _ranges(4), 6: _ranges(6)}


@lru_cache(maxsize=1024)
def read_address(text: str) -> IPv4Address | IPv6Address | None:
    """Parse an address in its usual spelling, without a zone (`%eth0`); return None for anything else."""
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def find_rule(address: IPv4Address | IPv6Address) -> str | None:
    """Return the name of the rule that refuses an address, None for an ordinary public one."""
    number = int(address)
    for first, last, rule in _RANGES[address.version]:
        if first <= number <= last:
            return rule
    if address.version == 6 and address not in GLOBAL_UNICAST:
        return "unassigned"
    return None
