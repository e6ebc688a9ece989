"""The keys of the indexes of deliveries in trouble, in the notation of `bridge.store.keys`.

Key                     Type    Content                                             Owner                Removed
{s}:p:<prj>:parked      zset    id of a parked delivery -> created ms               trouble_marks        when it is sent again, or removed
{s}:p:<prj>:failing     zset    id of a delivery that failed and is tried again -> created ms  trouble_marks  likewise
{s}:p:<prj>:receivers   zset    origin -> number of its deliveries in the two above  trouble_marks       when that is 0
{s}:indexed             string  version of what the sweep has built since an upgrade  tables/troubles    never
"""


def parked(shard: str, project: str) -> str:
    """Return the key of a project's parked deliveries."""
    return f"{{{shard}}}:p:{project}:parked"


def failing(shard: str, project: str) -> str:
    """Return the key of a project's deliveries that failed and are tried again."""
    return f"{{{shard}}}:p:{project}:failing"


def receivers(shard: str, project: str) -> str:
    """Return the key of the origins whose deliveries are in trouble."""
    return f"{{{shard}}}:p:{project}:receivers"


def indexed(shard: str) -> str:
    """Return the key that tells which indexes are whole."""
    return f"{{{shard}}}:indexed"
