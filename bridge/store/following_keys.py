"""The keys of followed personas, in the notation of `bridge.store.keys`.

The endpoints say which personas are followed. These keys hold how far the sweeps are; an account's poll lane has a member
`<s>:sweep:<persona>` for each of its personas.

Key                     Type    Content                                             Owner                Removed
{s}:follow:<acc>        hash    persona, or "*" -> Followed                         tables/following     when followed no more
{s}:posts:<acc>:<pers>  string  KnownPosts                                          tables/following     when followed no more
{g}:following           set     projects with an endpoint that names personas       tables/following     when none does any more
"""

PROJECTS = "{g}:following"


def personas(letter: str, account: str) -> str:
    """Return the key of an account's followed personas."""
    return f"{{{letter}}}:follow:{account}"


def posts(letter: str, account: str, persona: str) -> str:
    """Return the key of the posts of a persona that were seen."""
    return f"{{{letter}}}:posts:{account}:{persona}"
