"""A project's endpoints, prepared for what is asked about them for each event and each delivery."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from bridge.domain.subscriptions.endpoint import Endpoint, wants

_MOST_REMEMBERED: Final = 1_000  # questions of a table; there are about as many as types times personas


class EndpointTable:
    """The endpoints of one project as they are in one epoch.

    `epoch` rises with each change of any of them; 0: the project has never had one.
    """

    def __init__(self, epoch: int, endpoints: Iterable[Endpoint]) -> None:
        """Take the endpoints, in any order."""
        self.epoch = epoch
        rows = sorted(endpoints, key=lambda each: (each.created_ms, each.id))
        self.by_id: Mapping[str, Endpoint] = {each.id: each for each in rows}
        self._answers: dict[tuple[str, bool, str], tuple[Endpoint, ...]] = {}
        self._by_url: dict[bytes, list[Endpoint]] = {}
        for each in rows:
            self._by_url.setdefault(each.fingerprint, []).append(each)

    def matching(self, event_type: str, *, ending: bool, persona: str) -> tuple[Endpoint, ...]:
        """Return the endpoints whose filter lets an event through, oldest first, disabled ones too."""
        if not self.by_id:
            return ()
        asked = (event_type, ending, persona)
        found = self._answers.get(asked)
        if found is None:
            if len(self._answers) >= _MOST_REMEMBERED:
                self._answers.clear()
            found = self._answers[asked] = tuple(
                each
                for each in self.by_id.values()
                if wants(each, event_type, ending=ending, persona=persona)
            )
        return found

    def on_url(self, fingerprint: bytes) -> Sequence[Endpoint]:
        """Return the endpoints with the URL of this fingerprint, oldest first."""
        return self._by_url.get(fingerprint, ())


NO_ENDPOINTS: Final = EndpointTable(0, ())
