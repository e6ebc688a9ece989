"""Tell from the heads of a client's own request and of its answer what the answer shows of jobs. No I/O."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from bridge.providers.provider_spec import ProviderSpec

CODINGS = frozenset(("", "identity", "gzip", "x-gzip", "deflate"))
MAX_AGE_S = 3600  # of an answer from a cache; an older one says nothing
_PAGE_FIELDS = frozenset(("limit", "offset"))  # of a list's query; others may leave out parts of the rows
_CACHES = ("x-cache", "cf-cache-status")
_CHANGES = frozenset(("DELETE", "PATCH", "POST", "PUT"))


class Sight(StrEnum):
    """What an answer tells of a job, or of many."""

    STATE = "state"  # its state, as a read of the bridge's own would
    SAME = "same"  # that it is as in the answer with this ETag
    ROWS = "rows"  # the states of those that a page of a list shows, perhaps without their details
    ABSENCE = "absence"  # that it is not found; a read of the bridge's own has to confirm that
    REFUSED = "refused"  # that the credential is refused; likewise
    FORBIDDEN = "forbidden"  # that its kind may not be read; likewise
    CHANGE = "change"  # that the client changed it, so that its state may be another now


# What other statuses than 200 tell of one job that was asked for.
_TOLD = {403: Sight.FORBIDDEN, 404: Sight.ABSENCE, 410: Sight.ABSENCE}


class Shown(Struct, frozen=True, kw_only=True, gc=False):
    """The job that an answer tells of, under each kind that is read there; `age_s`: how old the answer was when it came.

    Of a list's page, only the kind of its rows: `job_id` is empty. `etag` is that of a 304.
    """

    sight: Sight
    kinds: tuple[str, ...]
    job_id: str = ""
    age_s: int = 0
    etag: str = ""


def read_shown(
    provider: ProviderSpec, *, method: str, path: str, query: str, status: int, headers: Mapping[str, str]
) -> Shown | None:
    """Return what an answer tells of jobs, None for what tells nothing that may be relied upon.

    `path` is relative to the provider's URL and decoded, `headers` are the answer's by their names in lower case. A
    query may leave out parts of a job, and part of an answer (206) shows part of it. Limits and outages are no statement
    about a job, and a refusal is one only where the bridge's own reads would be refused too.
    """
    if method in _CHANGES:
        return _read_change(provider, path) if 200 <= status < 300 else None
    age_s = _read_age_s(headers)
    if method != "GET" or age_s is None:
        return None
    etag = headers.get("etag", "")
    if status == 304 and etag and not query:
        one = _read_one(provider, path, age_s)
        return one and replace(one, sight=Sight.SAME, etag=etag)
    if "json" not in headers.get("content-type", "").lower():
        return None
    if status == 401:
        return _read_refused(provider, path)
    is_readable = status == 200 and headers.get("content-encoding", "").strip().lower() in CODINGS
    if is_readable and _is_page(query):
        for kind in provider.kinds.values():
            if kind.list is not None and kind.list.matches(path):
                return Shown(sight=Sight.ROWS, kinds=(kind.name,), age_s=age_s)
    one = None if query else _read_one(provider, path, age_s)
    if one is not None and status in _TOLD:
        return replace(one, sight=_TOLD[status])
    return one if is_readable else None


def _read_one(provider: ProviderSpec, path: str, age_s: int) -> Shown | None:
    """Return what a whole answer to the read of one job tells, None for any other path."""
    read = [(kind.name, found) for kind in provider.kinds.values() if (found := kind.id_in(path)) is not None]
    if not read:
        return None
    kinds, job_id = tuple(name for name, _ in read), read[0][1]
    return Shown(sight=Sight.STATE, kinds=kinds, job_id=job_id, age_s=age_s)


def _read_refused(provider: ProviderSpec, path: str) -> Shown | None:
    """Return what a 401 tells at a path that the bridge reads too; a login form elsewhere refuses a password with one."""
    one = _read_one(provider, path, 0)
    if one is not None:
        return replace(one, sight=Sight.REFUSED)
    is_list = any(kind.list is not None and kind.list.matches(path) for kind in provider.kinds.values())
    return Shown(sight=Sight.REFUSED, kinds=()) if is_list else None


def _is_page(query: str) -> bool:
    """Return whether a list's query only says which rows are wanted."""
    return all(each.partition("=")[0] in _PAGE_FIELDS for each in query.split("&") if each)


def _read_change(provider: ProviderSpec, path: str) -> Shown | None:
    """Return the job at a path, or at its beginning: `/reject` and its like change the job that they follow."""
    for place in (path, path.rpartition("/")[0]):
        read = [(kind.name, kind.id_in(place)) for kind in provider.kinds.values()]
        kinds = tuple(name for name, job_id in read if job_id is not None)
        if kinds:
            job_id = next(job_id for _, job_id in read if job_id is not None)
            return Shown(sight=Sight.CHANGE, kinds=kinds, job_id=job_id)
    return None


def _read_age_s(headers: Mapping[str, str]) -> int | None:
    """Return how old an answer was when it came, in seconds; None where a cache does not say so (RFC 9111, section 5.1)."""
    text = headers.get("age", "").strip()
    if text:
        is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_AGE_S))
        return int(text) if is_number and int(text) <= MAX_AGE_S else None
    return None if any("hit" in headers.get(name, "").lower() for name in _CACHES) else 0
