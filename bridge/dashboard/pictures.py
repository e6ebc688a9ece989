"""Pictures made of rectangles. No I/O. Everything that has a colour has a pattern or a word beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from bridge.dashboard.words import say_time_left


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a job is: it began at `start_ms`; half end within `typical_s`, nine in ten within `late_s`."""

    start_ms: int
    typical_s: float
    late_s: float
    documented: bool  # nothing is known of the account's own jobs yet

    def age_s(self, now_ms: int) -> float:
        """Return how many seconds ago it began."""
        return max(now_ms - self.start_ms, 0) / 1000

    def is_overdue(self, now_ms: int) -> bool:
        """Whether nine jobs in ten would have ended."""
        return self.age_s(now_ms) > self.late_s


def draw_bar(progress: Progress, now_ms: int, label: str) -> Markup:
    """Return a job's bar with its words; the browser moves both on."""
    age_s = progress.age_s(now_ms)
    full = max(progress.late_s, 0.001)
    # A job that has not ended is never shown as whole.
    share = 100.0 if age_s > full else min(99.0, age_s / full * 100)
    text = say_time_left(age_s, progress.typical_s, progress.late_s)
    kind = "late" if age_s > full else "going"
    return Markup(
        '<span class="progress" data-start="{start}" data-typical="{typical:.3f}" data-late="{late:.3f}">'
        '<!--clock--><svg class="bar {kind}" viewBox="0 0 100 8" preserveAspectRatio="none" role="progressbar" '
        'aria-label="{label}" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{now:.0f}" aria-valuetext="{text}">'
        '<rect class="track" width="100" height="8"></rect><rect class="fill" width="{share:.1f}" height="8"></rect>'
        '<rect class="tick" x="{tick:.1f}" width="0.6" height="8"></rect></svg>'
        '<span class="left">{text}</span><!--/clock--></span>'
    ).format(
        start=progress.start_ms,
        typical=progress.typical_s,
        late=progress.late_s,
        kind=kind,
        label=label,
        now=min(share, 99),
        text=text,
        share=share,
        tick=min(progress.typical_s / full * 100, 99.4),
    )


def draw_bars(columns: Sequence[Sequence[tuple[str, float]]], label: str) -> Markup:
    """Return columns side by side, each of parts on top of each other; the numbers must stand beside it.

    The highest column is as high as the picture; one with something in it is never invisible.
    """
    most = max((sum(size for _, size in column) for column in columns), default=0) or 1.0
    width, rects = 100 / max(len(columns), 1), Markup()
    for place, column in enumerate(columns):
        top = 20.0
        for kind, size in column:
            if not size:
                continue
            height = max(size / most * 20, 1.0)
            top = max(top - height, 0.0)
            rects += Markup(
                '<rect class="{}" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"></rect>'
            ).format(kind, place * width, top, width * 0.8, height)
    return Markup(
        '<svg class="bars" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(label, rects)


def draw_gauge(parts: Sequence[tuple[str, float]], label: str) -> Markup:
    """Return a bar of parts side by side, each a class and a size; the numbers must stand beside it."""
    whole = sum(size for _, size in parts) or 1.0
    rects, at = Markup(), 0.0
    for kind, size in parts:
        width = size / whole * 100
        rects += Markup('<rect class="{}" x="{:.2f}" width="{:.2f}" height="8"></rect>').format(
            kind, at, width
        )
        at += width
    return Markup(
        '<svg class="gauge" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(label, rects)
