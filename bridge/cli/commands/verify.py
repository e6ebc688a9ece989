"""`reelbridge verify`: explain why the signature of a received delivery is good or not."""

import sys
import time
from collections.abc import Iterable
from pathlib import Path

from bridge.cli.local.errors import CommandError
from bridge.cli.remote.output import show_json, show_line
from bridge.domain.deliveries.signature_check import explain_signature

MAX_BODY_BYTES = 4 << 20


def run_verify(
    *, secret: str, headers: Iterable[str], body_file: str, tolerance_s: int, as_json: bool
) -> int:
    """Print the findings; return 0 when the signature is good, 1 when something is wrong."""
    findings = explain_signature(
        secret=secret,
        headers=dict(_split_header(text) for text in headers),
        body=_read_body(body_file),
        now_s=int(time.time()),
        tolerance_s=tolerance_s,
    )
    good = not any(finding.startswith("wrong: ") for finding in findings)
    if as_json:
        show_json({"valid": good, "findings": findings})
    else:
        for finding in findings:
            show_line(finding)
    return 0 if good else 1


def _split_header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise CommandError(
            "-H: write it as 'webhook-id: evt_…', one -H for each of the three webhook-… headers"
        )
    return name.strip().lower(), value.strip()


def _read_body(body_file: str) -> bytes:
    try:
        if body_file == "-":
            body = sys.stdin.buffer.read(MAX_BODY_BYTES + 1)
        else:
            with Path(body_file).open("rb") as file:
                body = file.read(MAX_BODY_BYTES + 1)
    except OSError as error:
        raise CommandError(f"--body: {body_file} cannot be read ({error.strerror})") from None
    if len(body) > MAX_BODY_BYTES:
        raise CommandError(f"--body: larger than {MAX_BODY_BYTES >> 20} MB; a delivery never is")
    return body
