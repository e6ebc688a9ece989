"""The types of the settings' values: how each is read from text and checked."""

import ipaddress
import math
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from bridge.config.master_keys import parse_master_keys
from bridge.domain.urls.policy import plan_policy

BITS_PER_UNIT = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
SECONDS_PER_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _split_words(value: object) -> object:
    if isinstance(value, str):
        return tuple(word for word in (part.strip() for part in value.split(",")) if word)
    return value


def _lower_words(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word.lower() for word in words)


def _read_duration(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d{1,9})\s*([smhd]?)", value.strip().lower())
    if match is None:
        raise ValueError("not a duration")
    return int(match[1]) * SECONDS_PER_UNIT[match[2] or "s"]


def _read_size(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d{1,15})\s*(?:([kmgt])b?)?", value.strip().lower())
    if match is None:
        raise ValueError("not a size")
    return int(match[1]) << BITS_PER_UNIT[match[2] or ""]


def _check_delays(delays: tuple[float, ...]) -> tuple[float, ...]:
    if not delays or len(delays) > 100:
        raise ValueError("1 to 100 delays are needed")
    if not all(math.isfinite(delay) and 0 <= delay <= 2_592_000 for delay in delays):
        raise ValueError("every delay lies between 0 and 2592000 seconds")
    return delays


def _check_networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    for network in networks:
        ipaddress.ip_network(network, strict=False)
    return networks


def _check_network_list(text: str | None) -> str | None:
    plan_policy(host="", allow_http=None, allow_networks=text, own_origins=frozenset())
    return text


def _check_web_url(url: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("not a web address")
    return url.strip().rstrip("/")


def read_origin(url: str) -> str:
    """Return the host and port of a web address as `host:port`, in lower case."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _check_upstream_url(url: str) -> str:
    if not re.fullmatch(r"[!-~]+", url.strip()):
        raise ValueError("blanks or characters outside ASCII")
    url = _check_web_url(url)
    if "@" in urlsplit(url).netloc:
        raise ValueError("holds a user name or a password")
    return url


def _check_redis_url(url: SecretStr) -> SecretStr:
    if urlsplit(url.get_secret_value()).scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("not a Redis address")
    return url


def _check_credential(key: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]{1,512}", key.get_secret_value()):
        raise ValueError("spaces, line breaks or other characters that no key has")
    return key


def _check_bootstrap_key(key: SecretStr) -> SecretStr:
    if not re.fullmatch(r"brk_[A-Za-z0-9_-]{4,200}", key.get_secret_value()):
        raise ValueError("not a key of this bridge")
    return key


def _check_master_keys(keys: SecretStr) -> SecretStr:
    parse_master_keys(keys.get_secret_value())
    return keys


def _check_host(host: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:%\[\]-]{1,253}", host):
        raise ValueError("not an address")
    return host


def _read_allow_http(value: object) -> object:
    return False if value == "" else value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_words), AfterValidator(_lower_words)]
Networks = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(_split_words), AfterValidator(_check_networks)
]
Delays = Annotated[tuple[float, ...], NoDecode, BeforeValidator(_split_words), AfterValidator(_check_delays)]
Duration = Annotated[int, BeforeValidator(_read_duration), Field(ge=1, le=10 * 365 * 86400)]
Size = Annotated[int, BeforeValidator(_read_size), Field(ge=1 << 20, le=1 << 50)]
Host = Annotated[str, AfterValidator(_check_host)]
WebUrl = Annotated[str, AfterValidator(_check_web_url)]
UpstreamUrl = Annotated[str, AfterValidator(_check_upstream_url)]
RedisUrl = Annotated[SecretStr, AfterValidator(_check_redis_url)]
Credential = Annotated[SecretStr, AfterValidator(_check_credential)]
BootstrapKey = Annotated[SecretStr, AfterValidator(_check_bootstrap_key)]
MasterKeys = Annotated[SecretStr, AfterValidator(_check_master_keys)]
AllowHttp = Annotated[bool | None, BeforeValidator(_read_allow_http)]
NetworkList = Annotated[str | None, AfterValidator(_check_network_list)]
