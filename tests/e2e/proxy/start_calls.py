"""Every call that begins work, as a test makes it: what it is about, and what is called back in the end."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aiohttp

from tests.e2e.processes import API_KEY, Bridge, Simulator

PERSONA = "demo-persona"
URL = "https://cdn.example/x"


@dataclass(frozen=True, kw_only=True)
class Call:
    """A POST that begins work. `known` is the job that it runs again, watched before; `ends` the events that follow."""

    path: str
    body: dict[str, Any] | None = None
    kind: str
    ends: tuple[str, ...]
    known: str = ""
    provider: str = "reelmirror"
    then: str = ""  # a path to post to, with the job's id, before anything ends


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to a call through the proxy."""

    status: int
    headers: dict[str, str]
    body: Any  # None where it is no JSON

    @property
    def webhook(self) -> str:
        return self.headers["X-Webhook-Status"]

    @property
    def callbacks(self) -> list[str]:
        return self.headers["X-Webhook-Callback-Id"].split(", ")


async def post(bridge: Bridge, call: Call, **headers: str) -> Answer:
    """Make a call through the proxy; underscores in the names of headers stand for hyphens."""
    sent = {"Authorization": f"Bearer {API_KEY}"}
    sent |= {name.replace("_", "-"): each for name, each in headers.items()}
    async with (
        aiohttp.ClientSession(headers=sent) as http,
        http.post(f"{bridge.url}/{call.provider}/api{call.path}", json=call.body) as answer,
    ):
        body = await answer.json() if answer.content_type == "application/json" else None
        return Answer(status=answer.status, headers=dict(answer.headers), body=body)


async def ended_post(simulator: Simulator, *statuses: str, media: str = "image") -> tuple[str, list[str]]:
    """Make a post whose items have ended; return its id and theirs."""
    items = [
        {"id": str(uuid4()), "media_type": media, "status": each, "url": URL if each == "completed" else None}
        for each in statuses
    ]
    status = "completed" if "completed" in statuses else "failed"
    made = await simulator.make("generated_post", items=items, set={"status": status}, persona_id=PERSONA)
    return made, [str(each["id"]) for each in items]


async def sync(simulator: Simulator) -> Call:
    persona = (await simulator.control("POST", "/personas", {"sources": 2}))["id"]
    return Call(path=f"/v1/personas/{persona}/sync", kind="sync_job", ends=("sync_job.completed",) * 2)


async def generate(_: Simulator) -> Call:
    body = {"source_post_id": f"image-{uuid4()}", "persona_id": PERSONA}
    return Call(path="/v1/generate", body=body, kind="generated_post", ends=("generated_post.completed",))


async def clone(_: Simulator) -> Call:
    body = {"url": f"https://social.example/image/{uuid4()}", "persona_id": PERSONA}
    return Call(path="/v1/clone-url", body=body, kind="generated_post", ends=("generated_post.completed",))


async def regenerate(simulator: Simulator) -> Call:
    job, _ = await ended_post(simulator, "completed", "completed")
    return Call(
        path="/v1/generate/regenerate-post",
        body={"generated_post_id": job},
        kind="generated_post",
        ends=("generated_post.completed",),
        known=job,
    )


async def retry_failed(simulator: Simulator) -> Call:
    job, _ = await ended_post(simulator, "completed", "failed")
    return Call(
        path="/v1/generate/regenerate-post",
        body={"generated_post_id": job, "failed_only": True},
        kind="generated_post",
        ends=("generated_post.completed",),
        known=job,
    )


async def media_item(simulator: Simulator) -> Call:
    _, (item, _) = await ended_post(simulator, "completed", "completed")
    return Call(
        path="/v1/generate/media-item",
        body={"generated_media_item_id": item},
        kind="generated_media_item",
        ends=("generated_media_item.completed",),
        known=item,
    )


async def voice_convert(simulator: Simulator) -> Call:
    _, (item,) = await ended_post(simulator, "completed", media="video")
    return Call(
        path="/v1/generate/voice-convert",
        body={"generated_media_item_id": item},
        kind="voice_conversion",
        ends=("voice_conversion.completed",),
    )


async def approve(simulator: Simulator) -> Call:
    job, _ = await ended_post(simulator, "completed")
    return Call(
        path=f"/v1/generated-posts/{job}/approve", kind="outgoing_post", ends=("outgoing_post.published",)
    )


async def compose(simulator: Simulator) -> Call:
    job, _ = await ended_post(simulator, "completed")
    return Call(
        path=f"/v1/generated-posts/{job}/send-to-compose",
        kind="outgoing_post",
        ends=("outgoing_post.published",),
        then="/v1/publishing/posts/{}/publish",
    )


async def create(simulator: Simulator) -> Call:
    _, (item,) = await ended_post(simulator, "completed")
    return Call(
        path="/v1/publishing/posts",
        body={"items": [{"generated_media_item_id": item}], "persona_id": PERSONA},
        kind="outgoing_post",
        ends=("outgoing_post.published",),
        then="/v1/publishing/posts/{}/publish",
    )


async def publish(simulator: Simulator) -> Call:
    job = await simulator.make("outgoing_post", persona_id=PERSONA, deliveries=[])
    return Call(
        path=f"/v1/publishing/posts/{job}/publish", kind="outgoing_post", ends=("outgoing_post.published",)
    )


async def schedule(simulator: Simulator) -> Call:
    job = await simulator.make("outgoing_post", persona_id=PERSONA, deliveries=[])
    return Call(
        path=f"/v1/publishing/posts/{job}/schedule",
        body={"scheduled_for": "2099-01-01T00:00:00Z"},
        kind="outgoing_post",
        ends=(),
    )


async def video(_: Simulator) -> Call:
    body = {"videoType": "cinematic", "topic": "waves", "brollKeys": ["users/u1/broll/a.mp4"]}
    return Call(
        path="/v1/video/generate",
        body=body,
        kind="reelbot_video",
        ends=("reelbot_video.completed",),
        provider="reelbot",
    )


STARTS: dict[str, Callable[[Simulator], Awaitable[Call]]] = {
    each.__name__: each
    for each in (
        *(sync, generate, clone, regenerate, retry_failed, media_item, voice_convert),
        *(approve, compose, create, publish, schedule, video),
    )
}
