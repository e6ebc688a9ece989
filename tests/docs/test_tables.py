"""Tables and charts of the documentation are those of the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from bridge import errors
from bridge.api.requests.coercion import MAX_EVENTS, MAX_METADATA_BYTES
from bridge.api.requests.job_identity import MAX_ID_CHARS, MAX_JOBS
from bridge.api.routing import BODY_LIMIT
from bridge.config.settings import Settings
from bridge.domain.deliveries.records import DeliveryState
from bridge.domain.jobs.callbacks import CALLBACK_BYTES_PER_JOB
from bridge.domain.jobs.records import JobState
from bridge.domain.jobs.registration import CALLBACKS_PER_JOB, CLOSED_KEPT
from bridge.domain.subscriptions.callback import CallbackState
from bridge.domain.urls.policy import MAX_URL_CHARACTERS
from bridge.providers.registry import CATALOGUE, KINDS
from bridge.providers.spec import BRIDGE_ENDINGS
from bridge.services.quota import JOBS_PER_PROJECT
from tests.docs.pages import ROOT, between, read, table_rows, without_code_blocks

# The kinds in the order of the README's tables.
REGISTRABLE = [
    KINDS["sync_job"],
    KINDS["generated_post"],
    KINDS["generated_media_item"],
    KINDS["voice_conversion"],
    KINDS["outgoing_post"],
    KINDS["reelbot_video"],
]
ARROW = re.compile(r"^\s*(\w+)(?:\[[^\]]*\])? --> (\w+)", re.MULTILINE)


def section(name: str, heading: str) -> str:
    """Return what stands under a heading of a page, up to the next one of its level."""
    level = heading.split(" ", maxsplit=1)[0]
    rest = without_code_blocks(read(name)).split(f"\n{heading}\n", 1)[1]
    return re.split(rf"^{level} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def words(cell: str) -> list[str]:
    """Return the inline code of a cell."""
    return re.findall(r"`([^`]+)`", cell)


def test_the_events_are_the_catalogues() -> None:
    """Each kind's endings and its other events, and those that every kind has."""
    rows = {words(first)[0] if words(first) else "every kind": rest for first, *rest in event_rows()}
    assert set(rows) == {*CATALOGUE.kinds, "every kind"}
    every = [words(cell) for cell in rows.pop("every kind")]
    for kind, cells in rows.items():
        for column, ending in enumerate((True, False)):
            of_code = [e.word for e in CATALOGUE.types.values() if e.kind == kind and e.ending is ending]
            assert sorted([*words(cells[column]), *every[column]]) == sorted(of_code), kind


def event_rows() -> list[list[str]]:
    """Return the event table's rows, which is the first table of its section."""
    table, _, _ = section("docs/contract.md", "## Events").lstrip().partition("\n\n")
    return table_rows(table)


def test_the_errors_are_the_apis() -> None:
    """Code and status of every refusal."""
    rows = [row for row in table_rows(section("docs/contract.md", "## Answers")) if len(row) == 2]
    shown = {(words(code)[0], int(status[:3])) for code, status in rows}
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    assert shown == {(c.code, c.status) for c in classes if issubclass(c, errors.BridgeError)}


def test_the_states_are_the_records() -> None:
    """The tables name each state of a job and of a delivery, in order; the contract names those of a callback."""
    jobs = table_rows(section("docs/architecture.md", "## States"))
    assert [words(state)[0] for state, _ in jobs] == ["watching", "missing", "ended", "tail"]
    assert {words(state)[0] for state, _ in jobs} == set(JobState)
    deliveries = table_rows(section("docs/delivery.md", "## States"))
    assert [words(state)[0] for state, _ in deliveries] == list(DeliveryState)
    (sentence,) = re.findall(r"^A callback's `state` is .*$", read("docs/contract.md"), re.MULTILINE)
    assert words(sentence)[1:] == list(CallbackState)


def test_the_limits_are_the_codes_own() -> None:
    """The table of limits has the numbers that requests are judged by, in its order."""
    shown = [int(value.replace(",", "")) for _, value, _ in table_rows(between("docs/contract.md", "limits"))]
    assert shown == [
        JOBS_PER_PROJECT,
        Settings.model_fields["project_quota"].default,
        CALLBACKS_PER_JOB,
        CLOSED_KEPT,
        CALLBACK_BYTES_PER_JOB,
        MAX_JOBS,
        MAX_EVENTS,
        MAX_ID_CHARS,
        MAX_URL_CHARACTERS,
        MAX_METADATA_BYTES,
        BODY_LIMIT,
    ]


def test_the_readme_says_how_each_kind_ends() -> None:
    """Its first table has the kinds that can be registered, in order, with their own endings."""
    assert {kind.name for kind in REGISTRABLE} == {kind.name for kind in KINDS.values() if kind.registrable}
    rows = table_rows(section("README.md", "## Register"))[: len(REGISTRABLE)]
    shown = [set(words(endings)) for _, _, endings in rows]
    assert shown == [set(kind.ending_words) - set(BRIDGE_ENDINGS) for kind in REGISTRABLE]


def test_the_readme_says_when_each_kind_is_polled() -> None:
    """Intervals and timeouts of its table are those that the providers document."""
    rows = [(poll, timeout) for _, poll, timeout in table_rows(section("README.md", "## Watch"))]
    post = KINDS["generated_post"].timing_by_media
    timings = [
        KINDS["sync_job"].timing,
        post["image"],
        post["video"],
        KINDS["voice_conversion"].timing,
        KINDS["outgoing_post"].timing,
        KINDS["reelbot_video"].timing,
    ]
    assert len(rows) == len(timings)
    for (poll, timeout), timing in zip(rows, timings, strict=True):
        assert poll.startswith(f"{timing.interval_s:g} s")
        assert timeout.startswith(f"{timing.timeout_s / 60:g} min")


def test_the_folders_are_there() -> None:
    """The folder table of docs/architecture.md has every folder of the product, and no other."""
    shown = [words(row[0])[0] for row in table_rows(between("docs/architecture.md", "folders"))]
    assert shown == sorted(set(shown), key=lambda path: (path.startswith("workers"), path))
    assert set(shown) == {path.as_posix() for path in folders()}


def folders() -> set[Path]:
    """Return the folders of the product that hold a source file; the simulator is one, whatever is inside."""
    files = [path.relative_to(ROOT) for top in ("bridge", "workers") for path in (ROOT / top).rglob("*")]
    found = {path.parent for path in files if path.suffix in (".py", ".lua")}
    return {folder for folder in found if folder.parent != Path("bridge/simulator")}


def test_the_house_is_drawn_as_it_is_built() -> None:
    """Each arrow is an import, and each import between rooms goes along the arrows."""
    arrows = set(ARROW.findall(between("docs/architecture.md", "house")))
    real = set(imports())
    assert arrows <= real
    reached = set(arrows)
    for _ in arrows:
        reached |= {(a, d) for a, b in reached for c, d in arrows if b == c}
    assert real - reached == set()


def imports() -> Iterator[tuple[str, str]]:
    """Find which room imports which; a file right in `bridge` is a room of its own."""
    for path in [*(ROOT / "bridge").rglob("*.py"), *(ROOT / "workers").rglob("*.py")]:
        parts = path.relative_to(ROOT).with_suffix("").parts
        room = parts[1] if parts[0] == "bridge" else "workers"
        for node in ast.walk(ast.parse(path.read_text())):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            top, _, rest = (module or "").partition(".")
            other = rest.split(".")[0] if top == "bridge" else top
            if top in ("bridge", "workers") and other and other != room:
                yield room, other


def test_the_glossary_knows_where_its_words_live() -> None:
    """Module and class of each word exist, and no word is explained twice."""
    rows = table_rows(read("docs/glossary.md"))
    explained = [word for word, _, _ in rows]
    assert len(explained) == len(set(explained))
    for word, _, place in rows:
        path, *names = words(place)
        assert (ROOT / path).exists(), word
        for name in names:
            assert re.search(rf"^(?:class )?{name}\b", (ROOT / path).read_text(), re.MULTILINE), word
