"""The keys of endpoints, in the notation of `bridge.store.keys`.

A project's endpoints lie in one hash. Its field `epoch` counts their changes, and each shard has a copy of that number
alone. A commit with new events names the epoch by which it chose their receivers, and is refused where the copy says
another one, see `tables/endpoints`.

Key                     Type    Content                                             Owner                Removed
{p:<prj>}:eps           hash    endpoint id -> Endpoint; `epoch`: changes so far    tables/endpoints     never
{p:<prj>}:touched       string  empty; written before each wait for the disk        tables/endpoints     never
{s}:p:<prj>:epv         string  the epoch of `eps` as this shard knows it           tables/endpoints     never
{s}:ep:<ep>:dlvs        zset    delivery id -> created ms                           unit_of_work         with the delivery
{p:<prj>}:pace:<ep>     string  ms at which an endpoint's next delivery may go      tables/endpoint_pace TTL: a minute after that
{s}:follow:<acc>        hash    persona, or "*" -> Followed                         tables/following     when followed no more
{s}:posts:<acc>:<pers>  string  KnownPosts                                          tables/following     when followed no more
{s}:synced:<acc>:<pers>:<n>  string  "1": a sync of the persona ended in that minute  tables/following     TTL: a day
{g}:following           set     projects with an endpoint that names personas       tables/following     when none does any more
{p:<prj>}:trouble:<ep>  hash    since, failed, day, days, warned: failures since a 2xx  endpoint_troubles  by a 2xx; TTL: 30 d
{g}:workers:groups      zset    those of `{g}:workers` that know endpoints and groups -> ms  queue/heartbeats  after 200 s of silence
{g}:apis:groups         zset    those of `{g}:apis`, likewise                       queue/heartbeats     after 200 s of silence
"""

EPOCH = "epoch"  # the field of a project's endpoints that counts their changes
FOLLOWING = "{g}:following"


def endpoints(project: str) -> str:
    """Return the key of a project's endpoints."""
    return f"{{p:{project}}}:eps"


def touched(project: str) -> str:
    """Return the key that is written in a project's slot before a wait for the disk."""
    return f"{{p:{project}}}:touched"


def epoch(letter: str, project: str) -> str:
    """Return the key of a shard's copy of the epoch of a project's endpoints."""
    return f"{{{letter}}}:p:{project}:epv"


def deliveries(letter: str, endpoint: str) -> str:
    """Return the key of the index of an endpoint's deliveries in one shard."""
    return f"{{{letter}}}:ep:{endpoint}:dlvs"


def pace(project: str, endpoint: str) -> str:
    """Return the key of the time at which an endpoint with a rate limit takes its next delivery."""
    return f"{{p:{project}}}:pace:{endpoint}"


def trouble(project: str, endpoint: str) -> str:
    """Return the key of what is known of an endpoint that answers no 2xx."""
    return f"{{p:{project}}}:trouble:{endpoint}"


def knowing(processes: str) -> str:
    """Return the key of those processes, of the ones listed under a key, whose version knows endpoints and groups.

    Those that know endpoints alone are listed under `:endpoints`.
    """
    return f"{processes}:groups"


def followed(letter: str, account: str) -> str:
    """Return the key of an account's followed personas, each of which has a member in the account's poll lane."""
    return f"{{{letter}}}:follow:{account}"


def posts(letter: str, account: str, persona: str) -> str:
    """Return the key of the posts of a persona that were seen."""
    return f"{{{letter}}}:posts:{account}:{persona}"


def synced(letter: str, account: str, persona: str, number: int) -> str:
    """Return the key that exists if a sync of a persona ended in the window of time with this number."""
    return f"{{{letter}}}:synced:{account}:{persona}:{number}"
