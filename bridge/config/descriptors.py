"""How many files and connections this process may have open."""

import resource

WANTED = 8192  # attempts, reads, clients and the store together, with as many connections kept for the next request


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open descriptors, which many systems set to 1,024, as far as it may be; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft == resource.RLIM_INFINITY or soft >= highest:
        return soft if soft != resource.RLIM_INFINITY else WANTED
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
    return highest
