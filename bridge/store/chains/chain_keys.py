"""The keys of chains, in the notation of `bridge.store.keys`; a group's or chain's own record is a job's.

Key                     Type    Content                                             Owner                Removed
{s}:chains:<acc>        zset    persona + " " + key of a chain -> ms until which its posts count  chains/chains  with the chain
{s}:found:<job key>     zset    post that may belong to a chain, by the chain's key -> ms  chains/chains  with the chain
{s}:child:<acc>:<kind>:<id>  string  id of the job that came of this job or item, last  chains/chains  TTL: 30 d
"""


def chains(letter: str, account: str) -> str:
    """Return the key of the chains of an account that wait for posts of a persona."""
    return f"{{{letter}}}:chains:{account}"


def found(chain: str) -> str:
    """Return the key of the jobs that began while a chain waited for some."""
    return f"{{{chain[0]}}}:found:{chain}"


def child(letter: str, account: str, kind: str, identifier: str) -> str:
    """Return the key of the last job of a kind that came of a job or of a part of it."""
    return f"{{{letter}}}:child:{account}:{kind}:{identifier}"
