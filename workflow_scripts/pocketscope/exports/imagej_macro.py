"""For ImageJ 1 and Fiji: a folder with the model, and a macro that fills the Results table."""

import argparse
from pathlib import Path

from pocketscope.core import files
from pocketscope.core.stack_pages import in_words
from pocketscope.exports.ship_folder import ShipFolder

HERE = Path(__file__).parent / "imagej"
MACRO = "Classify_with_pocketscope.ijm"
_STACKS = """
Of the pages or frames of a file the model has learnt {}. So it is in a folder of files. Of a stack that is open, make
that image first (Image > Stacks > Z Project..., say), and classify the image, not each slice.
"""


def export(ship: ShipFolder, out: Path, options: argparse.Namespace) -> list[Path]:
    """Write the macro, the model and how to use them; return the macro, the page and the model.

    Raises
    ------
    pocketscope.core.errors.InputError
        The model file is damaged, another project's, or not there.
    """
    _, source, shipped = ship.model(options.precision)
    macro, page, model = out / MACRO, out / "README.md", out / source.name
    files.copy(HERE / MACRO, macro)
    files.copy(source, model)
    listed = "\n".join(f"- {' '.join(name.split())}" for name in shipped.classes)
    text = (HERE / "README.md").read_text(encoding="utf-8")
    if stack := in_words(shipped.page):
        text += _STACKS.format(stack)
    files.write_text(page, text.replace("DATASET", ship.name).replace("MODEL", source.name).replace("CLASSES", listed))
    return [macro, page, model]
