"""How long upstream work takes, according to the vendors' pages."""

import random
import uuid
from dataclasses import dataclass

SYNC_COOLDOWN_S = 15 * 60  # guide "Webhooks": "Sync jobs: skipped when one ran within the last 15 minutes"
DEMO_S = 8.0  # not documented: short, so that whoever pastes the demo command sees its result


@dataclass(frozen=True, slots=True, kw_only=True)
class DurationRange:
    """A documented range of seconds."""

    low_s: float
    high_s: float


# ReelMirror, guide "Webhooks", expected times
SYNC = DurationRange(low_s=30, high_s=300)
IMAGE = DurationRange(low_s=20, high_s=90)
VIDEO = DurationRange(low_s=60, high_s=300)
VOICE = DurationRange(low_s=30, high_s=120)
DELIVERY = DurationRange(low_s=10, high_s=60)
# ReelBot, page "Check Status", typical timeline
REELBOT_QUEUED = DurationRange(low_s=0, high_s=30)
REELBOT_PROCESSING = DurationRange(low_s=60, high_s=300)
# not documented: the wait before a generation begins
QUEUE = DurationRange(low_s=1, high_s=5)


class Dice:
    """Draws durations and ids from one seed, so that a run can be repeated."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  # a simulator's dice guard nothing

    def seconds(self, span: DurationRange) -> float:
        """Return a random duration within a range, in simulated seconds."""
        return self._random.uniform(span.low_s, span.high_s)

    def media_seconds(self, media_type: str) -> float:
        """Return a random duration for one media item, in simulated seconds."""
        return self.seconds(VIDEO if media_type == "video" else IMAGE)

    def between(self, low: int, high: int) -> int:
        """Return a random integer, both ends included."""
        return self._random.randint(low, high)

    def uuid(self) -> str:
        """Return a random id in ReelMirror's form."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def project_id(self) -> str:
        """Return a random id in ReelBot's form: 12 lower-case letters and digits."""
        return "".join(self._random.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=12))
