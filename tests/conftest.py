"""Set up before anything imports torch."""

import os

# Two test processes of two threads each on two cores would mostly wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
