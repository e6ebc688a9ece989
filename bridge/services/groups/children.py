"""Find what came of a job: what answers and calls have said, else a list of the provider's that need not exist."""

from collections.abc import Collection

from bridge.domain.groups.child_rule import ChildRule
from bridge.domain.jobs.records import Job
from bridge.providers.registry import KINDS
from bridge.providers.status_words import read_id
from bridge.services.accounts.account_reads import AccountReads, NotReadNow
from bridge.services.context import Services


async def find_children(services: Services, job: Job, rule: ChildRule, *, looks: bool) -> list[str]:
    """Return the ids of the jobs that are known to have come of one; `looks`: the provider may be asked for them.

    That costs a request of the account's budget, and nothing is found while it grants none.
    """
    parts = [part for part, _ in job.parts]
    known = await services.store.chains.children(job.account, rule.kind, [job.id, *parts])
    return known or (await _look(services, job.account, rule, parts) if looks else [])


async def _look(services: Services, account_id: str, rule: ChildRule, parts: Collection[str]) -> list[str]:
    """Return the ids of the listed jobs that name one of some parts."""
    kind, account = KINDS[rule.kind], await services.store.accounts.get(account_id)
    path = kind.list.name_for("") if kind.list else ""
    if account is None or not path or not parts:
        return []
    try:
        page = await (await AccountReads.open(services, account, kind)).read_optional(path)
    except NotReadNow:
        return []
    rows = page.rows.rows if page else ()
    return [each for each, row in rows if _names_one(row.get(rule.list_field), rule.name_field, parts)]


def _names_one(entries: object, field: str, parts: Collection[str]) -> bool:
    listed = entries if isinstance(entries, list) else []
    return any(read_id(each.get(field)) in parts for each in listed if isinstance(each, dict))
