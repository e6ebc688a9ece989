"""Numbers agree with their nouns."""

import pytest

from bridge.domain.counts import choose_form, say_count


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 jobs"), (1, "1 job"), (2, "2 jobs"), (1_200, "1,200 jobs")],
)
def test_one_thing_is_no_plural(count: int, said: str) -> None:
    """Nothing is many; thousands are set apart."""
    assert say_count(count, "job") == said
    assert said.endswith(f" {choose_form(count, 'job')}")


def test_irregular_words_and_verbs_are_given() -> None:
    """The words for many may be any."""
    assert say_count(1, "delivery is", "deliveries are") == "1 delivery is"
    assert say_count(3, "delivery is", "deliveries are") == "3 deliveries are"
