"""While processes are replaced one by one, the version before reads what this one has written."""

import subprocess
import sys
from pathlib import Path

import pytest

from bridge.domain.jobs.records import Job, JobState
from bridge.domain.subscriptions.callback import Callback, CallbackState
from bridge.store.records import pack_job
from tests.upgrade.version_before import has_history, take_code

# Prints what the version before finds in the record that it is sent.
READER = """
import sys
from bridge.domain.job import Job
from bridge.store.records import unpack
job = unpack(Job, sys.stdin.buffer.read())
[callback] = job.callbacks
print(job.id, job.state, repr(job.status), job.seen, callback.id, callback.state, callback.once, callback.closed_ms)
"""


@pytest.mark.skipif(not has_history(), reason="the repository's history is not here")
def test_the_version_before_reads_a_record_without_its_defaults(tmp_path: Path) -> None:
    """It puts the defaults in by itself."""
    callback = Callback(
        id="cb_a1",
        state=CallbackState.WATCHING,
        created_ms=1,
        url=b"sealed",
        origin="https://a.example:443",
        masked="",
        fingerprint=b"f" * 16,
    )
    job = Job(
        project="prj_1",
        account="acc_1",
        kind="sync_job",
        id="j1",
        born_ms=1,
        state=JobState.WATCHING,
        run=1,
        run_ms=1,
        clock_ms=1,
        callbacks=(callback,),
    )
    done = subprocess.run(
        [sys.executable, "-c", READER],
        cwd=take_code(tmp_path),
        input=pack_job(job),
        capture_output=True,
        check=False,
    )
    assert done.stdout.decode().split() == [
        "j1",
        "watching",
        "''",
        "False",
        "cb_a1",
        "watching",
        "True",
        "0",
    ], done.stderr.decode()
