"""The keys of projects' feeds and of the outboxes that fill them, in the notation of `bridge.store.keys`.

Key                     Type    Content                                             Owner                Removed
{s}:outbox:v2           zset    event id + project -> ms at which it was told       unit_of_work         by tables/outbox, 10 s later
{s}:outbox              zset    event id -> created ms, as 0.2.0 writes it          version 0.2.0        by tables/outbox
{p:<prj>}:feed          zset    event id -> position                                tables/feed          with the event
{p:<prj>}:pos           string  the last position given                             tables/feed          never
{p:<prj>}:marks         zset    every thousandth position -> ms when it was given   tables/feed          all but 10,000
{p:<prj>}:forgotten     string  the highest position whose event was removed        tables/feed          never
"""

HINTS = "{g}:feeds"  # the channel on which `publish_v3` names projects whose feeds have grown
RESENT = "{g}:resent"  # the channel of events that are sent again on request: project and event id


def outbox(letter: str) -> str:
    """Return the key of the events that have no position in their feed yet, or have got it only just now."""
    return f"{{{letter}}}:outbox:v2"


def old_outbox(letter: str) -> str:
    """Return the key of the outbox as version 0.2.0 writes it."""
    return f"{{{letter}}}:outbox"


def feed(project: str) -> str:
    """Return the key of a project's feed: its events by position."""
    return f"{{p:{project}}}:feed"


def position(project: str) -> str:
    """Return the key of the last position given in a project's feed."""
    return f"{{p:{project}}}:pos"


def marks(project: str) -> str:
    """Return the key of some positions of a project's feed with the times at which they were given."""
    return f"{{p:{project}}}:marks"


def forgotten(project: str) -> str:
    """Return the key of the highest position whose event was removed from a project's feed."""
    return f"{{p:{project}}}:forgotten"
