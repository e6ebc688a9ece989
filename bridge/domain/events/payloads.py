"""A delivery's body: the stored event with its subscription's fields, in the payload form that was asked for.

A stored event is already written as JavaScript writes it, so its parts are copied byte for byte, never read into
numbers and back. The forms: `full`; `thin` (ids and links, to fetch the rest); `flat` (one level, for no-code tools);
`cloudevents` (CloudEvents 1.0, "JSON Event Format", structured mode, the full event as its `data`).
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from bridge.domain.events.catalogue import Catalogue
from bridge.domain.events.flat import flatten
from bridge.domain.ids import is_endpoint
from bridge.domain.js_json import plain_to_js_json, to_js_json

PAYLOADS = ("full", "thin", "flat", "cloudevents")

LINKS = ("event", "job", "callback", "download")
THIN_FIELDS = (
    "id",
    "type",
    "timestamp",
    "object",
    "job_id",
    "status",
    "outcome",
    "related",
    "run",
    "sequence",
)
_FULL = (*THIN_FIELDS[:7], "error", "summary", *THIN_FIELDS[7:])
CLOUDEVENTS_FIELDS = ("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data")


class _Job(msgspec.Struct):
    job_id: str


_raw_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_job_decoder = msgspec.json.Decoder(_Job)


def build_body(
    catalogue: Catalogue,
    event: bytes,
    *,
    payload: str,
    subscription_id: str,
    metadata: Any,
    callbacks: bytes = b"",
    resend: bool = False,
    late: bool = False,
    test: bool = False,
    base_url: str,
) -> bytes:
    """Write what is sent to one subscription. `base_url` is where links lead, without a slash at its end.

    `callbacks` is a JSON list of the job's callbacks, which the body for an endpoint shows. `late` says that this callback
    had heard `.timed_out`, as others of the job perhaps had not. Writing the result
    again in JavaScript gives the same bytes. Raises ValueError for an unknown `payload`.
    """
    subscription = _name_subscription(subscription_id, callbacks)
    if payload == "full" and not test:
        spliced = _splice(event, subscription, metadata, resend=resend, late=late)
        if spliced is not None:
            return spliced
    fields = _split(event)
    fields["metadata"] = to_js_json(metadata)
    fields["bridge"] = _add_subscription(fields["bridge"], subscription, resend=resend, late=late)
    if test:
        fields["test"] = b"true"
    match payload:
        case "full":
            return _join(fields, (*_FULL, "metadata", "data", "bridge", "test"))
        case "thin":
            fields["links"] = to_js_json(_links(catalogue, fields, subscription_id, base_url))
            return _join(fields, (*THIN_FIELDS, "metadata", "links", "bridge", "test"))
        case "cloudevents":
            return _wrap(fields, base_url)
        case "flat":
            whole = _read(_join(fields, tuple(fields)))
            return to_js_json(
                flatten(catalogue, whole, links=_links(catalogue, fields, subscription_id, base_url))
            )
        case _:
            raise ValueError(f"payload is one of {', '.join(PAYLOADS)}")


def read_event_job(event: bytes) -> str:
    """Return the job id of a stored event."""
    try:
        return _job_decoder.decode(event).job_id
    except msgspec.DecodeError:  # a lone surrogate somewhere, which msgspec does not read
        return str(json.loads(event)["job_id"])


def _name_subscription(identifier: str, callbacks: bytes) -> bytes:
    """Return the fields of `bridge` that name a subscription."""
    name = plain_to_js_json(identifier)
    if not is_endpoint(identifier):
        return b'"callback_id":%b' % name
    return b'"endpoint_id":%b,"callbacks":%b' % (name, callbacks or b"[]")


def _splice(event: bytes, subscription: bytes, metadata: Any, *, resend: bool, late: bool) -> bytes | None:
    """Put a subscription's fields between those of a stored event, None where they are not in the usual order.

    The first field of that name is the event's own `data`, since nothing before it holds an object with one, and the
    last `bridge` that begins an object is its own, since it holds none. In a text the marks' quotes are escaped.
    """
    head, data_mark, rest = event.partition(b',"data":')
    data, bridge_mark, bridge = rest.rpartition(b',"bridge":{')
    if not (data_mark and bridge_mark):
        return None
    fields = _add_subscription(b"{" + bridge, subscription, resend=resend, late=late)
    own = b"null" if metadata is None else to_js_json(metadata)
    return b'%b,"metadata":%b,"data":%b,"bridge":%b' % (head, own, data, fields)


def _split(event: bytes) -> dict[str, bytes]:
    try:
        return {name: bytes(raw) for name, raw in _raw_decoder.decode(event).items()}
    except msgspec.DecodeError:  # a lone surrogate somewhere, which msgspec does not read
        return {name: to_js_json(value) for name, value in json.loads(event).items()}


def _read(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:  # a lone surrogate somewhere, which msgspec does not read
        return json.loads(text)


def _add_subscription(bridge: bytes, subscription: bytes, *, resend: bool, late: bool) -> bytes:
    mark = b',"resend":true' if resend else b""
    schema, comma, rest = bridge.partition(b",")
    if late:
        rest = rest.replace(b'"late":false', b'"late":true', 1)
    return b"%b,%b%b%b%b" % (schema, subscription, mark, comma, rest)


def _join(fields: Mapping[str, bytes], names: tuple[str, ...]) -> bytes:
    parts = (b'"%b":%b' % (name.encode(), fields[name]) for name in names if name in fields)
    return b"{%b}" % b",".join(parts)


def _wrap(fields: dict[str, bytes], base_url: str) -> bytes:
    kind = _text(fields, "object")
    envelope = {
        "specversion": b'"1.0"',
        "id": fields["id"],
        "source": to_js_json(f"{base_url}/v1/jobs/{kind}"),
        "type": fields["type"],
        "subject": fields["job_id"],
        "time": fields["timestamp"],
        "datacontenttype": b'"application/json"',
        "data": _join(fields, (*_FULL, "metadata", "data", "bridge", "test")),
    }
    return _join(envelope, CLOUDEVENTS_FIELDS)


def _text(fields: Mapping[str, bytes], name: str) -> str:
    return str(_read(fields[name]))


def _links(
    catalogue: Catalogue, fields: Mapping[str, bytes], subscription_id: str, base_url: str
) -> dict[str, str]:
    """Return where the rest can be fetched: the same four names always, empty where there is nothing to fetch."""
    event, kind, job = (_text(fields, name) for name in ("id", "object", "job_id"))
    # A part whose end is an event is no job of its own: it is read inside the job that it is a part of.
    if (whole := catalogue.wholes.get(kind)) is not None:
        job = _read(fields["related"]).get(catalogue.kinds[kind].parent_field, job)
        kind = whole.kind
    where = f"{base_url}/v1/jobs/{kind}/{quote(job, safe='', errors='surrogatepass')}"
    stored = "test" not in fields
    of_callback = stored and not is_endpoint(subscription_id)
    return {
        "event": f"{base_url}/v1/events/{event}" if stored else "",
        "job": where if kind in catalogue.kinds else "",
        "callback": f"{base_url}/v1/callbacks/{subscription_id}" if of_callback else "",
        "download": f"{where}/download" if catalogue.has_download(_text(fields, "type")) else "",
    }
