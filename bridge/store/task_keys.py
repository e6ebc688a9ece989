"""The keys of tasks, in the notation of `bridge.store.keys`.

A task lies with its project, of which one task runs at a time; those of the whole installation are kept like those of a
project named `installation`.

Key                     Type    Content                                             Owner                Removed
{p:<prj>}:task:<id>     string  Task                                                tables/tasks         TTL: retention, once ended
{p:<prj>}:task-in:<id>  string  what a task works on, where that is large: JSON     tables/tasks         with the task's end, TTL 7 d
{p:<prj>}:tasks         zset    task id -> place in the order of their creation     tables/tasks         beyond 1,000
{p:<prj>}:tasks:open    zset    task id that has not ended -> likewise              tables/tasks         when it ends
{s}:touched:<id>        zset    id of a delivery that a task sent again -> created ms, the newest 10,000  tables/tasks  TTL: retention
{g}:tasking             zset    project that may have open tasks -> ms              tables/tasks         a minute after the last one
"""

TASKING = "{g}:tasking"


def task(project: str, identifier: str) -> str:
    """Return the key of a task's record."""
    return f"{{p:{project}}}:task:{identifier}"


def task_input(project: str, identifier: str) -> str:
    """Return the key of what a task works on."""
    return f"{{p:{project}}}:task-in:{identifier}"


def tasks(project: str) -> str:
    """Return the key of a project's tasks."""
    return f"{{p:{project}}}:tasks"


def touched(shard: str, identifier: str) -> str:
    """Return the key of the deliveries of a shard that a task sent again."""
    return f"{{{shard}}}:touched:{identifier}"


def open_tasks(project: str) -> str:
    """Return the key of those of a project's tasks that have not ended."""
    return f"{{p:{project}}}:tasks:open"
