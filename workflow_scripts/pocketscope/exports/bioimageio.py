"""For the BioImage Model Zoo: a zip with the model, its description (`rdf.yaml`), documentation, tests and a cover.

The description is that of version 0.5 of the zoo's specification. Nothing of the zoo's own packages is needed to write
it; its validator and test are run by whoever has them (docs/exports.md).
"""

import argparse
import hashlib
import io
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pocketscope.core.errors import InputError
from pocketscope.core.files import whole
from pocketscope.core.stack_pages import in_words
from pocketscope.exports.pictures import png
from pocketscope.exports.ship_folder import ShipFolder
from pocketscope.inference.onnx_model import INPUT, Shipped
from pocketscope.version import VERSION

FORMAT = "0.5.4"  # of the description: what bioimageio.core 0.11 writes and newer ones read
# How much a probability may differ on another runtime or processor, and be right. The zoo allows 0.01 at most, absolute
# as a share of the largest number in the test tensor.
TOLERANCE = {"int8": 0.01, "fp32": 0.001}
UNKNOWN = "unknown"
# What is cited where nobody says what: the study whose methods every model here is made by.
DEFAULT_CITE = {
    "text": "Inés et al. 2022, Semi-Supervised Learning for Image Classification using Compact Networks in the "
    "BioMedical Context",
    "url": "https://arxiv.org/abs/2205.09678",
}
# Licences of pretrained weights and of published images, as SPDX spells them; and how they are written otherwise.
LICENCES = (
    *(f"CC-BY{more}-{version}" for more in ("", "-SA", "-NC", "-NC-SA", "-ND", "-NC-ND") for version in ("4.0", "3.0")),
    *("CC0-1.0", "Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ODbL-1.0", "PDDL-1.0", "GPL-3.0-only"),
    *("AGPL-3.0-only", "Unlicense"),
)
OTHERWISE = {"CC0-1.0": "cc0", "BSD-3-Clause": "bsd-3", "BSD-2-Clause": "bsd-2"}
NAME_LETTERS = r"[^a-zA-Z0-9_+\- ()]"  # the zoo takes no others in a name
_BEGINNING = (1980, 1, 1, 0, 0, 0)  # of every file in the zip, so that equal files give equal bytes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this kind on `parser`."""
    parser.add_argument("--author", action="append", metavar="NAME", help="who made the model; again for each author")
    parser.add_argument(
        "--cite",
        action="append",
        metavar="TEXT=DOI",
        help="what to cite: a text and its DOI or address; may be repeated (default: the study of these methods)",
    )
    parser.add_argument(
        "--licence", metavar="SPDX", help="of the weights (default: that of the pretrained weights, if it is known)"
    )


def export(ship: ShipFolder, out: Path, options: argparse.Namespace) -> list[Path]:
    """Write `{data set}.bioimageio.zip`, and return its path.

    Raises
    ------
    pocketscope.core.errors.InputError
        The model file is damaged, another project's, or not there; `--cite` has no address.
    """
    import yaml

    precision, source, model = ship.model(options.precision)
    images = synthetic_images(model.image_size)
    probabilities = model.session.run(None, {INPUT: images})[0]  # as the graph gives them: no temperature
    card = ship.card.read_text(encoding="utf-8") if ship.card else ""
    parts = {
        "README.md": documentation(ship.name, model, card).encode(),
        source.name: source.read_bytes(),
        "test_input.npy": _npy(images),
        "test_output.npy": _npy(probabilities),
        "sample_input.png": png(Image.fromarray(images[0])),
        "cover.png": png(cover(ship.name, model.classes, images)),
    }
    described = description(
        ship.name,
        model,
        {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()},
        weights=source.name,
        precision=precision,
        opset=opset_of(source),
        authors=options.author or [],
        cite=[_cited(text) for text in options.cite or []] or [DEFAULT_CITE],
        licence=options.licence or spdx(model.about.get("licence")),
        largest=float(probabilities.max()),
    )
    parts = {"rdf.yaml": yaml.safe_dump(described, sort_keys=False, allow_unicode=True).encode()} | parts
    made = out / f"{ship.name}.bioimageio.zip"
    with whole(made) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            entry = zipfile.ZipInfo(name, _BEGINNING)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, content)
    return [made]


def description(
    name: str,
    model: Shipped,
    digests: Mapping[str, str],
    *,
    weights: str,
    precision: str,
    opset: int,
    authors: Sequence[str],
    cite: Sequence[Mapping[str, str]],
    licence: str | None,
    largest: float,
) -> dict[str, Any]:
    """Return the content of `rdf.yaml`.

    Parameters
    ----------
    name
        Of the data set.
    model
        The model file, opened.
    digests
        By the name of each other file of the package, its SHA-256.
    weights, precision, opset
        The name of the model file, `int8` or `fp32`, and the version of ONNX's operators that it takes.
    authors, cite
        Names; entries with `text`, and `doi` or `url`.
    licence
        Of the weights: an identifier of SPDX, or None where it is not known.
    largest
        The largest probability in the test tensor.
    """
    about = model.about

    def file(key: str) -> dict[str, str]:
        return {"source": key, "sha256": digests[key]}

    side = {"type": "space", "size": model.image_size}
    found = {
        "type": "model",
        "format_version": FORMAT,
        "name": zoo_name(name, about.get("network", "")),
        "description": f"Classifies {model.image_size} px images into {len(model.classes)} classes: "
        f"{', '.join(model.classes)}"[:900],
        "authors": [{"name": author} for author in authors or [UNKNOWN]],
        "cite": list(cite),
        "license": licence,
        "documentation": "README.md",
        "covers": ["cover.png"],
        "tags": ["image-classification", "2d", "rgb", "onnx", "pocketscope", precision],
        "inputs": [
            {
                "id": INPUT,
                "description": f"RGB images, made square by '{model.resize}'",
                "axes": [
                    {"type": "batch"},
                    side | {"id": "y"},
                    side | {"id": "x"},
                    {"type": "channel", "channel_names": ["red", "green", "blue"]},
                ],
                "data": {"type": "uint8"},
                "test_tensor": file("test_input.npy"),
                "sample_tensor": file("sample_input.png"),
            }
        ],
        "outputs": [
            {
                "id": "probabilities",
                "description": "The probability of each class, before the temperature",
                "axes": [{"type": "batch"}, {"type": "channel", "channel_names": identifiers(model.classes)}],
                "data": {"type": "float32"},
                "test_tensor": file("test_output.npy"),
            }
        ],
        "training_data": {
            "type": "dataset",
            "format_version": "0.3.0",
            "name": zoo_name(name, "data set"),
            "description": f"Licence of the images: {about.get('data_licence') or UNKNOWN}. The images are no part of "
            "this package.",
            "license": spdx(about.get("data_licence")),
        },
        "weights": {"onnx": file(weights) | {"opset_version": opset}},
        "config": {
            "bioimageio": {
                "reproducibility_tolerance": [
                    {
                        "relative_tolerance": TOLERANCE[precision],
                        "absolute_tolerance": math.floor(TOLERANCE[precision] * largest * 1e6) / 1e6,
                    }
                ]
            },
            "pocketscope": {
                "version": VERSION,
                "classes": list(model.classes),
                "resize": model.resize,
                "temperature": model.temperature,
                "reliable": about.get("reliable", {}).get("probability"),
                "licence_of_images": about.get("data_licence"),
                "learnt": about.get("learnt"),
                "scores": about.get("scores"),
            },
        },
    }
    if not licence:
        del found["license"]
    if link := about.get("data_link"):
        found["training_data"]["source"] = link
    if not found["training_data"]["license"]:
        del found["training_data"]["license"]
    return found


def documentation(name: str, model: Shipped, card: str) -> str:
    """Return the package's `README.md`: what the tensors hold, and the model card with scores and intervals."""
    listed = "\n".join(
        f"{place}. `{identifier}`: {' '.join(shown.split())}"
        for place, (identifier, shown) in enumerate(zip(identifiers(model.classes), model.classes, strict=True))
    )
    temperature = (
        f"Divide their logarithms by {model.temperature:.4g} and normalise (a temperature): so they are calibrated.\n"
        if model.temperature != 1
        else ""
    )
    stack = f"Of files with several pages or frames the image is {page}.\n" if (page := in_words(model.page)) else ""
    return f"""# {" ".join(name.split())}

Input `{INPUT}`: uint8, (batch, {model.image_size}, {model.image_size}, 3), RGB, 0 to 255. Normalisation is part of the
model. Images of another size are made square by `{model.resize}`, bilinear with antialiasing.
{stack}
Output `probabilities`: float32, (batch, classes), in this order:

{listed}

{temperature}
The test tensors, the sample and the cover are drawn by a program. They show no image of the data set, and what the
model says of them means nothing.

## Validation

{"Scores on test images, with their intervals, are in the model card below." if card else "Nothing is known of it."}

{card or "There was no model card beside the model: its scores are not known."}
"""


def zoo_name(name: str, more: str) -> str:
    """Return a name as the zoo takes it: 5 to 64 letters, digits and some signs."""
    plain = " ".join(re.sub(NAME_LETTERS, " ", f"{name} {more}").split())[:64].strip()
    return plain if len(plain) >= 5 else f"pocketscope {plain}".strip()


def identifiers(classes: Sequence[str]) -> list[str]:
    """Return a name for each class that programs take: lower letters, digits and `_`, all different.

    Examples
    --------
    >>> identifiers(["Red <i>cell</i>", "red cell", "🧫"])
    ['red_i_cell_i', 'red_cell', 'class_2']
    """
    found: list[str] = []
    for place, name in enumerate(classes):
        plain = re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_") or f"class_{place}"
        plain = plain if plain[0].isalpha() else f"class_{plain}"
        found.append(plain if plain not in found else f"{plain}_{place}")
    return found


def spdx(licence: str | None) -> str | None:
    """Return a licence's identifier of SPDX, which the zoo asks for; None where the text names none that is known.

    Examples
    --------
    >>> spdx("CC BY-NC 4.0"), spdx("apache-2.0"), spdx("CC0"), spdx("ask the clinic")
    ('CC-BY-NC-4.0', 'Apache-2.0', 'CC0-1.0', None)
    """
    plain = "-".join((licence or "").casefold().split())
    return next((known for known in LICENCES if plain in (known.casefold(), OTHERWISE.get(known))), None)


def synthetic_images(size: int) -> np.ndarray:
    """Return uint8 (3, size, size, 3): a ramp, a disc on grey, and noise; no image of anybody."""
    down, across = np.mgrid[:size, :size]
    ramp = np.stack([across * 255 // max(size - 1, 1), down * 255 // max(size - 1, 1), 255 - across * 128 // size], 2)
    middle = (size - 1) / 2
    inside = np.hypot(down - middle, across - middle) < size / 3
    disc = np.where(inside[..., None], (160, 60, 120), (220, 215, 225))
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3))
    return np.stack([ramp, disc, noise]).astype(np.uint8)


def cover(name: str, classes: Sequence[str], images: np.ndarray) -> Image.Image:
    """Return the cover, 512 x 256: the synthetic images, the data set's name and its classes."""
    page = Image.new("RGB", (512, 256), "white")
    draw = ImageDraw.Draw(page)
    for place, image in enumerate(images):
        page.paste(Image.fromarray(image).resize((72, 72)), (16, 12 + 80 * place))
    draw.text((108, 16), _plain(name)[:24], "black", ImageFont.load_default(28))
    for place, line in enumerate(classes[:7]):
        draw.text((108, 62 + 22 * place), _plain(line)[:40], "#333333", ImageFont.load_default(16))
    if len(classes) > 7:
        draw.text((108, 62 + 22 * 7), f"and {len(classes) - 7} more", "#333333", ImageFont.load_default(16))
    return page


def opset_of(path: Path) -> int:
    """Return the version of the operator set `ai.onnx` that a model file names."""
    import onnx

    sets = onnx.load(path).opset_import
    return next(one.version for one in sets if one.domain in ("", "ai.onnx"))


def _cited(text: str) -> dict[str, str]:
    said, _, where = text.rpartition("=")
    if not said or not where.startswith(("10.", "http://", "https://")):
        raise InputError(f"--cite {text!r}: give a text, '=' and its DOI or address, as in 'Doe 2024=10.1000/182'")
    return {"text": said, "doi" if where.startswith("10.") else "url": where}


def _plain(text: str) -> str:
    """Return a text in letters that Pillow's own font has."""
    return " ".join(text.split()).encode("latin-1", "replace").decode("latin-1")


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()
