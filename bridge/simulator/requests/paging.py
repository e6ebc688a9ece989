"""Pages of a list ("Introduction", Pagination): `limit` 20, at most 100, and `offset`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bridge.simulator.requests.errors import Problem
from bridge.simulator.requests.upstream_call import UpstreamCall, UpstreamResponse

Row = TypeVar("Row")
_DEFAULT_LIMIT, _MAX_LIMIT = 20, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PageBounds:
    """Which rows a client asks for."""

    limit: int
    offset: int


def read_page(call: UpstreamCall) -> PageBounds:
    """Return `limit` and `offset` of a request; Problem 400 for anything but numbers within their range."""
    limit = _number(call, "limit", _DEFAULT_LIMIT, minimum=1)
    if limit > _MAX_LIMIT:
        if call.state.switches.list_over_100 == "reject":
            raise Problem(400, f"limit: at most {_MAX_LIMIT}", details={"field": "limit"})
        limit = _MAX_LIMIT
    return PageBounds(limit=limit, offset=_number(call, "offset", 0, minimum=0))


def respond_page(
    call: UpstreamCall, rows: Sequence[Row], write: Callable[[Row], bytes | None]
) -> UpstreamResponse:
    """Return a page as `{"data": [...], "count": n}`; `rows` come oldest first."""
    page, switches = read_page(call), call.state.switches
    start, stop = page.offset, min(page.offset + page.limit, len(rows))
    if switches.list_order == "oldest":
        wanted = rows[start:stop]
    else:
        wanted = rows[max(0, len(rows) - stop) : max(0, len(rows) - start)][::-1]
    written = [body for row in wanted if (body := write(row)) is not None]
    count = len(rows) if switches.list_count == "total" else len(written)
    return UpstreamResponse(
        200, b'{"data":[' + b",".join(written) + b'],"count":' + str(count).encode() + b"}"
    )


def _number(call: UpstreamCall, name: str, default: int, *, minimum: int) -> int:
    text = call.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < minimum:
        raise Problem(400, f"{name}: must be a whole number of at least {minimum}", details={"field": name})
    return int(text)
