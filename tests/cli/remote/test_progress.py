"""How far a bar is, which exit status an ending has, and how a stream's bytes become events."""

import re

import pytest

from bridge.cli.remote.event_source import MAX_BLOCK_BYTES, Block, BlockReader
from bridge.cli.remote.progress import estimate, exit_status
from bridge.providers.registry import KINDS


def test_time_alone_never_completes_a_bar() -> None:
    """The documented range is in the words; what takes longer is said to."""
    kind = KINDS["sync_job"]
    assert estimate(kind, None, 0).done == 0
    late = estimate(kind, {"status": "running"}, 1e6)
    assert late.done < 1
    assert late.text == "longer than the usual 300 s"
    assert estimate(kind, None, 10).text == "usually 30 to 300 s"


def test_parts_that_have_ended_count() -> None:
    """Each is a share, whatever the time; the others go on with it."""
    kind = KINDS["generated_post"]
    parts = [{"status": "completed"}, {"status": "failed"}, {"status": "pending"}, {"status": "pending"}]
    found = estimate(kind, {"media_items": parts}, 0)
    assert found.done == pytest.approx(0.5)
    assert found.text.startswith("2 of 4 ended, ")
    assert estimate(kind, {"media_items": ["odd", {"status": 3}]}, 0).text.startswith("0 of 1 ended")
    assert estimate(kind, {"media_items": "odd"}, 0).done == 0


@pytest.mark.parametrize(
    ("ending", "status"),
    [("completed", 0), ("failed", 3), ("skipped", 5), ("deleted", 6), ("not_found", 7), ("timed_out", 7), ("new", 7)],
)  # fmt: skip
def test_each_ending_has_a_status(ending: str, status: int) -> None:
    """A word that this version does not know tells nothing."""
    assert exit_status(KINDS["sync_job"], ending) == status


def test_a_stream_may_be_cut_anywhere() -> None:
    """However the bytes come, the blocks are the same; comments and blocks without data are none to act upon."""
    text = b'retry: 2000\nid: 7\n\n: heartbeat\n\nid: 8\nevent: a.b\ndata: {"x": "1: 2"}\n\n'
    for size in range(1, len(text) + 1):
        reader = BlockReader()
        found = [block for at in range(0, len(text), size) for block in reader.feed(text[at : at + size])]
        assert [each for each in found if each.data] == [Block(place="8", event="a.b", data=b'{"x": "1: 2"}')]
        assert [each.place for each in found if each.place] == ["7", "8"]


def test_a_block_without_end_is_refused() -> None:
    """Whatever a bridge sends, memory is bounded."""
    reader = BlockReader()
    with pytest.raises(ValueError, match=re.escape("does not end")):
        list(reader.feed(b"x" * (MAX_BLOCK_BYTES + 1)))
