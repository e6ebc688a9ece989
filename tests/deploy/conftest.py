"""The wheel, installed away from the checkout by the steps of the Dockerfile."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.dockerfile import read_stages, run_stage
from tests.docs.pages import ROOT


@pytest.fixture(scope="session")
def installed() -> Iterator[Path]:
    """The environment that the image has at /opt/reelbridge, readable for every user; its wheel was built in `src`."""
    folder = Path(tempfile.mkdtemp(prefix="reelbridge-installed-"))
    folder.chmod(0o755)
    try:
        build, *_ = read_stages(ROOT / "deploy" / "docker" / "Dockerfile")
        run_stage(build, context=ROOT, work=folder / "src", opt=folder)
        yield folder / "reelbridge"
    finally:
        shutil.rmtree(folder)
