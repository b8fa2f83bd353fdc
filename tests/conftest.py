"""Set up before anything imports torch."""

import os
import signal
import subprocess
import sys

import pytest
from hypothesis import settings

# Two test processes of two threads each on two cores would mostly wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell that starts tests in the background has them, and all that they start, ignore Ctrl-C, which some of them send.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# How long an example takes says more of what else the machine does.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture
def python():
    """Return a function that starts Python on code and arguments, with pipes; the test's end kills what still runs."""
    started = []

    def start(code, *arguments, cwd):
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
