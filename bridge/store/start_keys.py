"""The keys of guarded starts, in the notation of `bridge.store.keys`.

A start lies in the shard of its account, so that its answer and the jobs that are registered from it are written in one
step. Its place is that shard's letter and a hash, see `tables/starts`.

Key                     Type    Content                                             Owner                Removed
{s}:start:<place>       string  Start                                               unit_of_work         TTL: 24 h answered, 7 d open
{s}:starts              zset    place -> ms at which its outcome is looked for      unit_of_work         when nothing is left open
{s}:started:<job key>   string  place of the start that began this job              unit_of_work         TTL: 7 d
{s}:p:<prj>:starts      zset    place -> ms at which it expires                     unit_of_work         by tables/starts, then
"""


def start(place: str) -> str:
    """Return the key of a guarded start."""
    return f"{{{place[0]}}}:start:{place}"


def open_starts(letter: str) -> str:
    """Return the key of the starts of which something is still to be found out or done."""
    return f"{{{letter}}}:starts"


def starts(letter: str, project: str) -> str:
    """Return the key of the index of a project's starts."""
    return f"{{{letter}}}:p:{project}:starts"


def started(job: str) -> str:
    """Return the key that names the start which began a job, by the job's key."""
    return f"{{{job[0]}}}:started:{job}"
