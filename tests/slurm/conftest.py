"""A real SLURM cluster of two nodes on this machine, for the tests of this folder."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def cluster(request):
    """Start the cluster, and stop it with a table of all its jobs; the value is its folder."""
    if os.geteuid() or not shutil.which("apt-get"):
        pytest.skip("a cluster is installed with apt-get by root: one of them is not there")
    # munge and MariaDB run as users of their own, and a pytest that starts closes the folder of all pytests to others.
    folder = Path(tempfile.mkdtemp(prefix="pocketscope-cluster-"))
    folder.chmod(0o755)
    environment = os.environ | {"SLURM_CI_DIR": str(folder)}
    up = subprocess.run(["bash", HERE / "up.sh"], env=environment, capture_output=True, text=True, timeout=600)
    try:
        if not shutil.which("slurmctld"):
            pytest.skip(f"SLURM cannot be installed here: {up.stdout[-300:]} {up.stderr[-300:]}")
        assert up.returncode == 0, up.stdout + up.stderr
        os.environ["SLURM_CONF"] = str(folder / "etc/slurm.conf")
        yield folder
        columns = "JobID,Comment%60,State%16,NodeList,Partition,ReqTRES%45,Timelimit,Elapsed"
        table = subprocess.run(["sacct", "-X", f"--format={columns}"], capture_output=True, text=True).stdout
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print(f"\n{table}")
    finally:
        subprocess.run(["bash", HERE / "down.sh"], env=environment, capture_output=True, timeout=120)
        shutil.rmtree(folder, ignore_errors=True)
