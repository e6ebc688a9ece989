"""The record of an event.

Times are Unix milliseconds. Records are packed as arrays, so new fields go to the end and carry a default.
"""

from msgspec import Struct


class EventRecord(Struct, frozen=True, array_like=True, kw_only=True):
    """An immutable fact about a job, as stored: `body` is the event's JSON without any subscription's fields.

    `job_callbacks` is JSON, a list of the ids and metadata of the callbacks that the job had then, for endpoints; it is empty
    where the project had no endpoint.
    """

    id: str
    type: str
    project: str
    job: str  # job key
    at_ms: int
    body: bytes
    schema: int = 1
    job_callbacks: bytes = b""
