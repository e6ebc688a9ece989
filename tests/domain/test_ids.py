"""Ids carry their rule: the same fact has the same id, and any id tells its shard."""

import re
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.domain.ids import (
    SHARD_LETTERS,
    callback_id,
    delivery_id,
    event_id,
    job_key,
    read_callback_job,
    read_shard,
    shard_of,
)
from bridge.domain.times import iso_ms

texts = st.text(max_size=50)
shards = st.sampled_from(SHARD_LETTERS)
keys = st.builds(job_key, shards, texts, texts, texts)
dice = st.binary(min_size=5, max_size=5)
steady = settings(deadline=None, derandomize=True)  # a busy machine is no failure


@steady
@given(account=texts, number=st.integers(1, 32))
def test_an_account_has_one_of_the_shards(account: str, number: int) -> None:
    """Fixed by its id and the number of shards."""
    letter = shard_of(account, number)
    assert SHARD_LETTERS.index(letter) < number
    assert shard_of(account, number) == letter


def test_accounts_spread_over_the_shards() -> None:
    """A big project does not live in one of them."""
    assert len({shard_of(f"acc_{n}", 16) for n in range(500)}) == 16


@steady
@given(shard=shards, one=st.tuples(texts, texts, texts), other=st.tuples(texts, texts, texts))
def test_a_resource_has_one_key(shard: str, one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    """Account, kind and id make it; where these carry no separator of ours, others make another."""
    key = job_key(shard, *one)
    assert key == job_key(shard, *one)
    assert (key[0], len(key)) == (shard, 17)
    if one != other and not any("\x1f" in part for part in (*one, *other)):
        assert key != job_key(shard, *other)


def test_ids_are_those_that_earlier_versions_made() -> None:
    """A data directory, and a process of another version beside this one, know a fact by the id that it had before."""
    key = job_key("a", "acc_1", "sync_job", "42")
    assert key == "aip7bi74rhxbvxs57"
    event = event_id(project="prj_1", key=key, born_ms=1_795_000_000_000, run=1, fact="completed")
    assert event == "evt_atf2j2avkrzr3cntitofbranuv"
    assert delivery_id(event, "cb_1") == "dlv_amf667jryabmznds52ianfbnoh"
    assert callback_id(key, lambda count: bytes(range(count))) == f"cb_{key}aaaqeaye"


@steady
@given(key=keys, rolled=dice)
def test_a_callbacks_id_tells_its_job(key: str, rolled: bytes) -> None:
    """Look-ups by id need no index."""
    identifier = callback_id(key, lambda _: rolled)
    assert re.fullmatch(r"cb_[a-z2-7]{25}", identifier)
    assert read_callback_job(identifier) == key


@steady
@given(key=keys, born=st.integers(0, 2**45), run=st.integers(1, 9), fact=texts)
def test_an_event_is_known_by_its_fact(key: str, born: int, run: int, fact: str) -> None:
    """Found again after any crash it has the same id; another run, incarnation, project or fact has another."""
    identifier = event_id(project="prj_1", key=key, born_ms=born, run=run, fact=fact)
    assert identifier == event_id(project="prj_1", key=key, born_ms=born, run=run, fact=fact)
    assert re.fullmatch(r"evt_[a-z2-7]{26}", identifier)
    assert read_shard(identifier, "evt_") == key[0]
    others = {
        event_id(project="prj_2", key=key, born_ms=born, run=run, fact=fact),
        event_id(project="prj_1", key=key, born_ms=born + 1, run=run, fact=fact),
        event_id(project="prj_1", key=key, born_ms=born, run=run + 1, fact=fact),
        event_id(project="prj_1", key=key, born_ms=born, run=run, fact=f"{fact}."),
    }
    assert len(others) == 4
    assert identifier not in others
    delivery = delivery_id(identifier, "cb_1")
    assert read_shard(delivery, "dlv_") == key[0]
    assert delivery != delivery_id(identifier, "cb_2")


def test_a_fact_named_by_an_upstream_cannot_break_its_id() -> None:
    """A delivery's id may hold anything, half a surrogate pair and our separator too."""
    made = {
        event_id(project="p", key="a" * 17, born_ms=1, run=1, fact=fact)
        for fact in ("delivery:\ud800:failed", "delivery:\x1f:failed", "delivery::failed")
    }
    assert len(made) == 3


@steady
@given(st.text() | st.from_regex(r"(cb|evt|dlv)_[a-z2-7]{20,30}"))
def test_what_is_no_id_is_told_as_none(text: str) -> None:
    """Whatever a client puts into a path; nothing is raised."""
    key = read_callback_job(text)
    assert (key is not None) == bool(re.fullmatch(r"cb_[a-z2-7]{25}", text))
    for prefix in ("evt_", "dlv_"):
        assert (read_shard(text, prefix) is not None) == bool(re.fullmatch(prefix + "[a-z2-7]{26}", text))


@steady
@given(st.integers(0, 253_402_300_799_999))
def test_times_are_written_with_milliseconds(at_ms: int) -> None:
    """ISO 8601 in UTC, and back without loss."""
    text = iso_ms(at_ms)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    parsed = datetime.fromisoformat(text)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    since = parsed - epoch
    assert (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000 == at_ms
