"""Write the notebooks of this folder, without outputs: `make notebooks`.

Two are those of a study, as `pocketscope notebook` writes them; the third is about scores of any kind.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "workflow_scripts"))

from pocketscope.api import configuration, notebook  # noqa: E402

STUDIES = {
    "first_look": (
        "A first look",
        """Handwritten digits, of which eight per class are labelled. A network learns these and labels the others, and
a second one learns both. On two cores this takes a few minutes. For your own images change the `source` below to
`{"kind": "folder", "path": "my-images", "unlabelled": "new-images"}`, with one sub-folder per class in the first.""",
    ),
    "compare_methods": (
        "Compare methods",
        """Does it help to let a network label images, and do transformed views of them help? Three methods, on two
draws of the labelled images. The report tells which differences are more than chance, and which these data cannot
decide.""",
    ),
}
INSTALLATION = "the cells that install pocketscope"
SCORES = """import pandas as pd

# Invented numbers: F1 of four methods on eight data sets. Put your own in their place: pd.read_csv("my_scores.csv").
table = {
    "supervised": [0.71, 0.83, 0.64, 0.90, 0.77, 0.69, 0.81, 0.58],
    "plain": [0.74, 0.84, 0.69, 0.91, 0.80, 0.70, 0.84, 0.63],
    "data": [0.76, 0.86, 0.70, 0.92, 0.79, 0.74, 0.85, 0.66],
    "fixmatch": [0.65, 0.80, 0.55, 0.86, 0.70, 0.62, 0.79, 0.49],
}
scores = pd.DataFrame(
    [
        {"dataset": f"set {place + 1}", "method": method, "network": "resnet18", "f1": value}
        for method, values in table.items()
        for place, value in enumerate(values)
    ]
)
scores.to_csv("scores.csv", index=False)
scores.pivot(index="dataset", columns="method", values="f1")"""
COMPARE = """import subprocess
import sys

command = [sys.executable, "-m", "pocketscope", "compare", "scores.csv", "--out", "comparison"]
done = subprocess.run(command, capture_output=True, text=True)
print(done.stdout + done.stderr)
assert done.returncode == 0"""
OMNIBUS = """omnibus = pd.read_csv("comparison/omnibus.csv")
omnibus[["question", "subject", "datasets", "groups", "test", "statistic", "p", "smallest_p", "verdict"]]"""
PAIRS = """pairs = pd.read_csv("comparison/pairs.csv")
shown = ["first", "second", "difference", "p_adjusted", "effect_size"]
shown += ["probability_first", "probability_equal", "probability_second", "verdict"]
pairs.set_index(["question", "subject"])[shown].round(3)"""
FIGURES = """from pathlib import Path

from IPython.display import SVG, display

for path in sorted(Path("comparison/report/figures").glob("*.svg"))[:3]:
    display(SVG(filename=path))
print("The whole report:", Path("comparison/report/index.html").resolve())"""
STATISTICS = [
    """# Statistics of your own scores

A table of scores from anywhere: which methods differ, which differences are more than chance, and which candidate to
take. Nothing is trained. docs/statistics.md says what each test assumes, and why it is taken.""",
    INSTALLATION,
    "## The scores\n\nOne row per data set, method and network; optionally with `split` and `precision`.",
    SCORES,
    "## Compare\n\nThe same in a terminal: `pocketscope compare scores.csv --out comparison`.",
    COMPARE,
    """## Do the methods differ at all

One row per question: the test, its p-value, and the smallest p-value that any scores could reach here. Where even that
one is large, there are too few data sets for an answer.""",
    OMNIBUS,
    """## Which of them

`p_adjusted` accounts for the number of comparisons. `effect_size` says how large a difference is, which no p-value
does. `probability_equal`: that both are equal within 2 points of F1 (a Bayesian signed-rank test; the two beside it:
that the first or the second is better by more). What is `for reading` is a detail, and has no verdict.""",
    PAIRS,
    "## What could not be asked, and why",
    'pd.read_csv("comparison/skipped.csv")',
    "## The report\n\nOne page with all of it, which needs no server.",
    FIGURES,
]


def notebooks() -> dict[str, str]:
    """Return the text of each notebook by its file's name."""
    made = {}
    for name, (title, why) in STUDIES.items():
        raw, plan = configuration.read(HERE / f"{name}.yaml")
        for colab in (False, True):
            cells = notebook.of_study(raw, plan, colab=colab, title=title, why=why)
            made[f"{name}{'_colab' if colab else ''}.ipynb"] = notebook.as_text(cells, colab=colab)
    for colab in (False, True):
        cells = [cell for text in STATISTICS for cell in _cells(text, colab)]
        made[f"your_own_scores{'_colab' if colab else ''}.ipynb"] = notebook.as_text(cells, colab=colab)
    return made


def _cells(text: str, colab: bool) -> list[notebook.Cell]:
    if text == INSTALLATION:
        return notebook.installing(colab=colab)
    return [("markdown" if text.startswith("#") else "code", text)]


if __name__ == "__main__":
    for name, text in notebooks().items():
        (HERE / name).write_text(text, encoding="utf-8")
        print(HERE / name)
