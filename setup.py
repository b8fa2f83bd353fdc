"""What pyproject.toml cannot say: a wheel carries the workflow, which lies beside the package and not inside it.

`pip install pocketscope` so brings the Snakefile, its rules, their scripts and the code that they run, as they stand in
a checkout: `pocketscope.run` finds them in the package's folder `workflow`. An editable install uses the checkout.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

WORKFLOW = ("Snakefile", "rules", "captions", "config", "envs", "profiles", "workflow_scripts")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info")


class BuildWithWorkflow(build_py):
    """Build the package, with the workflow as its data."""

    def run(self) -> None:
        """Copy both into the build's folder."""
        super().run()
        if self.editable_mode:
            return
        here, target = Path(__file__).parent, Path(self.build_lib) / "pocketscope/workflow"
        shutil.rmtree(target, ignore_errors=True)  # of an earlier build
        target.mkdir(parents=True)
        for name in WORKFLOW:
            copy = shutil.copytree if (here / name).is_dir() else shutil.copy2
            copy(here / name, target / name, **({"ignore": LEFT_OUT} if (here / name).is_dir() else {}))


setup(cmdclass={"build_py": BuildWithWorkflow})
