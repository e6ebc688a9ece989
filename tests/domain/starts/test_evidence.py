"""Which object must be what an uncertain start began."""

import pytest
from msgspec.structs import replace

from bridge.domain.starts.evidence import ListedObject, LookResult, Scene, covers, judge

SCENE = Scene(source="s1", began_ms=100_000, until_ms=110_000)
OWN = ListedObject("g1", 101_000, "s1")
UNDATED = ListedObject("g1", None, "s1")
SOURCELESS = ListedObject("g1", 101_000, None)


@pytest.mark.parametrize(
    ("candidates", "scene", "certain", "named"),
    [
        # the only one of its source and time
        ([OWN], SCENE, "g1", ("g1",)),
        ([], SCENE, "", ()),
        # made from something else, before the request, or long after anybody waited
        ([replace(OWN, source="s2")], SCENE, "", ()),
        ([replace(OWN, created_ms=90_000)], SCENE, "", ()),
        ([replace(OWN, created_ms=145_000)], SCENE, "", ()),
        # clocks differ a little
        ([replace(OWN, created_ms=98_500)], SCENE, "g1", ("g1",)),
        # two that may be it
        ([OWN, replace(OWN, id="g2")], SCENE, "", ("g1", "g2")),
        # the other one is known to be another call's
        ([OWN, replace(OWN, id="g2")], replace(SCENE, returned={"g2"}), "g1", ("g1",)),
        # it is known to be another call's itself
        ([OWN], replace(SCENE, returned={"g1"}), "", ()),
        # another start may have made it
        ([OWN], replace(SCENE, rivals=("s1",)), "", ("g1",)),
        ([OWN], replace(SCENE, rivals=("",)), "", ("g1",)),
        ([OWN], replace(SCENE, rivals=("s2", "s3")), "g1", ("g1",)),
        ([SOURCELESS], replace(SCENE, rivals=("s2",), automated=False), "", ("g1",)),
        # a page that may hide others
        ([OWN], replace(SCENE, is_whole=False), "", ("g1",)),
        # a row without a time may be of any
        ([UNDATED], SCENE, "", ("g1",)),
        # a row without a source counts only where nothing is made without a call
        ([SOURCELESS], SCENE, "", ("g1",)),
        ([SOURCELESS], replace(SCENE, automated=True), "", ("g1",)),
        ([SOURCELESS], replace(SCENE, automated=False), "g1", ("g1",)),
        # the request named no source that a row could repeat
        ([OWN], replace(SCENE, source="", automated=False), "g1", ("g1",)),
        ([OWN], replace(SCENE, source=""), "", ("g1",)),
    ],
)
def test_one_object_is_certain_or_none(
    candidates: list[ListedObject], scene: Scene, certain: str, named: tuple[str, ...]
) -> None:
    """Whatever else may be meant makes it uncertain."""
    assert judge(candidates, scene) == LookResult(certain, named)


def page(*times: int | None) -> list[ListedObject]:
    return [ListedObject(f"g{number}", time, None) for number, time in enumerate(times)]


@pytest.mark.parametrize(
    ("shown", "count", "last", "whole"),
    [
        (page(), 0, False, True),
        # fewer than a page can hold, and the list says nothing else
        (page(5, None), 0, False, True),
        (page(5), 1, False, True),
        (page(5), 9, False, False),
        # newest first, back to before the request
        (page(150_000, 120_000, 90_000), 9, False, True),
        (page(150_000, 120_000, 110_000), 9, False, False),
        # oldest first: only the last page shows the newest
        (page(80_000, 90_000, 150_000), 9, False, False),
        (page(80_000, 90_000, 150_000), 9, True, True),
        (page(150_000, None, 90_000), 9, False, False),
        # no order
        (page(90_000, 150_000, 100_000), 9, True, False),
    ],
)
def test_a_page_covers_the_time_in_question_or_not(
    shown: list[ListedObject], count: int, *, last: bool, whole: bool
) -> None:
    """The order of a list is not documented, so that it is read from the rows' times."""
    assert covers(shown, count=count, most=3, began_ms=100_000, last=last) is whole
