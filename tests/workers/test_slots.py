"""How many attempts a worker has under way at most."""

import pytest

from workers.slots import count_send_slots


@pytest.mark.parametrize(
    ("open_files", "slots", "suspects"),
    [(8192, 1024, 768), (2048, 1024, 768), (1024, 512, 384), (256, 128, 96)],
)
def test_attempts_leave_open_files_for_all_else(open_files: int, slots: int, suspects: int) -> None:
    """Half of what the system allows at most, and of these a quarter for URLs that answer."""
    assert count_send_slots(open_files) == (slots, suspects)
