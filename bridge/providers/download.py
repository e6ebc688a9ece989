"""Read a provider's answer to the request for a link to a finished job's file, without I/O or a clock."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.domain.observation import PollResult, UnexpectedAnswer, UpstreamBroken
from bridge.providers.body import look_up, read_document
from bridge.providers.error_responses import read_refusal
from bridge.providers.spec import KindSpec

MAX_LINK_CHARS = 8_192
# What may stand in a Location header: no blank, no control character, nothing but ASCII.
_LINK = re.compile(r"https?://[!-~]+", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DownloadLink:
    """The link; whoever has it may fetch the file while it lasts, so it is in no log."""

    url: str

    def __repr__(self) -> str:
        """Return a text without the link."""
        return "DownloadLink()"


@dataclass(frozen=True, slots=True)
class FileNotReady:
    """The provider says that the file is not made yet."""


@dataclass(frozen=True, slots=True)
class FileMissing:
    """The provider says that the job ended and has no file."""


DownloadResult = DownloadLink | FileNotReady | FileMissing | PollResult


def read_download(
    kind: KindSpec, *, http_status: int, headers: Mapping[str, str], body: bytes, now_ms: int
) -> DownloadResult:
    """Return the link that an answer gives, or why there is none; never raise for what an answer holds."""
    spec = kind.download
    assert spec is not None, "only asked of kinds that have a file"
    document = read_document(body)
    if 200 <= http_status < 300:
        if document.trouble:
            return UpstreamBroken(reason=f"HTTP {http_status}: {document.trouble}")
        return _read_link(look_up(document.value, (spec.link_field,)))
    if 400 <= http_status < 500:
        code = look_up(document.value, kind.errors.code)
        if code in (spec.not_ready, spec.missing):
            return FileNotReady() if code == spec.not_ready else FileMissing()
    return read_refusal(
        kind.errors, http_status=http_status, headers=headers, document=document, now_ms=now_ms
    )


def _read_link(value: object) -> DownloadLink | UnexpectedAnswer:
    if isinstance(value, str) and len(value) <= MAX_LINK_CHARS and _LINK.fullmatch(value):
        return DownloadLink(value)
    return UnexpectedAnswer(reason="answered no usable link")
