"""The model card: a page that says what a model is, and how good."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from pocketscope.statistics.reliable import LEVEL


def model_card(about: Mapping[str, Any]) -> str:
    """Return the page about a model, as Markdown.

    Parameters
    ----------
    about
        `dataset`, `study`, `candidate` (method, network, precision), `classes`, `image_size`, `resize`, `human`,
        `pseudo` (numbers of labels), `f1`, `positive` (the class whose F1 that is, None: the mean over the classes),
        `tested` (number of images), `known` (a sentence: the accuracy, and how many more images would change it),
        `reliable` (Reliable), `share`, `answers`, `reliable_answers`, `same`, `compared`, and `recommendation`: what
        `statistics.recommendation.recommend` found for the data set, empty where another candidate shipped or the
        configuration names it. Where another one shipped, what was found is `instead_of`. `pinned`: when the study was
        pinned that the scores are of; `labels_since`: how many labels changed since.
    """
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    template = jinja2.Environment(loader=loader, keep_trailing_newline=True).get_template("card.md")
    return template.render(level=LEVEL, **about)
