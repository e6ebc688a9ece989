"""JSON as JavaScript writes it, with Node as the judge where it is installed."""

import json
import math
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.domain.js_json import to_js_json

NODE = shutil.which("node")

CASES: list[tuple[Any, str]] = [
    (None, "null"),
    (True, "true"),
    ({"a": False, "b": []}, '{"a":false,"b":[]}'),
    ({}, "{}"),
    (12.0, "12"),
    (-0.0, "0"),
    (0.1, "0.1"),
    (-1.5, "-1.5"),
    (1e21, "1e+21"),
    (1e20, "100000000000000000000"),
    (1e16, "10000000000000000"),
    (1e-6, "0.000001"),
    (1e-7, "1e-7"),
    (1.5e-9, "1.5e-9"),
    (-1.25e300, "-1.25e+300"),
    (5e-324, "5e-324"),
    (123456789.125, "123456789.125"),
    (2**53, "9007199254740992"),
    (2**53 + 1, "9007199254740992"),
    (12345678901234567890, "12345678901234567000"),
    (10**25, "1e+25"),
    (10**400, "null"),  # JSON.parse makes Infinity of it
    (math.nan, "null"),
    ([math.inf, -math.inf], "[null,null]"),
    ({"b": 1, "10": 2, "2": 3, "a": 4}, '{"2":3,"10":2,"b":1,"a":4}'),
    (
        {"01": 1, "0": 2, "-1": 3, "4294967295": 4, "4294967294": 5},
        '{"0":2,"4294967294":5,"01":1,"-1":3,"4294967295":4}',
    ),
    ({"": 1, "1": 2, "\u0661": 3}, '{"1":2,"":1,"\u0661":3}'),
    ("\u00e9\u2028\u2029\x7f\U0001f600", '"\u00e9\u2028\u2029\x7f\U0001f600"'),
    ('"\\/\b\f\n\r\t\x00\x1f', '"\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f"'),
    ("\ud800x\udfff", '"\\ud800x\\udfff"'),
    ("\ud83d\ude00", '"\U0001f600"'),  # two halves that belong together
    ({"\udead": [1.0, "\ud800"]}, '{"\\udead":[1,"\\ud800"]}'),
    ({"__proto__": 1, "toString": (1, 2)}, '{"__proto__":1,"toString":[1,2]}'),
    (
        {"at": "2026-11-21T10:34:10.123Z", "n": ["1.0", '":1.0']},
        '{"at":"2026-11-21T10:34:10.123Z","n":["1.0","\\":1.0"]}',
    ),
]


@pytest.mark.parametrize(("value", "text"), CASES, ids=[text[:30] for _, text in CASES])
def test_each_value_is_written_as_javascript_writes_it(value: Any, text: str) -> None:
    """Numbers, names, escapes and lone surrogates, a row each."""
    assert to_js_json(value) == text.encode()


@pytest.mark.parametrize("value", [{1: 2}, {"a": {None: 1.0}}, object(), {"a": b"bytes"}, [{1, 2}]])
def test_what_json_does_not_know_is_a_type_error(value: Any) -> None:
    """Nothing is turned into text in silence."""
    with pytest.raises(TypeError):
        to_js_json(value)


def _texts() -> st.SearchStrategy[str]:
    every = st.characters(min_codepoint=0, max_codepoint=0x10FFFF, exclude_categories=())
    return st.text(every, max_size=8)


def _documents() -> st.SearchStrategy[Any]:
    names = st.one_of(_texts(), st.integers(min_value=0, max_value=2**33).map(str))
    numbers = st.one_of(st.integers(), st.integers(min_value=-(2**70), max_value=2**70), st.floats())
    leaves = st.one_of(st.none(), st.booleans(), numbers, _texts())
    return st.recursive(
        leaves,
        lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(names, inner, max_size=5)),
        max_leaves=20,
    )


@given(_documents())
def test_writing_what_was_read_gives_the_same_bytes(value: Any) -> None:
    """The form is stable: Python may parse a body and write it again."""
    text = to_js_json(value)
    assert to_js_json(json.loads(text)) == text


@pytest.mark.skipif(NODE is None, reason="node is not installed: JSON.stringify itself cannot judge")
@settings(max_examples=6, deadline=None)
@given(st.lists(_documents(), min_size=100, max_size=100))
def test_node_writes_the_same_text_again(values: list[Any]) -> None:
    """`JSON.stringify(JSON.parse(text)) === text`, said by Node for a hundred documents at a time."""
    script = (
        "const texts=JSON.parse(require('fs').readFileSync(0,'utf8'));"
        "const bad=texts.filter(t=>JSON.stringify(JSON.parse(t))!==t);"
        "process.stdout.write(JSON.stringify(bad))"
    )
    texts = [to_js_json(value).decode() for value in values] + [
        to_js_json(value).decode() for value, _ in CASES
    ]
    assert NODE is not None
    ran = subprocess.run(
        [NODE, "-e", script], input=json.dumps(texts), capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(ran.stdout) == []


@pytest.mark.skipif(NODE is None, reason="node is not installed: its number formatting cannot judge")
def test_node_prints_the_same_numbers() -> None:
    """Not only stable but equal: the double that Node reads from Python's own text prints as ours does."""
    numbers = [m * 10.0**e for e in range(-30, 30) for m in (1.0, 1.5, 9.999999999999999, 1.2345678901234567)]
    assert NODE is not None
    script = "process.stdout.write(JSON.stringify(JSON.parse(require('fs').readFileSync(0,'utf8'))))"
    ran = subprocess.run(
        [NODE, "-e", script],
        input=json.dumps(numbers),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert to_js_json(numbers).decode() == ran.stdout
