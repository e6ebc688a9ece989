"""The wheel is the product: installed into an empty environment it runs as the image and the unit files run it."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.deploy.dockerfile import read_command, read_stages
from tests.docs.pages import ROOT
from tests.e2e.processes import Process, free_port, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

API_KEY = "brk_0123456789abcdef0123456789abcdef"
# As the unit files have it: no capabilities, no new privileges, no memory that is first written and then executed.
CONFINED = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
for capability in range(64):
    libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP: fails for those that there are not, and without privileges
assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
libc.prctl(65, 1, 0, 0, 0)  # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN: fails before Linux 6.3
os.execv(sys.argv[1], sys.argv[1:])
"""


@contextmanager
def running_up(installed: Path, port: int) -> Iterator[Process]:
    """Run `reelbridge up` in an empty directory, with nothing of this machine's environment."""
    home = Path(tempfile.mkdtemp(prefix="reelbridge-data-"))
    kept = dict.fromkeys(os.environ, "")
    process = Process(
        *(
            str(installed / "bin" / "python"),
            "-c",
            CONFINED,
            str(installed / "bin" / "reelbridge"),
            "up",
        ),
        env=kept
        | {
            "PATH": "/usr/bin:/bin",
            "HOME": "/nonexistent",
            "PYTHONDONTWRITEBYTECODE": "1",
            "REELBRIDGE_DATA_DIR": str(home / "data"),
            "REELBRIDGE_PORT": str(port),
            "REELBRIDGE_API_KEY": API_KEY,
            "REELBRIDGE_POLL_SCALE": "0.1",
        },
        cwd=home,
    )
    try:
        yield process
        assert [path.name for path in home.iterdir()] == ["data"]
    finally:
        process.kill()
        shutil.rmtree(home)


def healthcheck(installed: Path, port: int) -> int:
    """Run the image's health check."""
    last = read_stages(ROOT / "deploy" / "docker" / "Dockerfile")[-1]
    _, command = last.last("HEALTHCHECK").split("CMD ", 1)
    words = read_command(command)
    assert words[0] == "python"
    return subprocess.run(
        [installed / "bin" / "python", *words[1:]],
        env={"REELBRIDGE_PORT": str(port)},
        capture_output=True,
        check=False,
        timeout=30,
    ).returncode


def snapshot(folder: Path) -> dict[str, int]:
    """When each file was changed."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def check_imports(installed: Path) -> None:
    """Modules and scripts come from the environment; a checkout on the path would hide what the wheel lacks."""
    code = "import bridge, workers, sys; print(bridge.__path__, workers.__path__, sys.path)"
    shown = subprocess.run(
        [installed / "bin" / "python", "-P", "-c", code], cwd="/", capture_output=True, text=True, check=True
    ).stdout
    assert str(ROOT) not in shown
    assert str(installed) in shown


def check_files(installed: Path) -> None:
    """Scripts of Redis, pages and licence too, and no test."""
    (wheel,) = (installed.parent / "src" / "dist").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    product = {
        path.relative_to(ROOT).as_posix()
        for top in ("bridge", "workers")
        for path in (ROOT / top).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert product <= names
    rest = {re.sub(r"^[^/]*\.dist-info/", "", name) for name in names - product}
    assert rest == {"METADATA", "WHEEL", "entry_points.txt", "licenses/LICENSE", "RECORD"}


async def test_up_runs_from_the_wheel_through_a_first_callback(installed: Path) -> None:
    """Away from the checkout, confined, with a home that does not exist; it writes to its data directory alone."""
    check_files(installed)
    check_imports(installed)
    before = snapshot(installed)
    port = free_port()
    assert healthcheck(installed, port) != 0
    with running_up(installed, port) as process:
        process.wait_for(r"callback_url", within_s=90)
        assert healthcheck(installed, port) == 0
        async with aiohttp.ClientSession(
            f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {API_KEY}"}
        ) as http:
            async with http.get("/docs") as page:
                assert page.status == 200
            body = {"job_id": "demo-1", "callback_url": "inbox:"}
            async with http.post("/v1/callbacks", json=body) as answer:
                assert answer.status == 201, await answer.text()

            async def received() -> list[object]:
                async with http.get("/v1/inbox") as inbox:
                    return list((await inbox.json())["data"])

            (delivery,) = await until(received, within_s=60)
        assert json.dumps(delivery).count("sync_job.completed")
        assert process.stop() == 0, process.lines
    assert snapshot(installed) == before
