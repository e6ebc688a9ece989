"""Settings are read as the contract says, and every bad value is answered with its fix."""

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.config.settings import Settings, SettingsError, load_settings, variable_name

KEY = base64.b64encode(b"k" * 32).decode()
SECRET = "hunter2SECRET"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine reaches a test, and no `.env` of the directory."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(variable_name(name), raising=False)


@pytest.mark.parametrize(
    ("variable", "text", "attribute", "value"),
    [
        ("REELBRIDGE_HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("REELBRIDGE_PORT", "0", "port", 0),
        ("REELBRIDGE_PUBLIC_URL", "https://hooks.example/", "public_url", "https://hooks.example"),
        (
            "REELBRIDGE_TRUSTED_PROXIES",
            "10.0.0.0/8, 192.0.2.7",
            "trusted_proxies",
            ("10.0.0.0/8", "192.0.2.7"),
        ),
        ("REELBRIDGE_REDIS_CLUSTER", "false", "redis_cluster", False),
        ("REELBRIDGE_DATA_DIR", "/var/lib/reelbridge", "data_dir", Path("/var/lib/reelbridge")),
        ("REELMIRROR_BASE_URL", "http://127.0.0.1:9/api/", "reelmirror_base_url", "http://127.0.0.1:9/api"),
        ("REELBOT_BASE_URL", "https://bot.example", "reelbot_base_url", "https://bot.example"),
        ("REELBRIDGE_ALLOW_HTTP", "true", "allow_http", True),
        ("REELBRIDGE_ALLOW_HTTP", "", "allow_http", False),  # set but empty counts
        ("REELBRIDGE_ALLOW_NETWORKS", "10.0.0.0/8", "allow_networks", "10.0.0.0/8"),
        ("REELBRIDGE_ALLOW_NETWORKS", "", "allow_networks", ""),  # set but empty counts
        ("REELBRIDGE_POLL_SCALE", "0.02", "poll_scale", 0.02),
        ("REELBRIDGE_BUDGET_SHARE", "1", "budget_share", 1.0),
        ("REELBRIDGE_RETRY_SCHEDULE", "0.5, 2,30", "retry_schedule", (0.5, 2.0, 30.0)),
        ("REELBRIDGE_ATTEMPT_TIMEOUT", "2.5", "attempt_timeout", 2.5),
        ("REELBRIDGE_RETENTION", "7d", "retention", 604_800),
        ("REELBRIDGE_RETENTION", "12h", "retention", 43_200),
        ("REELBRIDGE_RETENTION", "30m", "retention", 1_800),
        ("REELBRIDGE_RETENTION", "90s", "retention", 90),
        ("REELBRIDGE_RETENTION", "", "retention", 604_800),  # empty is unset
        ("REELBRIDGE_PORT", "", "port", 8080),  # empty is unset
        ("REELMIRROR_API_KEY", "", "reelmirror_api_key", None),  # empty is unset
        ("REELBRIDGE_VOICE_DONE_WORDS", "Ready, finished", "voice_done_words", ("ready", "finished")),
        ("REELBRIDGE_VOICE_FAILED_WORDS", "broken", "voice_failed_words", ("broken",)),
        ("REELBRIDGE_LOG", "json", "log_format", "json"),
        ("REELBRIDGE_LOG_LEVEL", "debug", "log_level", "debug"),
    ],
)
def test_a_variable_becomes_its_attribute(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, attribute: str, value: Any
) -> None:
    """Each variable of the contract, by its exact name."""
    monkeypatch.setenv(variable, text)
    assert getattr(load_settings(), attribute) == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("REELBRIDGE_REDIS_URL", f"rediss://:{SECRET}@store:6379/0"),
        ("REELBRIDGE_ARQ_REDIS_URL", f"redis://:{SECRET}@queue:6379/1"),
        ("REELBRIDGE_API_KEY", f"brk_{SECRET}"),
        ("REELBRIDGE_MASTER_KEYS", f"{KEY}, {KEY}"),
        ("REELMIRROR_API_KEY", f"rm_{SECRET}"),
        ("REELBOT_API_KEY", f"rb_live_{SECRET}"),
    ],
)
def test_secrets_are_read_but_not_shown(monkeypatch: pytest.MonkeyPatch, variable: str, text: str) -> None:
    """A secret is there for those who ask for it, and in no representation of the settings."""
    monkeypatch.setenv(variable, text)
    settings = load_settings()
    shown = f"{settings!r} {settings} {settings.model_dump_json()}"
    assert SECRET not in shown
    assert KEY not in shown
    (name,) = [name for name in Settings.model_fields if variable_name(name) == variable]
    assert getattr(settings, name).get_secret_value() == text


@pytest.mark.parametrize(
    ("variable", "text", "fix"),
    [
        ("REELBRIDGE_HOST", "not a host", "IP address"),
        ("REELBRIDGE_PORT", "http", "0 to 65535"),
        ("REELBRIDGE_PORT", "65536", "0 to 65535"),
        ("REELBRIDGE_PUBLIC_URL", "hooks.example", "http:// or https://"),
        ("REELBRIDGE_PUBLIC_URL", "https://hooks.example/?a=1", "without query"),
        ("REELBRIDGE_TRUSTED_PROXIES", "gateway", "10.0.0.0/8"),
        ("REELBRIDGE_REDIS_URL", f"http://:{SECRET}@store", "redis://"),
        ("REELBRIDGE_REDIS_CLUSTER", "perhaps", "true or false"),
        ("REELBRIDGE_API_KEY", SECRET, "brk_"),
        ("REELBRIDGE_MASTER_KEYS", SECRET, "base64 of 32"),
        ("REELBRIDGE_MASTER_KEYS", base64.b64encode(SECRET.encode()).decode(), "base64 of 32"),
        ("REELMIRROR_API_KEY", f'rm_ "{SECRET}"', "without quotes"),
        ("REELBOT_API_KEY", f"rb_live_\n{SECRET}", "without quotes"),
        ("REELMIRROR_BASE_URL", "ftp://x", "http:// or https://"),
        ("REELMIRROR_BASE_URL", "https://b\u00fccher.example/api", "xn--"),
        ("REELBOT_BASE_URL", "https://someone:hunter2SECRET@x.example", "without query, user name"),
        ("REELBRIDGE_REDIS_CLUSTER", "2", "true or false"),
        ("REELBRIDGE_ALLOW_HTTP", "maybe", "true or false"),
        ("REELBRIDGE_ALLOW_NETWORKS", "all", "10.0.0.0/8"),
        ("REELBRIDGE_ALLOW_NETWORKS", "10.0.0.1/8", "write 10.0.0.0/8"),
        ("REELBRIDGE_POLL_SCALE", "0", "above 0"),
        ("REELBRIDGE_POLL_SCALE", "nan", "above 0"),
        ("REELBRIDGE_POLL_SCALE", "inf", "above 0"),
        ("REELBRIDGE_BUDGET_SHARE", "1.01", "at most 1"),
        ("REELBRIDGE_BUDGET_SHARE", "0", "at most 1"),
        ("REELBRIDGE_RETRY_SCHEDULE", "2,soon", "2,5,30"),
        ("REELBRIDGE_RETRY_SCHEDULE", "-1", "2,5,30"),
        ("REELBRIDGE_RETRY_SCHEDULE", ",", "2,5,30"),
        ("REELBRIDGE_RETRY_SCHEDULE", "nan", "2,5,30"),
        ("REELBRIDGE_ATTEMPT_TIMEOUT", "0", "above 0"),
        ("REELBRIDGE_ATTEMPT_TIMEOUT", "601", "at most 600"),
        ("REELBRIDGE_RETENTION", "a week", "7d"),
        ("REELBRIDGE_RETENTION", "0d", "7d"),
        ("REELBRIDGE_LOG", "xml", "json, console or auto"),
        ("REELBRIDGE_LOG_LEVEL", "loud", "debug, info"),
    ],
)
def test_a_bad_value_names_the_variable_and_the_fix(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, fix: str
) -> None:
    """One line a problem; a secret's value is nowhere in it, nor in the error that pydantic raised."""
    monkeypatch.setenv(variable, text)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{variable}: ")
    assert fix in line
    with pytest.raises(ValidationError) as raw:
        Settings()
    assert SECRET not in f"{caught.value} {raw.value}"


def test_all_problems_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody mends one value to learn of the next."""
    monkeypatch.setenv("REELBRIDGE_PORT", "x")
    monkeypatch.setenv("REELBRIDGE_POLL_SCALE", "-1")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        ({"redis_cluster": True, "redis_url": "redis://a"}, "REELBRIDGE_ARQ_REDIS_URL"),
        ({"redis_cluster": True, "arq_redis_url": "redis://a"}, "REELBRIDGE_REDIS_URL"),
        ({"redis_sentinel": "m"}, "REELBRIDGE_REDIS_URL"),
        ({"redis_sentinel": "m", "redis_cluster": True, "redis_url": "redis://a"}, "exclude each other"),
        ({"voice_done_words": "a,b", "voice_failed_words": "b"}, "share a word"),
        (
            {"REELMIRROR_BASE_URL": "http://localhost:8080/reelmirror/api"},
            "REELMIRROR_BASE_URL is this bridge",
        ),
        ({"host": "::", "REELBOT_BASE_URL": "http://[::1]:8080/api"}, "REELBOT_BASE_URL is this bridge"),
        (
            {
                "public_url": "https://b.example",
                "REELMIRROR_BASE_URL": "https://B.example:443/reelmirror/api",
            },
            "REELMIRROR_BASE_URL is this bridge",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(chosen: dict[str, Any], named: str) -> None:
    """A combination that cannot work is told before anything starts."""
    with pytest.raises(SettingsError, match=named):
        load_settings(**chosen)


@pytest.mark.parametrize(
    ("chosen", "base_url"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"port": 9000}, "http://127.0.0.1:9000"),
        ({"host": "0.0.0.0"}, "http://127.0.0.1:8080"),  # every address: the nearest one
        ({"host": "::1"}, "http://[::1]:8080"),
        ({"host": "::"}, "http://[::1]:8080"),
        ({"public_url": "https://hooks.example/bridge/"}, "https://hooks.example/bridge"),
    ],
)
def test_links_begin_with_the_address_that_clients_use(chosen: dict[str, Any], base_url: str) -> None:
    """`PUBLIC_URL` if given, else what host and port amount to."""
    assert load_settings(**chosen).base_url == base_url


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("192.0.2.1", False), ("bridge.internal", False)],
)  # fmt: skip
def test_only_a_loopback_address_counts_as_a_laptop(*, host: str, loopback: bool) -> None:
    """What follows from it for callback URLs is the URL policy's; a name says nothing: the careful answer."""
    assert load_settings(host=host).is_loopback == loopback


def test_a_dotenv_file_is_read_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`.env` beside the process counts, foreign names in it do not disturb."""
    (tmp_path / ".env").write_text(
        "REELBRIDGE_PORT=9001\nREELBRIDGE_HOST=::1\nREELMIRROR_API_KEY=rm_x\nOTHER=1\n"
    )
    monkeypatch.setenv("REELBRIDGE_PORT", "9002")
    settings = load_settings()
    assert (settings.host, settings.port) == ("::1", 9002)
    assert settings.credential_of("reelmirror") is not None


def test_settings_do_not_change_after_they_are_read() -> None:
    """Frozen: what was checked is what is used."""
    with pytest.raises(ValidationError):
        load_settings().port = 1  # type: ignore[misc]  # that it is refused is the point


def test_the_example_file_names_every_setting_and_nothing_else() -> None:
    """`deploy/env.example` and the settings cannot drift apart."""
    example = (Path(__file__).parents[2] / "deploy/env.example").read_text()
    named = re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)
    assert sorted(named) == sorted(variable_name(name) for name in Settings.model_fields)


def test_the_example_file_uncommented_is_the_default(tmp_path: Path) -> None:
    """Every default it shows is the default, so that uncommenting a line changes nothing but the starred two."""
    example = (Path(__file__).parents[2] / "deploy/env.example").read_text()
    (tmp_path / "full").write_text(re.sub(r"^#([A-Z_]+=)", r"\1", example, flags=re.MULTILINE))
    shown = load_settings(_env_file=tmp_path / "full").model_dump()
    assert (shown.pop("allow_http"), shown.pop("allow_networks")) == (False, "")
    defaults = load_settings().model_dump(exclude={"allow_http", "allow_networks"})
    assert shown == defaults


@pytest.mark.parametrize(
    ("chosen", "behind"),
    [
        ({}, False),
        ({"public_url": "https://bridge.example.test"}, True),
        ({"trusted_proxies": "10.0.0.1"}, True),
    ],
)
def test_a_public_url_or_a_trusted_proxy_says_that_there_is_a_proxy(
    *, chosen: dict[str, str], behind: bool
) -> None:
    """Also where the bridge itself listens on loopback."""
    assert load_settings(**chosen).behind_proxy == behind
