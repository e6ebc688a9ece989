"""The keys of what is counted for people, in the notation of `bridge.store.keys`.

Key                           Type    Content                                       Owner                Removed
{p:<prj>}:day:<n>             hash    type of an event, or `parked` -> how many that day (UTC)  tallies  TTL: 8 d
{p:<prj>}:hours:<n>           hash    of a day: <hour>:`d<b>` and `s<b>`, lags by size; <hour>:`ended`, `failed`  tallies  TTL: 2 d
{p:<prj>}:pulse:<ep>          hash    <half hour>:`ok` or `failed` -> attempts to an endpoint  tallies   TTL: 25 h unused
{p:<prj>}:minutes:<acc>       hash    minute of an hour -> its number, and an account's counters then  spending  TTL: 2 h unused
{g}:tallies                   hash    what /metrics counts over all processes       tallies              never
"""

TOTALS = "{g}:tallies"


def day(project: str, number: int) -> str:
    """Return the key of a project's events of a day, numbered from 1970 on."""
    return f"{{p:{project}}}:day:{number}"


def hours(project: str, number: int) -> str:
    """Return the key of a project's lags of a day by hour."""
    return f"{{p:{project}}}:hours:{number}"


def pulse(project: str, endpoint: str) -> str:
    """Return the key of how attempts to an endpoint went."""
    return f"{{p:{project}}}:pulse:{endpoint}"


def minutes(project: str, account: str) -> str:
    """Return the key of what an account spent in the last hour."""
    return f"{{p:{project}}}:minutes:{account}"
