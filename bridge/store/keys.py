"""Every key in Redis: what lies there, who writes it, when it goes. No other file spells a key.

`{s}` is a hash tag, so that what one script touches lies in one Cluster slot: the shard letter (the first character of
a job's key, and behind `cb_`, `evt_`, `dlv_`), the project `{p:prj_…}`, or `{g}` for the whole installation. Shard "g"
shares its tag with the latter; the words after the tag never collide. A record is msgpack of a Struct, as an array.

Key                       Type    Content                                                 Owner        Goes
{s}:j:<job key>           string  Job                                                     commit       retention, see `ended`
{s}:l:<job key>           string  PollLog, written by the lease holder                    lanes        with the job
{s}:o:<job key>           string  last observed object, JSON, zlib when > 200 B           commit       with the job
{s}:je:<job key>          zset    event id -> created ms                                  commit       with the job
{s}:jd:<job key>          zset    delivery id -> created ms                               commit       with the job
{s}:e:<evt>               string  EventRecord                                             commit       with the job
{s}:d:<dlv>               string  Delivery                                                commit,lanes with the job
{s}:hold:<cb>             string  "1": the first delivery waits while it exists           commit       own PX
{s}:<q>:lanes             zset    lane -> wake ms                                         lanes        with its last item
{s}:<q>:gate              hash    lane -> blocked until ms                                lanes        at its time, by claim or sweep
{s}:<q>:nudge             hash    member in flight -> due ms it is wanted at              commit       with the settle
{s}:<q>:full              set     lanes that their cap kept from more at the last claim   lanes        by the next claim with room
{s}:<q>:seq               string  counter of claims                                       lanes        never
{s}:<q>:q:<lane>          zset    member -> due ms, or -(lease end) while in flight       lanes,commit with its last item
                                  (q = poll: lane = account, member = job key;
                                   q = dlv: lane = destination, member = delivery id)
{s}:touched               string  written before each wait for the disk                   commit       never
{s}:ended                 zset    job key -> ms when its retention ends                   commit       by the sweep
{s}:outbox                zset    event id -> ms: not yet in its project's feed           commit       by feed.publish
{s}:p:<prj>:cbs           zset    callback id -> created ms                               indexes      with the callback
{s}:p:<prj>:dlvs          zset    delivery id -> created ms                               indexes      with the delivery
{s}:p:<prj>:urls          zset    8 bytes of URL fingerprint + callback id -> 0           indexes      with the callback
{s}:acct:<acc>            hash    health of an account: fields in health.py               health       with the account
{s}:gone:<acc>            zset    job key -> ms when it was found missing                 health       PX of its window
{s}:rate:<acc>:<limit>    hash    budget under one limit: fields in spend_v1.lua          budgets      30 d unused
{s}:sent:<acc>:<limit>    zset    own request -> ms, two windows back                     budgets      with its window
{s}:open:<acc>:<limit>    zset    own request without an answer -> ms                     budgets      with its window
{s}:learnt:<acc>          hash    `lives`: life tables; `list:<name>`: ListSeen           learnt       30 d unused
{s}:proven                hash    origin -> ms of its last 2xx                            destinations never
{s}:dlv:bad               hash    lane -> failures in a row                               destinations at the next 2xx
{p:<prj>}:feed            zset    event id -> position                                    feed         with the event
{p:<prj>}:pos             string  the last position given                                 feed         never
{p:<prj>}:inbox           list    deliveries to `inbox:`, newest first                    inbox        beyond 100
{p:<prj>}:idem:<hash>     string  request fingerprint and answer                          idempotency  own PX, 24 h
{g}:projects              hash    project id -> Project                                   projects     never
{g}:secrets               hash    project id -> sealed signing secrets                    projects     never
{g}:keys                  hash    sha256 of an API key -> ApiKey                          apikeys      when revoked
{g}:accounts              hash    account id -> Account and its sealed credential         accounts     never
{g}:credentials           hash    fingerprint of a credential -> account id               accounts     when replaced
{g}:workers               zset    worker -> ms of its last sign of life                   heartbeats   when it is silent
{g}:tick:<name>           hash    probed_ms: when the fleet did this last                 store        never
{g}:shards                string  number of shards, fixed at first start                  store        never
{g}:pepper                string  sealed: the fingerprints' key                           store        never
"""

from typing import Literal

Queue = Literal["poll", "dlv"]

PROJECTS = "{g}:projects"
SECRETS = "{g}:secrets"
API_KEYS = "{g}:keys"
ACCOUNTS = "{g}:accounts"
CREDENTIALS = "{g}:credentials"
SHARDS = "{g}:shards"
PEPPER = "{g}:pepper"
WORKERS = "{g}:workers"


def tick(name: str) -> str:
    """When the fleet did something last."""
    return f"{{g}}:tick:{name}"


def shard(identifier: str) -> str:
    """Give the shard letter of a job key, or of a `cb_`, `evt_`, `dlv_` id."""
    return identifier[identifier.find("_") + 1]


def job(key: str) -> str:
    """A Job."""
    return f"{{{key[0]}}}:j:{key}"


def poll_log(key: str) -> str:
    """A job's PollLog."""
    return f"{{{key[0]}}}:l:{key}"


def observed(key: str) -> str:
    """A job's last observed object."""
    return f"{{{key[0]}}}:o:{key}"


def job_events(key: str) -> str:
    """A job's events by time."""
    return f"{{{key[0]}}}:je:{key}"


def job_deliveries(key: str) -> str:
    """A job's deliveries by time."""
    return f"{{{key[0]}}}:jd:{key}"


def event(identifier: str) -> str:
    """An EventRecord."""
    return f"{{{shard(identifier)}}}:e:{identifier}"


def delivery(identifier: str) -> str:
    """A Delivery."""
    return f"{{{shard(identifier)}}}:d:{identifier}"


def hold(callback: str) -> str:
    """Exists while a callback's first delivery must wait."""
    return f"{{{shard(callback)}}}:hold:{callback}"


def lanes(letter: str, queue: Queue) -> str:
    """The lanes of a queue by wake-up."""
    return f"{{{letter}}}:{queue}:lanes"


def gate(letter: str, queue: Queue) -> str:
    """The blocked lanes."""
    return f"{{{letter}}}:{queue}:gate"


def nudge(letter: str, queue: Queue) -> str:
    """What is wanted sooner than its worker knows."""
    return f"{{{letter}}}:{queue}:nudge"


def full(letter: str, queue: Queue) -> str:
    """The lanes at their cap."""
    return f"{{{letter}}}:{queue}:full"


def claims(letter: str, queue: Queue) -> str:
    """The counter that makes tokens unique."""
    return f"{{{letter}}}:{queue}:seq"


def lane(letter: str, queue: Queue, name: str) -> str:
    """The items of one lane by due time."""
    return f"{{{letter}}}:{queue}:q:{name}"


def touched(letter: str) -> str:
    """What is written before a wait for the disk."""
    return f"{{{letter}}}:touched"


def ended(letter: str) -> str:
    """Ended jobs by the end of their retention."""
    return f"{{{letter}}}:ended"


def outbox(letter: str) -> str:
    """Events without a position."""
    return f"{{{letter}}}:outbox"


def callbacks(letter: str, project: str) -> str:
    """A project's callbacks by creation."""
    return f"{{{letter}}}:p:{project}:cbs"


def deliveries(letter: str, project: str) -> str:
    """A project's deliveries by creation."""
    return f"{{{letter}}}:p:{project}:dlvs"


def urls(letter: str, project: str) -> str:
    """A project's callbacks by URL."""
    return f"{{{letter}}}:p:{project}:urls"


def account(letter: str, identifier: str) -> str:
    """An account's health."""
    return f"{{{letter}}}:acct:{identifier}"


def gone(letter: str, identifier: str) -> str:
    """An account's jobs that vanished lately."""
    return f"{{{letter}}}:gone:{identifier}"


def budget(letter: str, identifier: str, limit: str) -> str:
    """An account's budget under one limit."""
    return f"{{{letter}}}:rate:{identifier}:{limit}"


def budget_sent(letter: str, identifier: str, limit: str) -> str:
    """The requests that an account spent lately."""
    return f"{{{letter}}}:sent:{identifier}:{limit}"


def budget_open(letter: str, identifier: str, limit: str) -> str:
    """The requests that have no answer yet."""
    return f"{{{letter}}}:open:{identifier}:{limit}"


def account_stats(letter: str, identifier: str) -> str:
    """What the answers of an account have taught."""
    return f"{{{letter}}}:learnt:{identifier}"


def proven(letter: str) -> str:
    """Origins that have answered 2xx."""
    return f"{{{letter}}}:proven"


def failing(letter: str) -> str:
    """Failures in a row by destination."""
    return f"{{{letter}}}:dlv:bad"


def feed(project: str) -> str:
    """A project's events by position."""
    return f"{{p:{project}}}:feed"


def position(project: str) -> str:
    """The last position given in a project's feed."""
    return f"{{p:{project}}}:pos"


def inbox(project: str) -> str:
    """A project's built-in inbox."""
    return f"{{p:{project}}}:inbox"


def idempotency(project: str, digest: str) -> str:
    """What a request with an Idempotency-Key was answered."""
    return f"{{p:{project}}}:idem:{digest}"
