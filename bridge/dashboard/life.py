"""The picture of a job's life: polls, events and attempts on an axis whose idle stretches are cut. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from markupsafe import Markup

from bridge.dashboard.words import show_duration
from bridge.domain.times import iso_ms

WIDTH: Final = 960
LEFT: Final = 84
ROW: Final = 30
TOP: Final = 26
ROWS: Final = ("polls", "events", "attempts")
CUT_AFTER: Final = 6.0  # a gap that is so many times the median one is cut
CUT_WIDTH: Final = 44.0
LEAST_GAP: Final = 7.0  # pixels between two marks, so that bursts stay apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that happened or will: `row` is one of `ROWS`, `kind` the class of its colours."""

    at_ms: int
    row: str
    kind: str
    text: str
    ahead: bool = False


def place_times(times: Sequence[int], width: float) -> tuple[dict[int, float], list[tuple[float, int]]]:
    """Return where each time lies on an axis so wide, and the cuts: their middle, and how many ms each leaves out.

    Gaps keep their proportions, but long ones are cut, and none is narrower than `LEAST_GAP` before all is scaled.
    """
    ordered = sorted(set(times))
    gaps = [after - before for before, after in pairwise(ordered)]
    if not gaps:
        return dict.fromkeys(ordered, 0.0), []
    usual = max(sorted(gaps)[len(gaps) // 2], 1)
    steps = [
        CUT_WIDTH if gap > CUT_AFTER * usual else max(LEAST_GAP, gap / usual * LEAST_GAP * 2) for gap in gaps
    ]
    scale = width / sum(steps)
    places, cuts, x = {ordered[0]: 0.0}, [], 0.0
    for time_ms, gap, step in zip(ordered[1:], gaps, steps, strict=True):
        if gap > CUT_AFTER * usual:
            cuts.append((x + step * scale / 2, gap))
        x += step * scale
        places[time_ms] = x
    return places, cuts


def draw_life(marks: Sequence[Mark]) -> Markup:
    """Return the picture, empty without marks; the same must stand beside it as a list."""
    if not marks:
        return Markup()
    places, cuts = place_times([each.at_ms for each in marks], WIDTH - LEFT - 24)
    height = TOP + ROW * len(ROWS) + 6
    parts = [
        Markup(
            '<text class="row" x="0" y="{}">{}</text><line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"></line>'
        ).format(TOP + ROW * n + 20, row, LEFT, WIDTH, TOP + ROW * n + 16, TOP + ROW * n + 16)
        for n, row in enumerate(ROWS)
    ]
    parts += [_draw_cut(LEFT + x, left_out_ms, height) for x, left_out_ms in cuts]
    parts += [_draw_mark(each, LEFT + places[each.at_ms]) for each in marks]
    first, last = min(places), max(places)
    parts.append(_draw_time(first, LEFT, "time"))
    if last > first and places[last] > 200:
        parts.append(_draw_time(last, LEFT + places[last] + 8, "time end"))
    drawn = Markup().join(parts)
    return Markup(
        '<svg class="life" viewBox="0 0 {} {}" role="img" aria-label="The job\'s life on a time axis; the list below says the same">{}</svg>'
    ).format(WIDTH, height, drawn)


def _draw_time(at_ms: int, x: float, kind: str) -> Markup:
    """Return the time of one end of the axis, which the browser shows in its own zone."""
    iso = iso_ms(at_ms)
    return Markup('<text class="{}" data-at="{}" x="{:.1f}" y="14">{} UTC</text>').format(
        kind, iso, x, iso[11:19]
    )


def _draw_cut(x: float, left_out_ms: int, height: int) -> Markup:
    return Markup(
        '<rect class="cut" x="{:.1f}" y="{}" width="10" height="{}"></rect><text class="time cutword" x="{:.1f}" y="{}">{}</text>'
    ).format(x - 5, TOP, height - TOP, x, 24, show_duration(left_out_ms / 1000))


def _draw_mark(mark: Mark, x: float) -> Markup:
    y = TOP + ROW * ROWS.index(mark.row) + 6
    shape = "ahead" if mark.ahead else "there"
    return Markup(
        '<rect class="mark {} {}" x="{:.1f}" y="{}" width="5" height="20" rx="1"><title>{}</title></rect>'
    ).format(mark.kind, shape, x - 2, y, mark.text)
