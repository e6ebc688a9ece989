"""The key map is whole, and ids lead to their shard's slot."""

import inspect
import re

from bridge.domain.ids import callback_id, delivery_id, event_id, job_key
from bridge.store import keys

JOB = job_key("b", "acc_1", "sync_job", "1")
EVENT = event_id(project="prj_1", key=JOB, born_ms=1, run=1, fact="completed")
CALLBACK = callback_id(JOB, lambda size: b"\0" * size)


def made_keys() -> dict[str, str]:
    """A key of each function, in the shard that shares its tag with the installation, and the constants."""
    samples = {"queue": "dlv", "name": "lane", "project": "prj_1", "digest": "digest"}
    made = {
        name: function(*(samples.get(word, "g") for word in inspect.signature(function).parameters))
        for name, function in inspect.getmembers(keys, inspect.isfunction)
        if name not in {"shard", "event", "delivery", "hold"}
    }
    made |= {"event": keys.event("evt_g"), "delivery": keys.delivery("dlv_g"), "hold": keys.hold("cb_g")}
    return made | {name: value for name, value in vars(keys).items() if name.isupper()}


def test_every_id_leads_to_the_slot_of_its_job() -> None:
    """What one script touches has one hash tag."""
    found = [
        keys.job(JOB),
        keys.poll_log(JOB),
        keys.observed(JOB),
        keys.job_events(JOB),
        keys.job_deliveries(JOB),
    ]
    found += [keys.event(EVENT), keys.delivery(delivery_id(EVENT, CALLBACK)), keys.hold(CALLBACK)]
    assert {key[:4] for key in found} == {"{b}:"}
    assert {keys.shard(identifier) for identifier in (JOB, EVENT, CALLBACK)} == {"b"}


def test_no_two_keys_are_alike() -> None:
    """Not even in shard g, whose tag is the installation's too."""
    made = list(made_keys().values())
    assert len(set(made)) == len(made)


def test_every_key_stands_in_the_map() -> None:
    """The table above the functions has exactly one line a key, and no line too many."""
    lines = re.findall(r"^(\{\S+(?: key>)?) ", keys.__doc__ or "", re.MULTILINE)
    shapes = {
        line: re.compile(
            re.sub(r"<[^>]+>", r"\\w+", re.escape(line.replace("{s}", "{g}")).replace(r"\ ", " "))
        )
        for line in lines
    }
    matches = {
        name: [line for line, shape in shapes.items() if shape.fullmatch(key)]
        for name, key in made_keys().items()
    }
    assert {name: found for name, found in matches.items() if len(found) != 1} == {}
    assert {line for found in matches.values() for line in found} == set(lines)
