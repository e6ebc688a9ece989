"""How the requirements of `make newest` are made, and how its report is."""

from tests.newest import list_changes, loosen, read_lock


def test_a_pin_becomes_a_lower_bound() -> None:
    """Extras and the markers of an environment are kept, whatever signs they have."""
    assert loosen(["redis==5.3.1", "fakeredis[lua]==2.40.0", "uvloop==0.23.0; sys_platform == 'linux'"]) == [
        "redis>=5.3.1",
        "fakeredis[lua]>=2.40.0",
        "uvloop>=0.23.0; sys_platform == 'linux'",
    ]


def test_every_difference_from_the_lock_is_a_line() -> None:
    """Names are compared as package indexes do; a package for another Python or system is not missed."""
    lock = r"""
Redis==5.3.1 \
    --hash=sha256:00
Typing_Extensions==4.16.0 ; python_full_version >= '3.11' \
    --hash=sha256:00
colorama==0.4.6 ; sys_platform == 'win32' \
    --hash=sha256:00
old==1 \
same==2 \
"""
    installed = {"redis": "5.4.0", "typing-extensions": "4.16.0", "same": "2", "fresh": "3"}
    assert list_changes(read_lock(lock), installed) == [
        "fresh new -> 3",
        "old 1 -> gone",
        "redis 5.3.1 -> 5.4.0",
    ]
