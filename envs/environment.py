"""Print the environment file for Snakemake's conda deployment, with the pins of the lock beside this script."""

import re
from pathlib import Path

lock = Path(__file__).with_name("requirements.lock").read_text(encoding="utf-8")
pins = re.findall(r"^([a-z0-9][a-z0-9._-]*==[^\s;\\]+(?: ; [^\\\n]+?)?)(?: \\)?$", lock, re.MULTILINE)
print("# Written by `make lock` from requirements.lock.")
print("channels:\n  - conda-forge\ndependencies:\n  - python=3.12\n  - pip\n  - pip:")
for pin in pins:
    print(f'      - "{pin}"')
