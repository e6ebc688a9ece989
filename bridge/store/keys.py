"""The key map: every key in Redis, what it holds, which module writes it, and when it is removed.

No other file spells a key, but `start_keys`, `feed_keys`, `endpoint_keys`, `chains/chain_keys`, `queue/breaker_keys` and `dashboard/session_keys` theirs. The part in braces is a Redis
Cluster hash tag: keys with the same tag lie in one slot, so one script may touch them all. `{s}` stands for the shard letter of an account (the first
character of a job key, and of what follows `cb_`, `evt_` or `dlv_` in an id), `{p:<prj>}` for a project, `{o:<origin>}` for
where deliveries go, `{g}` for the whole installation. Shard "g" shares its tag with the installation; the names behind the
tag differ. A record is a msgspec Struct packed by msgpack as an array: its fields may be renamed but never reordered.

A callback lies in the record of its job (`Job.callbacks`): behind `cb_` its id begins with the job's key. Owners are modules of
bridge/store; `unit_of_work` writes through the script commit_v4, `queue/lanes` through claim_v1, settle_v2 and their like.
"Retention" is the setting REELBRIDGE_RETENTION, counted from a job's end.

Key                     Type    Content                                             Owner                Removed
{s}:j:<job key>         string  Job, with its callbacks                             unit_of_work         by the sweep, after retention
{s}:l:<job key>         string  PollLog: what past polls observed                   unit_of_work, lanes  with the job
{s}:o:<job key>         string  last observed object: JSON, zlib if over 200 bytes  unit_of_work, lanes  with the job
{s}:je:<job key>        zset    event id -> created ms                              unit_of_work         with the job
{s}:jd:<job key>        zset    delivery id -> created ms                           unit_of_work         with the job
{s}:e:<evt>             string  EventRecord                                         unit_of_work         with the job
{s}:d:<dlv>             string  Delivery, with its last attempts                    unit_of_work, lanes  with the job
{s}:hold:<cb>           string  "1": first deliveries wait while this exists        unit_of_work, holds  TTL: 15 s, 1 s once answered
{s}:<q>:lanes           zset    lane -> ms of its next visit; channel: `wakeups`    queue/lanes          with the lane's last item
{s}:<q>:gate            hash    lane -> ms until which it is blocked                queue/lanes          when over, by claim or sweep
{s}:<q>:nudge           hash    member in flight -> ms at which it is wanted next   unit_of_work         when the item is settled
{s}:<q>:full            set     lanes whose cap left items waiting at the last claim  queue/lanes        by the next claim with room
{s}:<q>:seq             string  counter of claims, which makes lease tokens unique  queue/lanes          never
{s}:<q>:q:<lane>        zset    member -> due ms, or -(lease end) while in flight   unit_of_work, lanes  with its last item
                                (q = poll: lane = account, member = job key; q = dlv: lane = URL without query,
                                 see domain/deliveries/lane, member = delivery id)
{s}:eta:<acc>           zset    key of a job that runs -> ms by which 9 in 10 would have ended  unit_of_work  with its run
{s}:touched             string  empty; written before each wait for the disk        commit               never
{s}:ended               zset    job key -> ms at which its retention ends           unit_of_work         with the job
{s}:p:<prj>:cbs         zset    callback id -> created ms                           unit_of_work         with the callback
{s}:p:<prj>:dlvs        zset    delivery id -> created ms                           unit_of_work         with the delivery
{s}:p:<prj>:urls        zset    8 bytes of URL fingerprint + callback id -> 0       unit_of_work         with the callback
{s}:p:<prj>:bytes       string  bytes of the project's job records                  unit_of_work, sweep  never
{s}:acct:<acc>          hash    an account's health, see tables/account_health      account_health       never
{s}:gone:<acc>          zset    job key -> ms at which it was found missing         account_health       TTL: the window it counts
{s}:rate:<acc>:<limit>  hash    an account's rate budget, see lua/spend_v2          rate_budgets         TTL: 30 days unused
{s}:sent:<acc>:<limit>  zset    own request -> ms at which it was spent             rate_budgets         TTL: two windows, at least 1 h
{s}:open:<acc>:<limit>  zset    own request without an answer -> ms                 rate_budgets         TTL: two windows, at least 1 h
{s}:learnt:<acc>        hash    statistics: `lives`, `list:<name>`                  account_stats        TTL: 30 days unused
{s}:proven              hash    origin -> ms of its last 2xx                        queue/fair_lanes     never
{s}:dlv:good            zset    lane -> ms of a 2xx since which no attempt failed   queue/fair_lanes     after 1 h, by the sweep
{s}:dlv:slow            zset    lane -> ms of the time-out that was its last end    queue/fair_lanes     after 1 d, by the sweep
{s}:dlv:down            zset    origin -> last failed connect: s * 1000 + in a row  queue/fair_lanes     after 1 h, by the sweep
{s}:dlv:fly:<origin>    zset    token + member in flight -> lease end ms + pool / 8 queue/fair_lanes     by settle or a later claim
{s}:dlv:turns:<origin>  zset    lane that waits for a slot -> pool * 1e12 + turn    queue/fair_lanes     by claim
{s}:dlv:tags:<origin>   hash    pool and project -> its last turn                   queue/fair_lanes     with `turns`
{o:<origin>}:permits    zset    token + member in flight at a stranger, all shards  queue/origin_permits with the attempt
{o:<origin>}:proven     string  1: it has answered 2xx (both: with several shards)  queue/origin_permits never
{p:<prj>}:inbox         list    deliveries to `inbox:`, newest first                tables/inbox         beyond 100, and 1 MiB
{p:<prj>}:answers       hash    hour -> bytes of `idem` responses kept then         idempotency          TTL: 25 h
{p:<prj>}:idem:<hash>   string  request with an Idempotency-Key, and its response   idempotency          TTL: 24 h, 60 s unfinished
{g}:projects            hash    project id -> Project                               tables/projects      never
{g}:secrets             hash    project id -> its signing secrets, sealed           tables/projects      never
{g}:keys                hash    SHA-256 of an API key -> ApiKey                     tables/apikeys       when revoked
{g}:accounts            hash    account id -> Account, and its sealed credential    tables/accounts      never
{g}:credentials         hash    fingerprint of a credential -> account id           tables/accounts      when replaced
{g}:workers             zset    worker -> ms of its last heartbeat                  queue/heartbeats     after 200 s of silence
{g}:apis                zset    API process -> ms of its last heartbeat             queue/heartbeats     after 200 s of silence
{g}:tick:<name>         hash    `probed_ms`: when the fleet last did this           store                never
{g}:shards              string  number of shards, fixed at first start              store                never
{g}:pepper              string  the fingerprints' key, sealed                       store                never
{g}:key-usage           string  KeyUsage: what each key seals, what is unreadable   tables/key_usage     never
{g}:reseal              string  "1": a process has started, reseal and count again  tables/key_usage     when taken
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
APIS = "{g}:apis"
KEY_USAGE = "{g}:key-usage"
RESEAL = "{g}:reseal"


def tick(name: str) -> str:
    """Return the key of the time at which the fleet last did something."""
    return f"{{g}}:tick:{name}"


def shard(identifier: str) -> str:
    """Return the shard letter of a job key, or of an id that begins with `cb_`, `evt_` or `dlv_`."""
    return identifier[identifier.find("_") + 1]


def job(key: str) -> str:
    """Return the key of a job's record."""
    return f"{{{key[0]}}}:j:{key}"


def poll_log(key: str) -> str:
    """Return the key of a job's poll log."""
    return f"{{{key[0]}}}:l:{key}"


def observed(key: str) -> str:
    """Return the key of a job's last observed object."""
    return f"{{{key[0]}}}:o:{key}"


def job_events(key: str) -> str:
    """Return the key of the index of a job's events."""
    return f"{{{key[0]}}}:je:{key}"


def job_deliveries(key: str) -> str:
    """Return the key of the index of a job's deliveries."""
    return f"{{{key[0]}}}:jd:{key}"


def event(identifier: str) -> str:
    """Return the key of an event's record."""
    return f"{{{shard(identifier)}}}:e:{identifier}"


def delivery(identifier: str) -> str:
    """Return the key of a delivery's record."""
    return f"{{{shard(identifier)}}}:d:{identifier}"


def hold(callback: str) -> str:
    """Return the key that exists while a callback's first deliveries must wait."""
    return f"{{{shard(callback)}}}:hold:{callback}"


def lanes(letter: str, queue: Queue) -> str:
    """Return the key of a queue's lanes, sorted by their next visit."""
    return f"{{{letter}}}:{queue}:lanes"


def gate(letter: str, queue: Queue) -> str:
    """Return the key of a queue's blocked lanes."""
    return f"{{{letter}}}:{queue}:gate"


def nudge(letter: str, queue: Queue) -> str:
    """Return the key of the items in flight that are wanted again soon, which their worker does not know."""
    return f"{{{letter}}}:{queue}:nudge"


def full(letter: str, queue: Queue) -> str:
    """Return the key of a queue's lanes that are at their cap."""
    return f"{{{letter}}}:{queue}:full"


def claims(letter: str, queue: Queue) -> str:
    """Return the key of a queue's counter of claims."""
    return f"{{{letter}}}:{queue}:seq"


def lane(letter: str, queue: Queue, name: str) -> str:
    """Return the key of one lane's items, sorted by due time."""
    return f"{{{letter}}}:{queue}:q:{name}"


def expected(letter: str, account: str) -> str:
    """Return the key of an account's jobs that run, sorted by when nine in ten like them would have ended."""
    return f"{{{letter}}}:eta:{account}"


def touched(letter: str) -> str:
    """Return the key that is written before a wait for the disk."""
    return f"{{{letter}}}:touched"


def ended(letter: str) -> str:
    """Return the key of the ended jobs, sorted by the end of their retention."""
    return f"{{{letter}}}:ended"


def callbacks(letter: str, project: str) -> str:
    """Return the key of the index of a project's callbacks."""
    return f"{{{letter}}}:p:{project}:cbs"


def deliveries(letter: str, project: str) -> str:
    """Return the key of the index of a project's deliveries."""
    return f"{{{letter}}}:p:{project}:dlvs"


def urls(letter: str, project: str) -> str:
    """Return the key of the index of a project's callbacks by URL."""
    return f"{{{letter}}}:p:{project}:urls"


def job_bytes(letter: str, project: str) -> str:
    """Return the key of the number of bytes that a project's job records have."""
    return f"{{{letter}}}:p:{project}:bytes"


def account(letter: str, identifier: str) -> str:
    """Return the key of an account's health."""
    return f"{{{letter}}}:acct:{identifier}"


def gone(letter: str, identifier: str) -> str:
    """Return the key of an account's jobs that were lately found missing."""
    return f"{{{letter}}}:gone:{identifier}"


def budget(letter: str, identifier: str, limit: str) -> str:
    """Return the key of an account's budget under one rate limit."""
    return f"{{{letter}}}:rate:{identifier}:{limit}"


def budget_sent(letter: str, identifier: str, limit: str) -> str:
    """Return the key of the requests that an account spent lately."""
    return f"{{{letter}}}:sent:{identifier}:{limit}"


def budget_open(letter: str, identifier: str, limit: str) -> str:
    """Return the key of an account's requests that have no answer yet."""
    return f"{{{letter}}}:open:{identifier}:{limit}"


def account_stats(letter: str, identifier: str) -> str:
    """Return the key of an account's statistics."""
    return f"{{{letter}}}:learnt:{identifier}"


def proven(letter: str) -> str:
    """Return the key of the origins that have answered 2xx."""
    return f"{{{letter}}}:proven"


def good(letter: str) -> str:
    """Return the key of the lanes whose last attempt was answered 2xx."""
    return f"{{{letter}}}:dlv:good"


def slow(letter: str) -> str:
    """Return the key of the lanes whose last attempt took too long."""
    return f"{{{letter}}}:dlv:slow"


def down(letter: str) -> str:
    """Return the key of the origins that could not be connected to."""
    return f"{{{letter}}}:dlv:down"


def fly(letter: str, origin: str) -> str:
    """Return the key of an origin's attempts in flight."""
    return f"{{{letter}}}:dlv:fly:{origin}"


def turns(letter: str, origin: str) -> str:
    """Return the key of the lanes that wait for a slot at an origin."""
    return f"{{{letter}}}:dlv:turns:{origin}"


def tags(letter: str, origin: str) -> str:
    """Return the key of the turns given so far at an origin."""
    return f"{{{letter}}}:dlv:tags:{origin}"


def permits(origin: str) -> str:
    """Return the key of the attempts in flight at an origin over all shards."""
    return f"{{o:{origin}}}:permits"


def origin_proven(origin: str) -> str:
    """Return the key that exists once an origin has answered 2xx, whatever the shard."""
    return f"{{o:{origin}}}:proven"


def inbox(project: str) -> str:
    """Return the key of a project's inbox."""
    return f"{{p:{project}}}:inbox"


def answers(project: str) -> str:
    """Return the key of the counters of a project's kept responses."""
    return f"{{p:{project}}}:answers"


def idempotency(project: str, digest: str) -> str:
    """Return the key of a request with an Idempotency-Key and its response."""
    return f"{{p:{project}}}:idem:{digest}"
