"""How right the answers for unlabelled images are: a part of a labelled set is hidden, and answered by what ships.

    python benchmarks/answers.py FOLDER [--hide 0.4] [--image-size 64] [--steps 100] [--no-flips]
                                 [--evaluation crossvalidation] [--correct 20] [--mixed] [--work DIR]

FOLDER has one sub-folder a class. A share of each class is laid, by links, into a folder without labels; the rest is
what the study knows. `snakemake ship` compares labelled images alone with two teachers, in fp32 and int8, and ships the
recommended row; its answers are compared with the truth that was withheld. With `--correct N` the N least probable
answers are then given back with their true labels, and those of the others are compared again. With `--mixed` the
files are no links but what lies on a laboratory's disk: each image in another format, some of 16 bits, turned by EXIF
or named with quotes and dollar signs, and among them files that are empty, cut short, animated, or no images at all.
"""

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
import yaml
from PIL import Image, ImageOps
from sklearn.metrics import f1_score

from image_files import animated, dicom, png_header, saved, tiff

ROOT = Path(__file__).parents[1]
VIEWS = ["identity", "horizontal_flip", "vertical_flip", "both_flips", "box_blur", "gaussian_blur", "gamma"]

# By the file's ending: colours are kept in all of them, up to what compression loses.
FORMS: dict[str, Callable[[np.ndarray], bytes]] = {
    ".png": lambda pixels: saved(pixels, "PNG"),
    ".jpg": lambda pixels: saved(pixels, "JPEG", quality=95),
    ".JPEG": lambda pixels: saved(np.rot90(pixels).copy(), "JPEG", quality=95, exif=turned()),
    ".tif": lambda pixels: tiff(pixels, photometric="rgb", compression="lzw"),
    " 16 bit.tiff": lambda pixels: tiff(pixels.astype(np.uint16) * 257, photometric="rgb"),
    ".bmp": lambda pixels: saved(pixels, "BMP"),
    ".webp": lambda pixels: saved(pixels, "WEBP", lossless=True),
    " palette.png": lambda pixels: saved(Image.fromarray(pixels).quantize(256), "PNG"),
    " alpha.png": lambda pixels: saved(Image.fromarray(pixels).convert("RGBA"), "PNG"),
    " cmyk.jpg": lambda pixels: saved(Image.fromarray(pixels).convert("CMYK"), "JPEG", quality=95),
    ".dcm": dicom,
    "": lambda pixels: saved(pixels, "PNG"),
}
NAMES = ["{}", "it's {}", '"{}"', "${}", "{} zellfärbung 細胞", "{} <b>"]


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="one sub-folder a class")
    parser.add_argument("--hide", type=float, default=0.4, help="share of each class without labels")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--no-flips", action="store_true", help="a mirrored image is of no class")
    parser.add_argument("--evaluation", choices=["holdout", "crossvalidation"], default="holdout")
    parser.add_argument("--correct", type=int, default=0, help="how many answers to give back")
    parser.add_argument("--mixed", action="store_true", help="all formats, odd names, and faulty files among them")
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--work", type=Path, help="where to work; a temporary folder where none is named")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = (options.work or Path(temporary)).resolve()
        truth = hide(options.folder, work, options.hide, mixed=options.mixed)
        rounds = [ship(work, truth, options)]
        if options.correct:
            back = correct(work, truth, options.correct)
            rounds.append(ship(work, truth, options, leave_out=back, labels="back.csv"))
    print(json.dumps({"set": options.folder.name, "image_size": options.image_size, "rounds": rounds}))


def hide(folder: Path, work: Path, share: float, *, mixed: bool) -> dict[str, str]:
    """Lay the images into `work`; return the class of each that is hidden, by its path in the answers."""
    truth = {}
    for of_class in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(path for path in of_class.iterdir() if path.is_file())
        random.Random(0).shuffle(files)
        hidden = round(len(files) * share)
        for index, file in enumerate(files):
            name = f"new/{of_class.name}-{file.name}" if index < hidden else f"known/{of_class.name}/{file.name}"
            path = work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if mixed:
                path = mix(path, file, index)
            elif not path.exists():
                path.symlink_to(file.resolve())
            if index < hidden:
                truth[str(path)] = of_class.name
        if mixed:
            spoil(work / "known" / of_class.name)
    return truth


def mix(path: Path, file: Path, index: int) -> Path:
    """Write an image in one of the formats, under a name of one of the kinds."""
    ending, form = list(FORMS.items())[index % len(FORMS)]
    path = path.with_name(NAMES[index % len(NAMES)].format(path.stem) + ending)
    with Image.open(file) as image:
        path.write_bytes(form(np.asarray(ImageOps.exif_transpose(image).convert("RGB"))))
    return path


def spoil(folder: Path) -> None:
    """Write files that cannot be used."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    faulty = {
        "empty.png": b"",
        "cut.jpg": saved(noise, "JPEG")[:-300],
        "text.png": b"not an image",
        "bomb.png": png_header(60_000, 60_000),
        "film.gif": animated(noise, "GIF"),
        "Thumbs.db": b"x",
    }
    for name, content in faulty.items():
        (folder / name).write_bytes(content)


def turned() -> Image.Exif:
    """Return the orientation of an image that is to be turned by 90 degrees, clockwise."""
    exif = Image.Exif()
    exif[274] = 6
    return exif


def ship(
    work: Path, truth: dict[str, str], options: argparse.Namespace, *, leave_out: set[str] = frozenset(), **dataset: Any
) -> dict[str, Any]:
    """Run the workflow and compare its answers with the truth, those of `leave_out` left out."""
    source = {"kind": "folder", "path": str(work / "known"), "unlabelled": str(work / "new")}
    dataset = {name: str(work / value) for name, value in dataset.items()}
    dataset |= {"source": source, "image_size": options.image_size}
    config = {
        "study": "answers",
        "datasets": {"set": dataset | ({"symmetries": []} if options.no_flips else {})},
        "split": {"labelled": ["all"], "evaluation": options.evaluation},
        "methods": {
            "supervised": {"labels": "human"},
            "model_data": {"teachers": ["efficientnet_lite0", "efficientnet_lite1"], "views": VIEWS},
        },
        "students": {"efficientnet_lite0": ["fp32", "int8"]},
        "training": {"steps": options.steps},
    }
    path = work / "config.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "ship", "--configfile", str(path), "--cores", str(options.cores)]
    started = time.perf_counter()
    subprocess.run([*command, "--directory", str(work / "results"), "--quiet"], cwd=ROOT, check=True)
    seconds = time.perf_counter() - started
    rows = [row for row in answers(work) if not row["said"] and row["path"] not in leave_out]
    right = [row["class"] == truth[row["path"]] for row in rows]
    sure = [row["reliable"] == "yes" for row in rows]
    page = (work / "results/answers/ship/set/README.md").read_text(encoding="utf-8")
    return {
        "seconds": round(seconds),
        "shipped": page.splitlines()[2],
        "study_f1": float(page.split("\nF1 ")[1].split()[0]),
        "answered": len(rows),
        "right": round(100 * sum(right) / len(right), 1),
        "macro_f1": round(
            100 * f1_score([truth[row["path"]] for row in rows], [row["class"] for row in rows], average="macro"), 1
        ),
        "sure": sum(sure),
        "sure_and_right": sum(a and b for a, b in zip(sure, right, strict=True)),
    }


def correct(work: Path, truth: dict[str, str], count: int) -> set[str]:
    """Give the least probable answers back with their true labels; return their paths."""
    rows = answers(work)[:count]
    with (work / "back.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label"])
        table.writerows([row["path"], truth[row["path"]]] for row in rows)
    return {row["path"] for row in rows}


def answers(work: Path) -> list[dict[str, str]]:
    """Read the table of answers, the least probable first."""
    with (work / "results/answers/ship/set/answers.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
