"""Sections: what was studied, and how, in words that a paper can take over."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pocketscope.report import exports, methods_text, page, references, studied


def study_section(about: Mapping[str, Any] | None) -> dict[str, Any]:
    """Show images per class, how they were parted, licences and settings.

    Parameters
    ----------
    about
        `classes`, `roles` (see `studied`), and `settings` (see `methods_text.paragraphs` and `studied.licences`).
    """
    title = "What was studied"
    if about is None:
        reason = "Images, labels, licences and settings are not known, because the scores were made elsewhere."
        return page.section("study", title, [page.absent(reason)])
    classes, roles = about["classes"], about["roles"]
    blocks = [
        page.table(
            "classes",
            "Images per class",
            classes,
            {
                "dataset": "Data set",
                "label": "Class",
                "images": ("Different images", _count),
                "files": ("Files", _count),
                "human": ("Human labels used", _count),
            },
        ),
        page.table(
            "roles",
            "Images per split",
            roles,
            {"dataset": "Data set", "split": "Split"} | {role: (role.capitalize(), _count) for role in studied.ROLES},
        ),
    ]
    shown = {"what": "Of", "name": "Name", "licence": "Licence"}
    blocks.append(page.table("licences", "Licences", studied.licences(about["settings"]), shown))
    lines = pd.DataFrame(studied.flat(about["settings"]["config"]), columns=["key", "value"])
    columns = {"key": "Key", "value": "Value"}
    blocks.append(page.table("settings", "Every setting, defaults included", lines, columns, folded=True))
    return page.section("study", title, blocks)


def citable_section(about: Mapping[str, Any] | None, protocol: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Write the methods of the study, with references; return the section, and the same as files by their names.

    Parameters
    ----------
    about
        See `study_section`.
    protocol
        What the study's statistics do, in words.
    """
    title = "Methods, to be cited"
    if about is None:
        absent = "There is no configuration that the methods could be told from."
        return page.section("methods", title, [page.absent(absent)]), {}
    texts = methods_text.paragraphs(about["settings"], protocol)
    works = references.cited(texts)
    listed = {"kind": "list", "items": [references.sentence(work) for work in works]}
    note = "Next to this page, methods.tex has the same in LaTeX, and references.bib the references as BibTeX."
    numbers = {work.key: number for number, work in enumerate(works, 1)}
    cited = [[work.key for work in references.cited([text])] for text in texts]
    blocks, written = [], []
    for text, keys in zip(texts, cited, strict=True):
        named = ", ".join(str(number) for number in sorted(numbers[key] for key in keys))
        blocks.append(page.text(f"{text} [{named}]" if keys else text))
        written.append(exports.latex(text) + (rf"~\cite{{{','.join(keys)}}}" if keys else ""))
    blocks += [{"kind": "heading", "text": "References"}, listed, page.text(note)]
    made = {"methods.tex": "\n\n".join(written) + "\n", "references.bib": references.bibtex(works)}
    return page.section("methods", title, blocks), made


def _count(number: int) -> str:
    return f"{number:,}"
