"""Send commands to the nodes of a Cluster that hold their keys, and wait for the disks of those nodes.

redis-py (5.3.1) sends WAITAOF, which has no key, to any node once it repeats a pipeline or follows a redirection; says
ASKING over one connection and the command over another; and knows no node that has just joined. Source: its
asyncio/cluster.py; valkey.io, "Cluster specification", "Client redirection".
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from redis.asyncio.cluster import ClusterNode, PipelineCommand, RedisCluster
from redis.cluster import PRIMARY
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError,  # noqa: A004 -- redis's own error is meant
    MovedError,
    RedisClusterException,
    ResponseError,
    TimeoutError,  # noqa: A004 -- as above
    TryAgainError,
)

Bytes = bytes | str | int
Command = tuple[Bytes, ...]
OUTAGES = (ConnectionError, TimeoutError, ClusterDownError, RedisClusterException, OSError)
REPEATED = (MovedError, TryAgainError, *OUTAGES)
TRIES = 6
PAUSE_S = 0.25  # before what failed is tried again
GIVE_UP_S = 3.0  # nothing is tried again after this: who waits is told of the outage, which a failover may be


class Keyed(NamedTuple):
    """A command and one of its keys, all of which lie in the same slot."""

    key: str
    command: Command


class NodeWait(NamedTuple):
    """How to wait until a node has what was written on disk.

    `touch` writes `key`, so that there is something to wait for; `wait` returns the commands that wait at a node, by its
    name, of which the last one's answer counts.
    """

    key: str
    touch: Command
    wait: Callable[[str], Sequence[Command]]


class _Visit(NamedTuple):
    """Commands for one node, by their places; `asking`: the node is about to take over their slot."""

    node: ClusterNode
    asking: bool
    places: list[int]


async def send_each(redis: RedisCluster, calls: Sequence[Keyed]) -> list[Any]:
    """Send commands, those of each node in one round trip; return the answer of each, or its error, in order.

    What a node did not answer or redirected is sent again, so that a command may be carried out twice.
    """
    answers: list[Any] = [None] * len(calls)
    left: dict[int, ClusterNode | None] = dict.fromkeys(range(len(calls)))
    for attempt in _tries():
        if not left:
            break
        visits, failed = await _plan(redis, calls, left)
        found = await asyncio.gather(*(_visit(redis, visit, calls) for visit in visits))
        answers_now = failed | {
            place: answer
            for visit, some in zip(visits, found, strict=True)
            for place, answer in zip(visit.places, some, strict=True)
        }
        for place, answer in answers_now.items():
            answers[place] = answer
        left = await _follow(redis, visits, answers_now, attempt)
    return answers


async def send_durably(
    redis: RedisCluster, calls: Sequence[Keyed], disk: NodeWait
) -> tuple[list[Any], list[Any]]:
    """Send commands of one slot, and wait for the disk of each node that carried any of them out.

    Return the answer of each command or its error, in order, and for each wait whether it was confirmed or its error.
    Each wait is sent over the connection that its commands were sent over. If one of the commands has to be sent again, all are,
    because the node that answered some of them may have lost them.
    """
    targets: dict[int, ClusterNode | None] = dict.fromkeys(range(len(calls)))
    answers: dict[int, Any] = {}
    waits: list[Any] = []
    for attempt in _tries():
        visits, answers = await _plan(redis, calls, targets)
        found = await asyncio.gather(*(_visit(redis, visit, calls, disk) for visit in visits))
        waits = []
        for visit, (*some, waited) in zip(visits, found, strict=True):
            answers.update(zip(visit.places, some, strict=True))
            waits.append(waited)
        again = await _follow(redis, visits, answers, attempt)
        if not again and not any(_is_unanswered(waited) for waited in waits):
            break
        targets = dict.fromkeys(range(len(calls))) | again
    return [answers[place] for place in range(len(calls))], waits


def _tries() -> Iterator[int]:
    """Yield the numbers of the tries, until it is time to give up."""
    deadline = time.monotonic() + GIVE_UP_S
    for attempt in range(TRIES):
        if time.monotonic() < deadline:
            yield attempt


def _is_unanswered(waited: Any) -> bool:
    return isinstance(waited, OUTAGES)


async def _plan(
    redis: RedisCluster, calls: Sequence[Keyed], places: dict[int, ClusterNode | None]
) -> tuple[list[_Visit], dict[int, Any]]:
    """Return which nodes to visit with which commands, and the errors of those whose node is not known."""
    try:
        await redis.initialize()
    except OUTAGES as error:
        return [], dict.fromkeys(places, error)
    grouped: dict[tuple[str, bool], _Visit] = {}
    failed: dict[int, Any] = {}
    for place, asked in places.items():
        try:
            node = asked or redis.get_node_from_key(calls[place].key)
        except OUTAGES as error:
            failed[place] = error
            continue
        if node is None:
            failed[place] = ClusterDownError("the node is gone")  # type: ignore[no-untyped-call]  # redis-py
            continue
        visit = grouped.setdefault((node.name, asked is not None), _Visit(node, asked is not None, []))
        visit.places.append(place)
    return list(grouped.values()), failed


async def _visit(
    redis: RedisCluster, visit: _Visit, calls: Sequence[Keyed], disk: NodeWait | None = None
) -> list[Any]:
    """Return the node's answers to the commands, and with `disk` that to the wait behind them."""
    wanted = [calls[place].command for place in visit.places]
    if disk is not None:
        # A key that the node has got from nowhere would stop `MIGRATE`, hence the expiry.
        touch = ("SET", disk.key, "", "PX", 1) if visit.asking else disk.touch
        waits = disk.wait(visit.node.name)
        wanted += [touch, *waits]
    stack = [PipelineCommand(0, *command) for command in (_with_asking(wanted) if visit.asking else wanted)]
    try:
        await visit.node.execute_pipeline(stack)
    except OUTAGES as error:
        return [error] * (len(visit.places) + (disk is not None))
    finally:
        if visit.asking and redis.get_node(node_name=visit.node.name) is not visit.node:
            await visit.node.disconnect()
    answers = [each.result for each in stack if each.args[0] != "ASKING"]
    if disk is None:
        return answers
    answers, (touched, *_, waited) = answers[: len(visit.places)], answers[len(visit.places) :]
    # Without a write there is nothing that the wait waits for. A slot that is leaving may have taken the key along, and
    # then the other commands have written, or are redirected as well.
    unwritten = isinstance(touched, ResponseError) and not isinstance(touched, AskError | TryAgainError)
    return [*answers, touched if unwritten or _is_unanswered(touched) else is_confirmed(waits[-1], waited)]


def is_confirmed(wait: Command, answer: Any) -> bool | Exception:
    """Return whether as many servers as a WAITAOF asked for have confirmed, or its error."""
    if isinstance(answer, Exception):
        return answer
    local, replicas = answer
    return int(local) >= int(wait[1]) and int(replicas) >= int(wait[2])


def _with_asking(commands: Iterable[Command]) -> Iterable[Command]:
    for command in commands:
        yield ("ASKING",)
        yield command


async def _follow(
    redis: RedisCluster, visits: Sequence[_Visit], answers: dict[int, Any], attempt: int
) -> dict[int, ClusterNode | None]:
    """Return what to send again, with the node to ask where a slot is moving; learn and wait as the errors demand."""
    again: dict[int, ClusterNode | None] = {}
    causes = defaultdict(list)
    for place, answer in answers.items():
        if isinstance(answer, AskError) and not isinstance(answer, MovedError):
            again[place] = _name_node(redis, answer)
        elif isinstance(answer, REPEATED):
            again[place] = None
            causes[type(answer)].append(place)
    moved = MovedError in causes
    broken = any(issubclass(cause, OUTAGES) for cause in causes)
    # A connection may have broken because its node has begun anew: then a second try is all it takes.
    if moved or (broken and attempt):
        await _forget_nodes(redis, visits)
    if causes and attempt < TRIES - 1 and not (moved and len(causes) == 1):
        await asyncio.sleep(PAUSE_S)
    return again


def _name_node(redis: RedisCluster, answer: AskError) -> ClusterNode:
    """Return the node that a slot is moving to; one that has just joined has no slot yet, so that the client lacks it."""
    known = redis.get_node(answer.host, answer.port)
    return known or ClusterNode(answer.host, answer.port, PRIMARY, **redis.connection_kwargs)


async def _forget_nodes(redis: RedisCluster, visits: Sequence[_Visit]) -> None:
    """Let the client ask for the nodes anew, unless it has done so since these visits."""
    known = {id(node) for node in redis.get_nodes()}
    if not visits or any(id(visit.node) in known for visit in visits):
        await redis.aclose()
