"""`pocketscope notebook`: a Jupyter notebook that runs a study and explains it, for this machine or for Colab."""

import os
import pprint
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat

from pocketscope.api import configuration, workflow
from pocketscope.api.words import study_in_words
from pocketscope.config.study import Config
from pocketscope.core import files
from pocketscope.plan.study_plan import StudyPlan
from pocketscope.version import VERSION

EXTRAS = ("formats", "workflow")
# What is installed in just the version that the tests ran with: computes, or has changed often between versions.
PINNED = ("snakemake", "timm", "onnx", "onnxruntime", "safetensors", "pydantic", "pyarrow", "torch", "torchvision")
COLAB_HAS = {"pydantic", "pyarrow", "torch", "torchvision"}  # its own cells import some of these: they stay
DRIVE = "/content/drive/MyDrive"
Cell = tuple[str, str]  # kind (markdown or code) and source

INSTALL = """## Install

Only where it is not installed yet: take the `#` away, run the cell, restart the kernel."""
INSTALL_ON_COLAB = """## Install

Choose a runtime with a GPU if you can (menu *Runtime*): it is used where there is one. What Colab brings (Python,
numpy, torch) stays as it is. Where no package index has pocketscope, upload its wheel, and put the file's name in place
of `pocketscope`."""
STUDY = """## The study

The keys are those of a configuration file. Change them and run the cells again: what was made before stays."""
PREVIEW = """## Look at the images first

Are the classes what you mean, and are there as many images as you think? A mislabelled folder costs more than a weak
network."""
RUN = """## Run

The bar counts jobs. If you interrupt the cell, run it again: it goes on from there."""
SCORES = """## How good is it

F1 on images that no training has seen, and the interval in which it would lie for other images of the same kind. Where
two intervals overlap widely, these images cannot tell which is better."""
REPORT = "The report has the figures, the tests between methods, and which questions do not apply and why."
MISTAKES = """## Where it errs

The test images that are answered wrongly, the most confident first. Look for a pattern: a wrong label, a blurred image,
two classes that differ in degree."""
AUDIT = """## What the unlabelled images were taken for

How many of them were given a label, by class; where the truth is known, how many of these labels are right."""
ANSWERS = """## Answers

The recommended network was trained again, on every label, and has answered for the unlabelled images. Correct what is
wrong: write the right class into the column `label` of a copy of `answers.csv`, and name the copy as `labels` of the
data set, or append its rows to the table that is named there. The next run learns from it."""
TAKE_AWAY = """## What to take away

| file | what it is |
| --- | --- |
| `{model}` | the classifier; it needs onnxruntime, numpy and Pillow alone |
| `report.html` | the report, one page that needs no server |
| `scores.csv` | every measurement |
| `study/` | the tables behind it; `pocketscope.open_result(FOLDER)` opens them again |

In a script: `pocketscope.load("model.onnx").predict("folder-of-images")`; in a terminal: `pocketscope classify
model.onnx folder-of-images`."""
FIGURES = """from IPython.display import SVG, display

for name, path in result.figures.items():
    if name.startswith(("heat-map", "resampled", "confusion", "gain")):
        display(SVG(filename=path))
print("The whole report:", result.report)"""
MOUNT = """from google.colab import drive

drive.mount("/content/drive")
OUTPUT = "{drive}/pocketscope"  # what you take away"""
UPLOAD = """# Or upload a ZIP file of the folders: take the # away.
# import zipfile
# from google.colab import files
# for name in files.upload():
#     zipfile.ZipFile(name).extractall("/content/my-images")
# DATA = "/content/my-images\""""


def write(config: str | os.PathLike | Mapping[str, Any], out: str | os.PathLike, *, colab: bool = False) -> Path:
    """Write the notebook of a study.

    Parameters
    ----------
    config
        As for `pocketscope.run`.
    out
        The file, which ends in .ipynb.
    colab
        For Google Colab: installs what Colab lacks, takes images from Drive or an upload, uses its GPU.

    Raises
    ------
    pocketscope.core.errors.InputError
        The configuration is wrong, or the file cannot be written.
    """
    raw, plan = configuration.read(config)
    if raw.get("catalogue") == Config.model_fields["catalogue"].default:
        del raw["catalogue"]
    raw = configuration.absolute(raw, workflow.root())  # a notebook may be moved
    files.write_text(out, as_text(of_study(raw, plan, colab=colab), colab=colab))
    return Path(out)


def of_study(raw: Mapping[str, Any], plan: StudyPlan, *, colab: bool, title: str = "", why: str = "") -> list[Cell]:
    """Return the cells of a study's notebook.

    Parameters
    ----------
    raw, plan
        What `configuration.read` returns.
    colab
        See `write`.
    title, why
        The heading, and a paragraph below it; by default from the study.
    """
    sources = [dataset.source for dataset in plan.config.datasets.values()]
    unlabelled = any(getattr(source, "unlabelled", None) for source in sources)
    heading = title or f"Study `{plan.config.study}`"
    about = why or "From images of which some are labelled to compact classifiers, and which of them to trust."
    output = f'OUTPUT + "/{plan.config.study}"' if colab else f'"{plan.config.study}_output"'
    given = [f"output={output}", *(['workspace="/content/pocketscope_work"'] if colab else [])]
    given += ["ship=True"] if unlabelled else []
    cells = [
        ("markdown", "\n\n".join([f"# {heading}", about, *study_in_words(plan)])),
        *installing(colab=colab),
        *(_images_on_colab(raw) if colab else []),
        ("markdown", STUDY),
        ("code", f"config = {_as_code(raw, colab)}"),
        ("markdown", PREVIEW),
        ("code", "import pocketscope\n\npocketscope.preview(config)"),
        ("markdown", RUN),
        ("code", f"result = pocketscope.run(config, {', '.join(given)})"),
        ("markdown", SCORES),
        ("code", "result"),
        ("code", "result.scores"),
        ("markdown", REPORT),
        ("code", FIGURES),
        ("markdown", MISTAKES),
        ("code", _for_each_dataset("result.mistakes", plan)),
    ]
    if plan.distilling or plan.consistency:
        cells += [("markdown", AUDIT), ("code", "result.audit")]
    if unlabelled:
        cells += [("markdown", ANSWERS), ("code", "result.answers.head(20)")]
    model = "model.onnx" if len(plan.config.datasets) == 1 else "model.DATASET.onnx"
    return [*cells, ("markdown", TAKE_AWAY.format(model=model)), ("code", "result.paths")]


def as_text(cells: Sequence[Cell], *, colab: bool = False) -> str:
    """Return a notebook file, without outputs."""
    made = nbformat.v4.new_notebook(
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            **({"accelerator": "GPU", "colab": {"provenance": []}} if colab else {}),
        }
    )
    new = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    made.cells = [new[kind](source, id=f"cell-{place}") for place, (kind, source) in enumerate(cells)]
    nbformat.validate(made)
    return nbformat.writes(made) + "\n"


def installation(*, colab: bool) -> str:
    """Return the line that installs pocketscope, with pins of what it computes with."""
    lock = (workflow.root() / "envs/requirements.lock").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", lock, re.MULTILINE))
    pins = [f"{name}=={pinned[name]}" for name in PINNED if not (colab and name in COLAB_HAS)]
    return f'%pip install --quiet "pocketscope[{",".join(EXTRAS)}]=={VERSION}" {" ".join(pins)}'


def installing(*, colab: bool) -> list[Cell]:
    """Return the cells that install pocketscope."""
    line = installation(colab=colab)
    if colab:
        return [
            ("markdown", INSTALL_ON_COLAB),
            ("code", f"{line}\n!nvidia-smi -L || echo no GPU: the processor computes"),
        ]
    return [("markdown", INSTALL), ("code", f"# {line}\n\nimport pocketscope\n\npocketscope.__version__")]


def _images_on_colab(raw: Mapping[str, Any]) -> list[Cell]:
    mount = MOUNT.format(drive=DRIVE)
    if not _paths(raw):
        return [("code", mount)]
    named = ", ".join(f"`{Path(path).name}`" for path in _paths(raw))
    said = f"## Your images\n\nPut {named} into a folder of your Drive; or into a ZIP file, for the upload below."
    mount += f'\nDATA = "{DRIVE}/my-images"  # the folder that holds them'
    return [("markdown", said), ("code", mount), ("code", UPLOAD)]


def _for_each_dataset(call: str, plan: StudyPlan) -> str:
    if len(plan.config.datasets) == 1:
        return f"{call}()"
    names = ", ".join(f'"{name}"' for name in plan.config.datasets)
    return f"from IPython.display import display\n\nfor dataset in [{names}]:\n    display({call}(dataset=dataset))"


def _paths(raw: Mapping[str, Any]) -> list[str]:
    """Return the paths of the images, and of tables of labels, that a configuration names."""
    sources = [dataset.get("source", {}) for dataset in raw["datasets"].values()]
    found = [source[key] for source in sources for key in configuration.SOURCE_PATHS if source.get(key)]
    return found + [dataset["labels"] for dataset in raw["datasets"].values() if dataset.get("labels")]


def _as_code(raw: Mapping[str, Any], colab: bool) -> str:
    text = pprint.pformat(dict(raw), sort_dicts=False, width=100)
    if colab:
        for path in sorted(set(_paths(raw)), key=len, reverse=True):
            text = text.replace(repr(path), f'DATA + "/{Path(path).name}"')
    return text
