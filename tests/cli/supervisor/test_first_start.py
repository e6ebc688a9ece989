"""What `up` decides before anything runs: keys, port, directory, environment, and the banner."""

import base64
import fcntl
import re
import shlex
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.local.errors import CommandError
from bridge.cli.local.key_files import Keys, find_api_key, find_keys
from bridge.cli.local.preflight import check_port, find_free_port, lock_directory
from bridge.cli.setting_help import describe_settings
from bridge.cli.supervisor.banner import BannerFacts, write_banner
from bridge.cli.supervisor.inbox import describe_entry
from bridge.cli.supervisor.process_plan import Demo, child_environment, plan_demo
from bridge.cli.supervisor.up import describe_readiness
from bridge.config.master_keys import parse_master_keys
from bridge.config.settings import Settings, variable_name


def make_settings(tmp_path: Path, **chosen: Any) -> Settings:
    return Settings(data_dir=tmp_path / "data", _env_file=None, **chosen)


def prepared(tmp_path: Path, **chosen: Any) -> Settings:
    settings = make_settings(tmp_path, **chosen)
    settings.data_dir.mkdir()
    return settings


def test_keys_are_made_once_kept_private_and_used_again(tmp_path: Path) -> None:
    """The first start makes both keys, readable by this user only; the second start finds them."""
    settings = prepared(tmp_path)
    made, found = find_keys(settings), find_keys(settings)
    assert (made.api_key_is_new, found.api_key_is_new) == (True, False)
    assert (made.api_key, made.master_keys) == (found.api_key, found.master_keys)
    assert re.fullmatch(r"brk_[0-9a-f]{40}", made.api_key)
    assert len(parse_master_keys(made.master_keys)[0]) == 32
    for name in ("api-key", "master-keys"):
        assert (settings.data_dir / name).stat().st_mode & 0o777 == 0o600
    assert find_api_key(settings) == made.api_key
    assert sorted(path.name for path in settings.data_dir.iterdir()) == ["api-key", "master-keys"]


def test_keys_from_the_settings_win_and_are_not_written_to_disk(tmp_path: Path) -> None:
    """Keys that the environment sets are used as they are and kept nowhere."""
    master = base64.b64encode(b"m" * 32).decode()
    settings = prepared(tmp_path, api_key="brk_mine", master_keys=master)
    keys = find_keys(settings)
    assert (keys.api_key, keys.master_keys, keys.api_key_file) == ("brk_mine", master, None)
    assert list(settings.data_dir.iterdir()) == []


def test_a_lost_master_key_is_not_replaced_under_existing_data(tmp_path: Path) -> None:
    """A store whose master key has gone is an error; a new key could decrypt none of it."""
    settings = prepared(tmp_path)
    (settings.data_dir / "store/valkey").mkdir(parents=True)
    (settings.data_dir / "store/valkey/engine.json").write_text("{}")
    with pytest.raises(CommandError, match="REELBRIDGE_MASTER_KEYS"):
        find_keys(settings)
    assert not (settings.data_dir / "master-keys").exists()


def test_an_empty_key_file_is_reported_and_left_alone(tmp_path: Path) -> None:
    """A damaged key file is an error, and it is not overwritten."""
    settings = prepared(tmp_path)
    (settings.data_dir / "master-keys").write_text("\n")
    with pytest.raises(CommandError, match="is empty"):
        find_keys(settings)


def test_commands_without_a_key_say_where_one_comes_from(tmp_path: Path) -> None:
    """Without a key, before the first `up`, the error names the setting."""
    with pytest.raises(CommandError, match="REELBRIDGE_API_KEY"):
        find_api_key(make_settings(tmp_path))


def test_a_port_in_use_is_reported_with_a_fix() -> None:
    """The message names the port and the setting; port 0 finds a free port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=rf"port {port} .* is taken.*REELBRIDGE_PORT="):
            check_port("127.0.0.1", port)
        assert find_free_port("127.0.0.1", preferred=port) != port
    assert check_port("127.0.0.1", port) == port
    assert check_port("127.0.0.1", 0) > 0


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_a_host_that_is_not_this_machine_is_reported(host: str) -> None:
    """For an address of another machine, or an unknown name, the error names REELBRIDGE_HOST."""
    with pytest.raises(CommandError, match="REELBRIDGE_HOST"):
        check_port(host, 0)


def test_one_up_locks_a_data_directory(tmp_path: Path) -> None:
    """A second `up` on a directory is refused; the error names the setting that separates the two."""
    lock = lock_directory(tmp_path / "data")
    with pytest.raises(CommandError, match="REELBRIDGE_DATA_DIR"):
        lock_directory(tmp_path / "data")
    fcntl.flock(lock, fcntl.LOCK_UN)
    lock_directory(tmp_path / "data")


def test_a_directory_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    """With a file in its place the error names REELBRIDGE_DATA_DIR."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="REELBRIDGE_DATA_DIR"):
        lock_directory(tmp_path / "file/data")


@pytest.mark.parametrize(
    ("chosen", "demo"),
    [
        ({}, True),  # nothing set
        ({"reelmirror_api_key": "rm_x"}, False),
        ({"reelbot_api_key": "rb_live_x"}, False),
    ],
)
def test_the_simulator_stands_in_only_when_no_upstream_can_be_meant(
    tmp_path: Path, *, chosen: dict[str, Any], demo: bool
) -> None:
    """The simulator stands in only when no key is set."""
    assert (plan_demo(make_settings(tmp_path, **chosen)) is not None) == demo


def test_children_get_what_this_start_decided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, store, port and the demo's addresses are passed in the environment; no command line holds a secret."""
    settings = prepared(tmp_path, port=9123)
    keys = find_keys(settings)
    demo = Demo(port=9999)
    environment = child_environment(settings, keys, demo, redis_url="unix:///s", inherited={"PATH": "/bin"})
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    child = Settings(_env_file=None)
    assert child.port == 9123
    assert child.data_dir.is_absolute()
    assert child.api_key is not None
    assert child.api_key.get_secret_value() == keys.api_key
    assert child.upstream_url("reelmirror") == "http://127.0.0.1:9999/reelmirror/api"
    assert child.upstream_url("reelbot") == "http://127.0.0.1:9999/reelbot/api"
    assert environment["PATH"] == "/bin"
    assert keys.api_key not in " ".join(demo.command)


def make_facts(**changed: Any) -> BannerFacts:
    keys = Keys(
        api_key="brk_0123", master_keys="m", api_key_file=Path("my data/api-key"), api_key_is_new=True
    )
    first = BannerFacts(url="http://127.0.0.1:8080", keys=keys, signing_secret="whsec_x", demo=True)
    return replace(first, **changed)


def curl_in(banner: str) -> list[str]:
    (line,) = [line for line in banner.splitlines() if "curl -X POST" in line]
    return shlex.split(line)


def test_the_banner_of_a_first_start_can_be_pasted() -> None:
    """It shows key, secret and DEMO, and a shell splits the curl command as intended."""
    banner = write_banner(make_facts(), dice=lambda size: "a" * size)
    assert "DEMO" in banner
    assert "every id that begins with `demo`" in banner
    assert "whsec_x" in banner
    assert "brk_0123  (made now, kept in my data/api-key)" in banner
    assert curl_in(banner) == [
        "curl", "-X", "POST", "http://127.0.0.1:8080/v1/callbacks",
        "-H", "Authorization: Bearer brk_0123", "-H", "Content-Type: application/json",
        "-d", '{"job_id":"demo-aaa","callback_url":"inbox:"}',
    ]  # fmt: skip


def test_later_banners_name_the_file_and_not_the_key() -> None:
    """A kept key is not printed again: the curl command reads its file, even with spaces in the path."""
    keys = Keys(
        api_key="brk_0123", master_keys="m", api_key_file=Path("my data/api-key"), api_key_is_new=False
    )
    banner = write_banner(make_facts(keys=keys))
    assert "brk_0123" not in banner
    assert "in my data/api-key" in banner
    assert "Authorization: Bearer $(cat 'my data/api-key')" in curl_in(banner)


def test_a_key_from_the_environment_stays_there() -> None:
    """A key from the environment is never printed."""
    keys = Keys(api_key="brk_0123", master_keys="m", api_key_file=None, api_key_is_new=False)
    banner = write_banner(make_facts(keys=keys, demo=False))
    assert "brk_0123" not in banner
    assert "DEMO" not in banner
    assert "$REELBRIDGE_API_KEY" in banner


def test_an_arrived_callback_is_shown_with_signature_and_body() -> None:
    """Event type, job and outcome come first, then the signature, then the body."""
    body = {"id": "evt_1", "type": "sync_job.completed", "job_id": "demo-1", "outcome": "succeeded"}
    entry = {"id": "in_1", "headers": {"Webhook-Signature": "v1,abc", "x-other": "1"}, "body": body}
    lines = describe_entry(entry)
    assert lines[0] == "✔ sync_job.completed  job demo-1  succeeded"
    assert lines[1] == "    webhook-signature: v1,abc"
    assert any('"outcome": "succeeded"' in line for line in lines)


@pytest.mark.parametrize("body", [None, "text", [1], {"data": list(range(100))}])
def test_any_callback_can_be_shown(body: Any) -> None:
    """Any body is shown, in at most 42 lines."""
    lines = describe_entry({"id": "x", "body": body, "headers": None})
    assert 1 < len(lines) <= 42


@pytest.mark.parametrize(("entries", "last"), [(39, "    … 1 more line"), (40, "    … 2 more lines")])
def test_what_is_left_out_of_a_body_is_counted(entries: int, last: str) -> None:
    """An array has two lines more than entries, of which 40 are shown."""
    assert describe_entry({"id": "x", "body": [0] * entries, "headers": None})[-1] == last


def test_the_help_lists_every_setting_with_its_default() -> None:
    """`reelbridge up --help` lists every setting."""
    text = describe_settings()
    for name, field in Settings.model_fields.items():
        assert re.search(rf"^  {variable_name(name)}(=|$)", text, re.MULTILINE)
        assert field.description
    for shown in (
        "PORT=8080",
        "RETENTION=7d",
        "POLL_SCALE=1.0",
        "ATTEMPT_TIMEOUT=30",
        "RETRY_SCHEDULE=2,5,30,300,",
    ):
        assert f"REELBRIDGE_{shown}" in text


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (0, None, "the API does not answer yet"),
        (200, {"status": "ok", "workers": 0}, "the worker has not reported yet"),
        (200, {"status": "ok", "workers": 1}, "another process is not ready yet"),
        (
            503,
            {"error": {"message": "the store does not answer"}},
            "the API is not ready: the store does not answer",
        ),
        (502, "<html>", "the API is not ready: it answers 502"),
    ],
)
def test_a_long_start_is_told_in_words(status: int, answer: Any, words: str) -> None:
    """Whatever `/readyz` answers."""
    assert describe_readiness(status, answer) == words
