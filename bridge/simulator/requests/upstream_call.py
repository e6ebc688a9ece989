"""What a handler gets and gives; nothing in it knows of HTTP libraries."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bridge.simulator.behaviour.rate_windows import Verdict
from bridge.simulator.behaviour.switches import Envelope
from bridge.simulator.jobs.job_store import Job, encode
from bridge.simulator.requests.errors import Problem, invalid
from bridge.simulator.state.simulator_state import World

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamCall:
    """One authenticated request; `now` Unix seconds."""

    world: World
    account: str
    now: float
    ids: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes

    def parsed(self, model: type[Body]) -> Body:
        """Read the JSON body; Problem 400 names the field that is wrong."""
        try:
            return model.model_validate_json(self.body or b"{}")
        except ValidationError as failure:
            raise invalid(failure) from failure

    def visible(self, job: Job | None) -> Job | None:
        """Hide another account's job where jobs are private."""
        if job is not None and self.world.switches.private_jobs and not job.may_see(self.account):
            return None
        return job

    @property
    def viewer(self) -> str | None:
        """Tell whose jobs lists show; None: everybody's."""
        return self.account if self.world.switches.private_jobs else None


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON body."""

    status: int
    body: bytes


Handler = Callable[[UpstreamCall], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One call of an upstream; `id_name` is the path's part that names the job."""

    method: str
    path: str
    handler: Handler
    kind: str | None = None
    scope: Callable[[World], str] | None = None
    bucket: str = "all"
    id_name: str = "id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """How one vendor authenticates, limits and refuses."""

    name: str
    prefix: str
    routes: tuple[Route, ...]
    read_key: Callable[[Mapping[str, str]], str]
    has_form: Callable[[str], bool]
    allowance: Callable[[World, str, str], tuple[int, float] | None]
    rate_headers: Callable[[World, Verdict, float], dict[str, str]]
    limited: Callable[[Verdict], Problem]
    unauthorized: Callable[[], Problem]
    write_error: Callable[[Problem], bytes]


def wrapped(body: bytes, envelope: Envelope) -> bytes:
    """Put a JSON object into its envelope."""
    if envelope == "bare":
        return body
    return b'{"' + envelope.encode() + b'":' + body + b"}"


def answer(value: Any, envelope: Envelope = "bare", *, status: int = 200) -> Answer:
    """Answer with a JSON value."""
    return Answer(status, wrapped(encode(value), envelope))
