"""Note what calls began that begin work, name no callback URL and have no key: it is not what an uncertain call began."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bridge.domain.starts.records import StartedJob
from bridge.http.client.http_response import HttpResponse
from bridge.providers.passing import Shown, Sight
from bridge.providers.start_spec import StartSpec, read_started
from bridge.proxy.answer_copy import AnswerCopy
from bridge.proxy.start_answer import Meaning, judge_answer, read_json


def copy_answer(
    spec: StartSpec,
    request: Mapping[str, Any],
    response: HttpResponse,
    *,
    note: Callable[[Sequence[StartedJob]], None],
    beside: AnswerCopy | None,
) -> AnswerCopy:
    """Return a copy of an answer that hands what it names to `note`, and ends another copy that needs no body."""

    def use(_: Shown, body: bytes) -> None:
        if beside is not None:
            beside.end()
        is_whole = not (response.flaw or response.body.flaw)
        if is_whole and judge_answer(response.status, response.fields) is Meaning.DONE:
            jobs = read_started(spec, request, read_json(body, response.fields))
            if jobs:
                note(jobs)

    return AnswerCopy(Shown(sight=Sight.STATE, kinds=(spec.kind,)), use)
