"""Stop a child of `reelbridge up` when `up` itself ends, even by kill -9."""

import ctypes
import os
import signal
import sys
import threading
import time

SUPERVISOR_VARIABLE = "REELBRIDGE_SUPERVISOR_PID"
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_POLL_INTERVAL_S = 1.0


def tie_to_supervisor() -> None:
    """Arrange for SIGTERM when the supervisor dies; do nothing in a process that has no supervisor.

    Linux keeps the arrangement across exec (prctl(2), PR_SET_PDEATHSIG). Elsewhere a thread watches, which exec would
    end.
    """
    expected = os.environ.get(SUPERVISOR_VARIABLE, "")
    if not expected.isdecimal():
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    else:
        threading.Thread(target=_watch, args=(int(expected),), daemon=True).start()
    if os.getppid() != int(expected):  # it died before the arrangement was made
        os.kill(os.getpid(), signal.SIGTERM)


def _watch(supervisor: int) -> None:
    while os.getppid() == supervisor:
        time.sleep(_POLL_INTERVAL_S)
    os.kill(os.getpid(), signal.SIGTERM)
