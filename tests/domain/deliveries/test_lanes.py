"""Names of lanes: by project, origin and path, without showing the path."""

from hashlib import blake2b

import pytest

from bridge.domain.deliveries.lanes import INBOX, is_origin_wide, name_lane, read_origin, read_project

ORIGIN = "https://n8n.example:443"


def keyed(text: str) -> bytes:
    return blake2b(text.encode(), key=b"k").digest()


def lane(url: str, project: str = "prj_a") -> str:
    return name_lane(project, ORIGIN, url, fingerprint=keyed)


def test_the_query_and_the_fragment_make_no_lane_of_their_own() -> None:
    """Tools put a token there that differs from one registration to the next."""
    plain = lane("https://n8n.example/webhook/a")
    assert lane("https://n8n.example/webhook/a?token=1") == plain
    assert lane("https://n8n.example/webhook/a#x?y") == plain


def test_another_path_or_project_is_another_lane() -> None:
    """Their trouble is their own."""
    lanes = {
        lane("https://n8n.example/a"),
        lane("https://n8n.example/b"),
        lane("https://n8n.example/a", "prj_b"),
    }
    assert len(lanes) == 3
    assert {read_origin(each) for each in lanes} == {ORIGIN}
    assert {read_project(each) for each in lanes} == {"prj_a", "prj_b"}


def test_the_path_is_not_shown() -> None:
    """A name stands in keys, so it holds a keyed digest: paths of resume URLs are secrets."""
    assert "webhook" not in lane("https://n8n.example/webhook/secret")


@pytest.mark.parametrize(
    ("name", "wide"),
    [
        (f"prj_a {ORIGIN}", True),  # of version 0.1
        (f"? {ORIGIN}", True),  # of version 0.1, over all projects
        (lane("https://n8n.example/a"), False),
        (name_lane("prj_a", INBOX, INBOX, fingerprint=keyed), False),
    ],
)
def test_lanes_of_version_0_1_are_known(name: str, *, wide: bool) -> None:
    """All URLs of an origin shared them; the inbox's name is what it was."""
    assert is_origin_wide(name) is wide
