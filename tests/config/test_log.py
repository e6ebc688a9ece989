"""No secret gets into a log line, whatever it is wrapped in."""

import io
import json
import logging
import re
from typing import Any

import pytest
import structlog

from bridge.config.log import configure_logging, get_logger
from bridge.config.log_masking import mask_text
from bridge.config.settings import Settings

_TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")
SECRET = "Zq81hunter2SECRETvalue"


class _Spelled(str):
    """A text of a class of its own, as an enumeration's are."""

    __slots__ = ()


@pytest.fixture
def lines() -> Any:
    """Yield a function that returns the log lines parsed from JSON; restore the process's logging afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    configure_logging(Settings(log_format="json", _env_file=None), stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"brk_{SECRET}", "brk_"),
        (f"key=rm_{SECRET} refused", " refused"),
        (f"rb_live_{SECRET}", "rb_live_"),
        (f"whsec_{SECRET}+/==", "whsec_"),
        (f"Authorization: Bearer {SECRET}", "Bearer"),
        (f"Authorization:Bearer\t{SECRET}", "Bearer"),
        (f"https://hooks.example/a/b?token={SECRET}&x=1 answered", "https://hooks.example/a/b?… answered"),
        (f"GET /v1/callbacks?api_key={SECRET}", "GET /v1/callbacks?api_key="),
        (f"https://a.example/#{SECRET}", "https://a.example/"),
        (f"redis://user:{SECRET}@store:6379/0", "@store:6379/0"),
        (f"rediss://:{SECRET}@store:6379/0?password={SECRET}", "store:6379"),
        (f'{{"secret": "{SECRET}"}}', '"secret": "'),
        (f"X-API-Key: {SECRET}", "X-API-Key"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, kept: str) -> None:
    """The secret is masked, and what helps an operator stays."""
    masked = mask_text(text)
    assert SECRET not in masked
    assert kept in masked


@pytest.mark.parametrize(
    "text",
    [
        "https://hooks.example/a/b",  # no query
        "alarm_position rm_",  # a prefix alone or inside a word
        "REELBRIDGE_API_KEY: needed by the worker",  # a setting's name
        "evt_4K7 dlv_01 cb_02",  # ids
    ],
)
def test_harmless_text_is_left_alone(text: str) -> None:
    """Ids, names and plain addresses are not masked."""
    assert mask_text(text) == text


def test_fields_are_masked_however_deep(lines: Any) -> None:
    """Mappings, lists, bytes and objects are searched; fields with a secret's name lose their whole value."""
    get_logger("t").info(
        "attempt_made",
        delivery_id="dlv_1",
        headers={"Authorization": SECRET, "x": [f"whsec_{SECRET}"]},
        body=f"brk_{SECRET}".encode(),
        secret=SECRET,
        error=ValueError(f"https://a.example/?k={SECRET}"),
    )
    (line,) = lines()
    assert SECRET not in json.dumps(line)
    assert (line["event"], line["delivery_id"], line["level"]) == ("attempt_made", "dlv_1", "info")


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize(
    "text", [f"brk_{SECRET}", f"token={SECRET}", f"bearer {SECRET}", f"https://h/?{SECRET}"]
)
def test_one_field_of_a_line_is_enough(lines: Any, text: str, place: int) -> None:
    """Fields are checked together, and masked one by one."""
    texts = ["dlv_a1", "done", "cb_a2"]
    texts[place] = text
    get_logger("x").info("sent", first=texts[0], second=texts[1], third=texts[2], count=3, none=None)
    [line] = lines()
    assert SECRET not in json.dumps(line)
    assert [line["count"], line["none"]] == [3, None]
    shown = [line["first"], line["second"], line["third"]]
    assert [each for number, each in enumerate(shown) if number != place] == [
        each for number, each in enumerate(["dlv_a1", "done", "cb_a2"]) if number != place
    ]


@pytest.mark.parametrize(
    "names",
    [
        [f"brk_{SECRET}"],
        ["cb_a1", "cb_a2", f"token={SECRET}"],
        [f"https://h/?{SECRET}", "", "cb_a2"],
        ["", f"Authorization: Bearer {SECRET}"],
        (f"brk_{SECRET}", "cb_a2"),
        [1, f"brk_{SECRET}", None],
        [["cb_a1"], [f"whsec_{SECRET}"]],
        [{"secret": SECRET}],
        [f"brk_{SECRET}".encode()],
        [_Spelled(f"rm_{SECRET}")],
        {f"brk_{SECRET}"},
    ],
)
def test_a_list_hides_no_secret(lines: Any, names: Any) -> None:
    """A secret anywhere in a list is masked, whatever else is in it, and whatever kind of list it is."""
    get_logger("x").info("sent", first="dlv_a1", names=names, last="done")
    [line] = lines()
    assert SECRET not in json.dumps(line)
    assert (line["first"], line["last"], len(line["names"])) == ("dlv_a1", "done", len(names))


@pytest.mark.parametrize(
    "names", [[], ["cb_a1"], ["token=", "cb_a1"], ["rm_", "Bearer", "abcdefgh"], [1, "cb_a1"]]
)
def test_a_list_of_harmless_texts_is_left_alone(lines: Any, names: list[Any]) -> None:
    """Texts are checked together, but what only looks like a secret beside its neighbour is none."""
    get_logger("x").info("sent", names=names)
    [line] = lines()
    assert line["names"] == names


def test_a_list_in_a_field_with_a_secrets_name_is_masked_whole(lines: Any) -> None:
    """Its texts alone give nothing away."""
    get_logger("x").info("rotated", master_keys=[SECRET, SECRET], cookie=[], count=2)
    [line] = lines()
    assert (line["master_keys"], line["cookie"], line["count"]) == ("…", [], 2)


def test_masking_a_list_leaves_its_owners_alone(lines: Any) -> None:
    """What a caller logs it may use afterwards."""
    names = ["cb_a1", f"brk_{SECRET}"]
    get_logger("x").info("sent", names=names)
    assert SECRET not in json.dumps(lines())
    assert names == ["cb_a1", f"brk_{SECRET}"]


def test_libraries_records_are_masked_too(lines: Any) -> None:
    """What aiohttp or arq log is masked too, arguments included."""
    logging.getLogger("arq").warning("enqueue %s", f"rm_{SECRET}")
    (line,) = lines()
    assert line["event"] == "enqueue rm_…"


def test_exceptions_come_without_local_variables(lines: Any) -> None:
    """A traceback names files and lines, never values, and its message is masked."""

    def break_down(local: str) -> None:
        raise RuntimeError(f"whsec_{SECRET}" + local[:0])

    try:
        break_down(f"plain {SECRET}")
    except RuntimeError:
        get_logger("t").exception("broke")
    (line,) = lines()
    assert "RuntimeError" in line["exception"]
    assert SECRET not in json.dumps(line)


def test_a_logger_without_a_name_gets_its_callers_name(lines: Any) -> None:
    """A line must not name our own log module as its origin, however its logger was made."""
    structlog.get_logger().info("nameless")
    structlog.get_logger().bind(job="j1").info("bound")
    structlog.get_logger(job="j1").info("bound from the start")
    get_logger("t").info("named")
    assert [line["logger"] for line in lines()] == [*(__name__,) * 3, "t"]


def test_a_modules_logger_follows_a_new_configuration(lines: Any) -> None:
    """A worker configures its log twice: a logger that was used between goes by the later one."""
    logger = structlog.get_logger()
    logger.info("before")
    stream = io.StringIO()
    configure_logging(Settings(log_format="json", log_level="warning", _env_file=None), stream=stream)
    logger.info("left out")
    logger.warning("after")
    assert [line["event"] for line in lines()] == ["before"]
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["after"]


def test_lines_below_the_level_are_dropped(lines: Any) -> None:
    """Debug lines do not appear at the default level."""
    get_logger("t").debug("detail")
    assert lines() == []


def _write_lines_of_all_sorts(logger: Any) -> None:
    attempt = {
        "delivery": "dlv_1",
        "attempt": 1,
        "failure": None,
        "ms": 1.5,
        "url": f"https://a.example/?k={SECRET}",
    }
    logger.info("delivery.attempted", **attempt)
    logger.bind(job="j1", attempt=0).warning("attempt %d of %s", 2, "job", attempt=3, secret=SECRET)
    logger.debug("below the level")
    logger.info(None, names=["a"])
    logger.error("broke", exc_info=RuntimeError(f"whsec_{SECRET}"), headers={"x": b"1"})


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_lines_are_those_of_structlogs_own_logger(log_format: Any) -> None:
    """Fewer steps lead to the same line: fields in the same order, bound ones first, the same texts masked."""
    stream = io.StringIO()
    configure_logging(Settings(log_format=log_format, _env_file=None), stream=stream)
    try:
        ours = structlog.get_logger("t")
        _write_lines_of_all_sorts(ours)
        written = stream.getvalue()
        stream.seek(stream.truncate(0))
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
        _write_lines_of_all_sorts(structlog.get_logger("t"))
    finally:
        structlog.reset_defaults()
    plain, expected = (_TIME.sub("now", text) for text in (written, stream.getvalue()))
    assert plain == expected
    assert SECRET not in plain
    assert plain.count("now") == 4


def test_a_line_that_a_processor_drops_is_not_written(lines: Any) -> None:
    """Processors may end a line's way, as structlog's own collector for tests does."""
    with structlog.testing.capture_logs() as kept:
        get_logger("t").info("kept", job="j1")
    assert lines() == []
    assert kept == [{"job": "j1", "event": "kept", "log_level": "info"}]


def test_people_get_a_readable_line() -> None:
    """The console form names the event and its fields, without colour codes unless it is a terminal."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    try:
        configure_logging(Settings(log_format="console", _env_file=None), stream=stream)
        get_logger("t").info("job_ended", job_id="j1")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()
    assert "job_ended" in stream.getvalue()
    assert "job_id=j1" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


HOSTILE = "\x1b]0;owned\x07\x9b2J\u202e\u2028\n2026-01-01 [info] worker.ready"


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_value_from_outside_steers_no_terminal(log_format: Any) -> None:
    """In both forms of the log a hostile value stays within its line and shows its control characters."""
    stream = io.StringIO()
    configure_logging(Settings(log_format=log_format, _env_file=None), stream=stream)
    try:
        get_logger("bridge.test").info("callback.refused", name=HOSTILE, names=[HOSTILE])
        logging.getLogger("library").warning("said %s", HOSTILE)
    finally:
        logging.getLogger().handlers[:] = []
        structlog.reset_defaults()
    text = stream.getvalue()
    assert len(text.splitlines()) == 2
    assert not set(text) & set("\x1b\x07\x9b\u202e\u2028")
    if log_format == "json":
        assert json.loads(text.splitlines()[0])["name"] == HOSTILE
