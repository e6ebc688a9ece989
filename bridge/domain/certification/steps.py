"""What `reelbridge certify` sends, and the headers of each request."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.domain.deliveries.signing import sign


class Signing(enum.Enum):
    """How a request is signed."""

    OWN = "own"
    ROTATED = "rotated"  # by another secret and then by the receiver's, as while the secret is being replaced
    OTHER = "other"  # by another secret alone
    CHANGED = "changed"  # by the receiver's secret, for another body
    NONE = "none"  # without any webhook-… header


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRequest:
    """One request. `age_s` is how old its timestamp is when it is sent; below 0 it lies in the future.

    `accepted` says whether a good receiver answers 2xx or refuses with a 4xx. `handled` is what a receiver that tells
    whether it acted upon an event should say, None where both answers are right.
    """

    event_id: str
    body: bytes
    accepted: bool = True
    handled: bool | None = True
    signing: Signing = Signing.OWN
    age_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Requests that are sent one after another and judged together.

    `asks` is what a receiver should do, in a sentence; `fix` what to change if it answers otherwise. `hint` is what to
    change if it does act upon what it should leave aside, or the other way round.
    """

    name: str
    asks: str
    fix: str
    steps: Sequence[CaseRequest]
    hint: str = ""


def build_headers(step: CaseRequest, *, secret: str, other: str, now_s: int) -> dict[str, str]:
    """Return the `webhook-…` headers of a request. `other` is a secret that the receiver does not have."""
    if step.signing is Signing.NONE:
        return {}
    secrets, body = [secret], step.body
    match step.signing:
        case Signing.ROTATED:
            secrets = [other, secret]
        case Signing.OTHER:
            secrets = [other]
        case Signing.CHANGED:
            body = step.body + b" "
    sent_s = now_s - step.age_s
    return {
        "webhook-id": step.event_id,
        "webhook-timestamp": str(sent_s),
        "webhook-signature": sign(secrets, event_id=step.event_id, timestamp_s=sent_s, body=body),
    }
