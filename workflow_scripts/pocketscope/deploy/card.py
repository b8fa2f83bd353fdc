"""The model card: a page that says what a model is for, what it learnt, how good it is, and what was not shown."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import jinja2

from pocketscope.core.stack_pages import in_words
from pocketscope.deploy.facts import CONFUSIONS, FEW


def model_card(about: Mapping[str, Any]) -> str:
    """Return the page about a model, as Markdown, in the sections of Mitchell et al. (2019), "Model Cards".

    Parameters
    ----------
    about
        `dataset`, `study`, `candidate` (method, network, precision), `file` (what the model file says of itself),
        `data_licence` and `data_link` (of the images, or None), `classes`, `learnt` (see `facts.learnt`), `scores` and
        `other_scores` (see `facts.scores` and `facts.of_study`; the other precision's are None where nothing measured
        it), `temperature` and `reliable` (see `facts.reliable`), `known` (a sentence that the card leads with: the
        accuracy, and how many more images would change it), `answers`, `reliable_answers`, `same`, `compared`, and
        `recommendation`, a sentence, or None where another candidate shipped or the configuration names it. Where
        another one shipped, what was recommended is `instead_of`, else it is empty. `pinned`: when the study was pinned
        that the scores are of, or None; `labels_since`: how many labels changed since.
    """
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(loader=loader, keep_trailing_newline=True)
    environment.filters |= {
        "percent": _percent,
        "points": _points,
        "in_line": _in_line,
        "in_cell": _in_cell,
        "stack": in_words,
    }
    classes = about["scores"]["classes"]
    few = [name for name in about["classes"] if classes[name]["images"] < FEW]
    # By its name, so that no digest of a rule's code depends on the version.
    version = import_module("pocketscope.version").VERSION
    more = {"few": few, "confusions": CONFUSIONS, "version": version}
    more["study_f1"] = about["scores"].get("study", {})
    more["other"] = {"fp32": "int8", "int8": "fp32"}[about["candidate"]["precision"]]
    return environment.get_template("card.md").render(**more, **about)


def _percent(share: Mapping[str, float | None]) -> str:
    if share["value"] is None:
        return "–"
    return f"{100 * share['value']:.1f} % ({100 * share['lower']:.1f} to {100 * share['upper']:.1f})"


def _points(score: float | None) -> str:
    return "–" if score is None else f"{100 * score:.1f}"


def _in_line(text: str) -> str:
    """Return a name as a part of a line: a class may be called anything."""
    return " ".join(text.split()).replace("`", "'").replace("<", "&lt;")


def _in_cell(text: str) -> str:
    return _in_line(text).replace("|", "\\|")
