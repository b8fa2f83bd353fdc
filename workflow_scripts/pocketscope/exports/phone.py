"""The phone page: a model, its runtime and a camera button in one HTML file that needs no server and no network."""

import argparse
import base64
import gzip
import hashlib
import html
import json
import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from pocketscope.core.errors import InputError
from pocketscope.core.files import whole, write_text
from pocketscope.deploy import answers_page
from pocketscope.exports import onnxruntime_web, self_test
from pocketscope.exports.pictures import png
from pocketscope.exports.ship_folder import ShipFolder
from pocketscope.images import decode
from pocketscope.images.files import images_in, read_file
from pocketscope.images.pixels import Unreadable
from pocketscope.inference.onnx_model import Shipped
from pocketscope.version import VERSION

PARTS = Path(__file__).parent / "phone_page"
EXAMPLES = 3  # images that are shown of a class
ICONS = (192, 512)
COLOUR = "#0b6e69"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the phone page."""
    parser.add_argument("--title", help="the page's heading (default: the data set's name)")
    parser.add_argument(
        "--include-images",
        type=Path,
        metavar="FOLDER",
        help=f"show {EXAMPLES} images of each class, from the folders named after the classes in FOLDER; whoever gets "
        "the page gets these images (default: no image of yours is in the page)",
    )
    parser.add_argument(
        "--images-licence", metavar="TEXT", help="the licence of these images (default: what the model file says)"
    )
    parser.add_argument(
        "--runtime",
        type=Path,
        metavar="TGZ",
        help=f"{onnxruntime_web.PACKAGE}-{onnxruntime_web.VERSION}.tgz, where npm cannot fetch it",
    )


def export(ship: ShipFolder, out: Path, options: argparse.Namespace) -> list[Path]:
    """Write `phone.html`, and the folder `app`, the same page to be installed from a static server.

    Parameters
    ----------
    ship, out
        See `kinds.export`.
    options
        What `add_arguments` declares.

    Returns
    -------
    list of pathlib.Path
        `phone.html`, and the page in `app`.

    Raises
    ------
    pocketscope.core.errors.InputError
        There is no usable model, no runtime (see `onnxruntime_web.files`), or no image of any class.
    """
    precision, path, model = ship.model(options.precision)
    runtime = onnxruntime_web.files(options.runtime)
    title = options.title or str(model.about.get("dataset") or ship.name)
    facts = _facts(model, precision)
    if options.include_images:
        facts["examples"] = _examples(options.include_images, model)
        licence = options.images_licence or model.about.get("data_licence") or "not stated"
        facts["about"]["pictures"] = licence
        shown = sum(map(len, facts["examples"].values()))
        print(
            f"warning: the page holds {shown} images of {options.include_images}, which all who get it can see and "
            f"copy; their licence: {licence}",
            file=sys.stderr,
        )
    parts = {
        "runtime": _packed(runtime[onnxruntime_web.SCRIPT]),
        "wasm": _packed(runtime[onnxruntime_web.BINARY]),
        "model": _packed(path.read_bytes()),
    }
    alone = _page(title, facts | {"installable": False}, parts, "", '<link rel="icon" href="data:,">')
    head = '<link rel="manifest" href="manifest.webmanifest"><link rel="icon" href="icon-192.png">'
    head += '<link rel="apple-touch-icon" href="icon-192.png">'
    policy = "; manifest-src 'self'; worker-src 'self'; img-src 'self' data: blob:"
    served = _page(title, facts | {"installable": True}, parts, policy, head)
    write_text(out / "phone.html", alone)
    _write_app(out / "app", title, served)
    return [out / "phone.html", out / "app" / "index.html"]


def _facts(model: Shipped, precision: str) -> dict[str, Any]:
    """Return what the page knows of the model, ready for JSON."""
    bound, about = self_test.BOUNDS[precision], model.about
    probability = model.reliable_from
    never = probability is not None and math.isinf(probability)
    learnt = about.get("learnt", {})
    rows = {
        "model": f"{about.get('network', '?')}, {precision}, {model.image_size} px",
        "learnt": sum(sum(counts.values()) for counts in learnt.values()) or None,
        "known": about.get("known"),
        "threshold": None if probability is None else "never" if never else f"{100 * probability:.1f} %",
        "licence": about.get("licence"),
        "runtime": f"{onnxruntime_web.PACKAGE} {onnxruntime_web.VERSION} ({onnxruntime_web.LICENCE}), "
        f"pocketscope {VERSION}",
    }
    return {
        "classes": list(model.classes),
        "size": model.image_size,
        "resize": model.resize,
        "temperature": model.temperature,
        "reliable_from": "never" if never else probability,
        "familiar": about.get("learnt_images"),
        "bound": bound,
        "samples": [
            {"png": _base64(sample.png), "probabilities": [round(float(p), 7) for p in sample.probabilities]}
            for sample in self_test.samples(model, bound)
        ],
        "examples": {},
        "about": {name: str(value) for name, value in rows.items() if value},
    }


def _examples(folder: Path, model: Shipped) -> dict[int, list[str]]:
    """Return small copies of a few images of each class, by the class's place, as data URIs without metadata."""
    if not folder.is_dir():
        raise InputError(f"--include-images {folder}: there is no such folder")
    found, folders = {}, {path.name: path for path in folder.iterdir() if path.is_dir()}
    for place, name in enumerate(model.classes):
        if name not in folders:  # looked up, and never joined to a path: a class may be called anything, `..` too
            continue
        shown = []
        for path in images_in(str(folders[name])):
            try:
                image = decode.decode(read_file(path), page=model.page)
            except (Unreadable, OSError, ImportError):
                continue
            shown.append(f"data:image/webp;base64,{_base64(answers_page.thumbnail(image))}")
            if len(shown) == EXAMPLES:
                break
        if shown:
            found[place] = shown
    if not found:
        raise InputError(
            f"--include-images {folder}: there is no folder with an image named after a class; the classes are "
            f"{', '.join(model.classes[:10])}"
        )
    return found


def _page(title: str, facts: Mapping[str, Any], packed: Mapping[str, str], policy: str, head: str) -> str:
    text = {name: (PARTS / name).read_text(encoding="utf-8") for name in ("style.css", "pixels.js", "app.js")}
    words = json.loads((PARTS / "words.json").read_text(encoding="utf-8"))
    # One directive of a name counts, the first: where images of the server are allowed, this one is all there is.
    template = (PARTS / "page.html").read_text(encoding="utf-8")
    if "img-src" in policy:
        template = template.replace(" img-src data: blob:;", "")
    return _filled(
        template,
        {
            "version": html.escape(VERSION),
            "title": html.escape(title.encode("utf-8", "replace").decode(), quote=True),
            "policy": policy,
            "head": head,
            "style": text["style.css"].rstrip(),
            "facts": _json(facts),
            "words": _json(words),
            "pixels": text["pixels.js"].rstrip(),
            "app": text["app.js"].rstrip(),
            **packed,
        },
    )


def _filled(template: str, parts: Mapping[str, str]) -> str:
    """Put each part in the place of `[[name]]`; what a part holds itself is left as it is."""
    return re.sub(r"\[\[(\w+)\]\]", lambda mark: parts[mark[1]], template)


def _write_app(folder: Path, title: str, page: str) -> None:
    write_text(folder / "index.html", page)
    manifest = {
        "name": title,
        "short_name": title[:12],
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "background_color": "#ffffff",
        "theme_color": COLOUR,
        "icons": [
            {"src": f"icon-{side}.png", "sizes": f"{side}x{side}", "type": "image/png", "purpose": "any maskable"}
            for side in ICONS
        ],
    }
    write_text(folder / "manifest.webmanifest", json.dumps(manifest, ensure_ascii=False, indent=2) + "\n")
    digest = hashlib.sha256(page.encode()).hexdigest()[:16]
    write_text(folder / "sw.js", _filled((PARTS / "sw.js").read_text(encoding="utf-8"), {"digest": digest}))
    for side in ICONS:
        with whole(folder / f"icon-{side}.png") as temporary:
            temporary.write_bytes(_icon(side))


def _icon(side: int) -> bytes:
    """Return the icon, a lens, as PNG; what matters lies in the middle, because systems cut icons to shapes."""
    big = Image.new("RGB", (4 * side, 4 * side), COLOUR)
    draw, unit = ImageDraw.Draw(big), 4 * side / 32
    lens = np.array([9, 9, 19, 19]) * unit
    draw.line([18.2 * unit, 18.2 * unit, 23 * unit, 23 * unit], fill="white", width=round(3 * unit))
    draw.ellipse([22 * unit - unit * 0.5, 22 * unit - unit * 0.5, 24.5 * unit, 24.5 * unit], fill="white")
    draw.ellipse(lens.tolist(), outline="white", width=round(2.2 * unit))
    draw.ellipse([12.2 * unit, 12.2 * unit, 15.8 * unit, 15.8 * unit], fill="white")
    return png(big.resize((side, side), Image.Resampling.LANCZOS))


def _packed(content: bytes) -> str:
    return _base64(gzip.compress(content, 9, mtime=0))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _json(value: Any) -> str:
    """Return JSON that can stand inside a `script` element, whatever its strings hold."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False).replace("<", "\\u003c")
