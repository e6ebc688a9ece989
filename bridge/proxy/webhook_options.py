"""Read where a proxied call wants its callback, and take what says so out of the call. No I/O."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

import msgspec

from bridge.api.requests.callback_request import Options, parse_metadata, present, read_model
from bridge.api.requests.commands import judge_events, judge_url
from bridge.domain.urls.policy import UrlPolicy
from bridge.errors import ValidationFailed
from bridge.http.client.response_head import Field
from bridge.services.jobs.registration_case import RegisterCallback

FIELD = "webhook_url"
HEADERS = {
    b"x-webhook-url": "callback_url",
    b"x-webhook-events": "events",
    b"x-webhook-metadata": "metadata",
    b"x-webhook-once": "once",
}
_MAY_NAME_IT = re.compile(rb"webhook_url|\\u", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a call says about its callback: the fields of a registration, and target and body without them.

    `url` is empty if it names none. `is_rewritten`: the body is not the one that came.
    """

    url: str
    fields: Mapping[str, str]
    target: str
    body: bytes
    is_rewritten: bool = False


NO_WISH = Wish(url="", fields={}, target="", body=b"")


def read_wish(fields: Sequence[Field], target: str, body: bytes) -> Wish:
    """Read the headers, the query and the JSON body of a call, in this order; `body` is without its content coding.

    Raise ValidationFailed where they name different URLs, or a place names it twice.
    """
    named: dict[str, str] = {}
    for name, value in fields:
        if (field := HEADERS.get(name.lower())) is not None:
            if field in named:
                raise ValidationFailed(name.decode(), "send this header once")
            named[field] = _read_text(name, value)
    target, by_query = _take_from_query(target)
    body, by_body, is_rewritten = _take_from_body(body)
    urls = list(dict.fromkeys(each for each in (named.pop("callback_url", ""), by_query, by_body) if each))
    if len(urls) > 1:
        raise ValidationFailed(FIELD, "the call names two different URLs: leave one out")
    return Wish(
        url=urls[0] if urls else "", fields=named, target=target, body=body, is_rewritten=is_rewritten
    )


def names_url(fields: Sequence[Field], target: str) -> bool:
    """Return whether a call names a callback URL in its headers or its query."""
    if any(HEADERS.get(name.lower()) == "callback_url" and value.strip() for name, value in fields):
        return True
    query = target.partition("?")[2]
    return FIELD in unquote_plus(query) and any(map(_is_ours, query.split("&")))


def plan_registration(wish: Wish, *, kind: str, policy: UrlPolicy) -> RegisterCallback:
    """Return the registration that a call asks for, for whatever jobs of the kind it begins; raise ValidationFailed."""
    values = present({**wish.fields, "callback_url": wish.url})
    if values.get("metadata", "").startswith("{"):
        values["metadata"] = parse_metadata(values["metadata"])
    options = read_model(Options, values)
    return RegisterCallback(
        kind=kind,
        job_id="",
        url=judge_url(options.callback_url, policy, field=FIELD),
        events=judge_events(options.events, kind=kind, once=options.once),
        once=options.once,
        metadata=options.metadata,
    )


def _read_text(name: bytes, value: bytes) -> str:
    try:
        return value.decode().strip()
    except UnicodeDecodeError:
        raise ValidationFailed(name.decode(), "not UTF-8") from None


def _take_from_query(target: str) -> tuple[str, str]:
    path, mark, query = target.partition("?")
    if FIELD not in unquote_plus(query):
        return target, ""
    pieces = query.split("&")
    ours = [piece for piece in pieces if _is_ours(piece)]
    if len(ours) > 1:
        raise ValidationFailed(FIELD, "the query names it twice: leave one out")
    if not ours:
        return target, ""
    kept = "&".join(piece for piece in pieces if piece is not ours[0])
    return (f"{path}{mark}{kept}" if kept else path), unquote_plus(ours[0].partition("=")[2]).strip()


def _is_ours(piece: str) -> bool:
    return unquote_plus(piece.partition("=")[0]) == FIELD


def _take_from_body(body: bytes) -> tuple[bytes, str, bool]:
    """Return a JSON object without the field, the field's text, and whether it was there.

    The other members keep their bytes: a number may have digits that no parser here would keep. What is no JSON object is
    the provider's to judge.
    """
    if not _MAY_NAME_IT.search(body):
        return body, "", False
    try:
        members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        raw = members.pop(FIELD, None)
        if raw is None:
            return body, "", False
        if _count_members(body) > 1:
            raise ValidationFailed(FIELD, "the body names it twice: leave one out")
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body, "", False
    if value is not None and not isinstance(value, str):
        raise ValidationFailed(FIELD, "not a text: send the URL as a string")
    return msgspec.json.encode(members), (value or "").strip(), True


def _count_members(body: bytes) -> int:
    """Return how often a JSON object names the field itself."""
    pairs: list[list[tuple[str, Any]]] = []
    json.loads(
        body,
        object_pairs_hook=pairs.append,
        parse_int=str,
        parse_float=str,
        parse_constant=str,
    )
    return sum(name == FIELD for name, _ in pairs[-1])  # the outermost object ends last
