"""What to say where a Python package is missing that one of the extras in pyproject.toml brings."""

FORMATS = "formats"
SLURM = "slurm"
WORKFLOW = "workflow"


def lacking(package: str, extra: str) -> str:
    """Return the end of a sentence that begins with what cannot be done."""
    return (
        f"needs the Python package '{package}', which is not installed: it comes with pocketscope's extra '{extra}' "
        f"(pip install 'pocketscope[{extra}]')"
    )
