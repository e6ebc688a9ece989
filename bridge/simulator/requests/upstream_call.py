"""What a handler takes and returns, independent of any HTTP library."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bridge.simulator.behaviour.rate_windows import RateDecision
from bridge.simulator.behaviour.switches import Envelope
from bridge.simulator.jobs.job_store import SimulatedJob, encode
from bridge.simulator.requests.errors import Problem, validation_problem
from bridge.simulator.state.simulator_state import SimulatorState

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamCall:
    """One authenticated request; `now` is in Unix seconds."""

    state: SimulatorState
    account: str
    now: float
    ids: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes

    def parse_body(self, model: type[Body]) -> Body:
        """Return the JSON body as a model; Problem 400 names the field that is wrong."""
        try:
            return model.model_validate_json(self.body or b"{}")
        except ValidationError as failure:
            raise validation_problem(failure) from failure

    def visible_or_none(self, job: SimulatedJob | None) -> SimulatedJob | None:
        """Return the job, or None when jobs are private and it belongs to another account."""
        if job is not None and self.state.switches.private_jobs and not job.is_visible_to(self.account):
            return None
        return job

    @property
    def viewer(self) -> str | None:
        """Return the account whose jobs a list shows; None shows everybody's."""
        return self.account if self.state.switches.private_jobs else None


@dataclass(frozen=True, slots=True)
class UpstreamResponse:
    """A status and a JSON body."""

    status: int
    body: bytes


Handler = Callable[[UpstreamCall], UpstreamResponse]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRoute:
    """One call of an upstream; `id_name` is the path parameter that names the job."""

    method: str
    path: str
    handler: Handler
    kind: str | None = None
    scope: Callable[[SimulatorState], str] | None = None
    bucket: str = "all"
    id_name: str = "id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """How one vendor authenticates, limits and refuses requests."""

    name: str
    prefix: str
    routes: tuple[UpstreamRoute, ...]
    read_key: Callable[[Mapping[str, str]], str]
    is_well_formed_key: Callable[[str], bool]
    rate_limit: Callable[[SimulatorState, str, str], tuple[int, float] | None]
    rate_headers: Callable[[SimulatorState, RateDecision, float], dict[str, str]]
    rate_limited: Callable[[RateDecision], Problem]
    unauthorized: Callable[[], Problem]
    write_error: Callable[[Problem], bytes]


def wrap(body: bytes, envelope: Envelope) -> bytes:
    """Return a JSON object inside its envelope."""
    if envelope == "bare":
        return body
    return b'{"' + envelope.encode() + b'":' + body + b"}"


def respond(value: Any, envelope: Envelope = "bare", *, status: int = 200) -> UpstreamResponse:
    """Return a response with a JSON value."""
    return UpstreamResponse(status, wrap(encode(value), envelope))
