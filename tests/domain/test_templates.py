"""Ids and URLs in which a template was not filled in."""

import pytest

from bridge.domain.templates import describe_unfilled, find_unfilled_id, find_unfilled_url


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{{ $json.job_id }}", "{{"),
        ("job-{{id}}", "{{"),
        ("{{1.job_id}}", "{{"),
        ("${jobId}", "${"),
        ("undefined", "undefined"),
        (" Undefined ", " Undefined "),
        ("null", "null"),
        ("None", "None"),
        ("NaN", "NaN"),
        ("[object Object]", "[object Object]"),
    ],
)
def test_an_unfilled_id_is_found(text: str, found: str) -> None:
    """As no-code tools, JavaScript and Python leave it."""
    assert find_unfilled_id(text) == found
    assert repr(found) in describe_unfilled(found)


@pytest.mark.parametrize("text", ["5b0d3f1e-77aa", "nullable", "undefined-1", "x$y", "a{b}", "nano"])
def test_an_id_is_no_template(text: str) -> None:
    """A word counts only as the whole id."""
    assert find_unfilled_id(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "https://hooks.example.test/{{id}}",
        "https://hooks.example.test/%7B%7Bid%7D%7D",
        "https://hooks.example.test/%7b%7bid%7d%7d",
        "https://hooks.example.test/x?job={{ $json.id }}",
        "{{ $execution.resumeUrl }}",
        "https://hooks.example.test/${id}",
        "https://hooks.example.test/%24%7Bid%7D",
        "https://hooks.example.test/undefined",
        "https://hooks.example.test/undefined/x",
        "https://undefined/x",
        "https://undefined:8080/x",
        "https://hooks.example.test/x?job=undefined",
        "https://hooks.example.test/x?job=null&a=1",
        "https://hooks.example.test/x?job=[object Object]",
        "https://hooks.example.test/x?job=%5Bobject%20Object%5D",
        "undefined",
        "null",
    ],
)
def test_an_unfilled_url_is_found(text: str) -> None:
    """Percent-encoded or not, in host, path and query."""
    assert find_unfilled_url(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "https://hooks.example.test/webhook/5b0d3f1e?token=a%7Bb%7D",
        "https://hooks.example.test/null-island/undefined-behaviour",
        "https://hooks.example.test/none?x=None",
        "https://hooks.example.test/%E2%82%AC?a=$b",
        "inbox:",
        "inbox:null-2",
    ],
)
def test_a_url_is_no_template(text: str) -> None:
    """A word counts only as a whole part."""
    assert find_unfilled_url(text) is None
