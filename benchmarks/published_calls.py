"""The published library's six calls, by its spellings and in its order of arguments, on a slice of real images.

    .venv/bin/python benchmarks/published_calls.py FOLDER --weights WEIGHTS --work WORK

FOLDER has one sub-folder per class. WEIGHTS holds squeezenet1_0.safetensors and mobilenetv2_100.safetensors: where the
hub of a published network's weights cannot be reached, its name is mapped to a file (`networks=`), as is done here.
Each call is timed, and the networks that it trains are counted: calls on the same images share base models.
"""

import argparse
import json
import resource
import shutil
import time
from pathlib import Path

from pocketscope.compat import *  # noqa: F403 - the line that a published script changes

CALLS = {  # as the library's code declares them: transforms third, confidence by its name
    "plainDistillation": ("MobileNet", "SqueezeNet"),
    "dataDistillation": ("MobileNet", "SqueezeNet", ["H Flip", "V Flip", "H+V Flip", "Blurring", "Gamma"]),
    "modelDistillation": (["MobileNet", "SqueezeNet"], "SqueezeNet"),
    "modelDataDistillation": (["MobileNet", "SqueezeNet"], "SqueezeNet", ["H Flip", "V Flip", "Gaussian Blur"]),
    "FixMatch": ("SqueezeNet",),
    "MixMatch": ("SqueezeNet",),
}


def networks(weights: Path) -> dict:
    """Return the networks whose weights come from files."""
    return {
        "squeezenet": {
            "library": "torchvision", "name": "squeezenet1_0", "family": "manual", "licence": "BSD-2-Clause",
            "weights": {"file": str(weights / "squeezenet1_0.safetensors")},
        },
        "mobilenet_v2": {
            "library": "timm", "name": "mobilenetv2_100", "family": "manual", "licence": "Apache-2.0",
            "options": {"pad_type": "same"}, "mean": [0.5] * 3, "std": [0.5] * 3,
            "weights": {"file": str(weights / "mobilenetv2_100.safetensors")},
        },
    }  # fmt: skip


def slice_of(folder: Path, work: Path, train: int, valid: int, others: int) -> tuple[Path, Path]:
    """Copy the first images of each class: train/CLASS, valid/CLASS, and others without their class."""
    labelled, unlabelled = work / "pollen", work / "unlabelled"
    for group in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(group.iterdir())
        for place, file in enumerate(files[: train + valid + others]):
            part = labelled / "train" / group.name if place < train else labelled / "valid" / group.name
            part = part if place < train + valid else unlabelled
            part.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, part / f"{group.name}_{file.name}" if part == unlabelled else part / file.name)
    return labelled, unlabelled


def processor_seconds() -> float:
    """Return the processor time of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Make the slice, make the calls, print what each took and found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--calls", nargs="+", default=list(CALLS), choices=list(CALLS))
    parser.add_argument("--train", type=int, default=12, help="labelled images per class (default: %(default)s)")
    parser.add_argument("--valid", type=int, default=40, help="test images per class (default: %(default)s)")
    parser.add_argument("--others", type=int, default=60, help="unlabelled images per class (default: %(default)s)")
    parser.add_argument("--size", type=int, default=64, help="side of the images, pixels (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=100, help="training steps (default: %(default)s)")
    parser.add_argument("--cores", type=int, default=2)
    parsed = parser.parse_args()
    path, unlabelled = slice_of(parsed.folder, parsed.work, parsed.train, parsed.valid, parsed.others)
    found = []
    for name in parsed.calls:
        trained = set()

        def watch(now, trained=trained):
            trained.update("/".join(job.wildcards.values()) for job in now.running if job.rule.startswith("train"))

        began, used = time.perf_counter(), processor_seconds()
        result = globals()[name](
            *CALLS[name], path, unlabelled, parsed.work / name, size=parsed.size,
            training={"steps": parsed.steps}, networks=networks(parsed.weights), cores=parsed.cores, progress=watch,
        )  # fmt: skip
        took = {"seconds": round(time.perf_counter() - began), "processor_s": round(processor_seconds() - used)}
        scores = result.scores.set_index("method")
        method = result.candidate()["method"]
        row = {key: round(100 * scores.loc[method, key], 1) for key in ("f1", "f1_lower", "f1_upper")}
        row |= {"supervised_f1": round(100 * scores.loc["supervised", "f1"], 1)}
        found.append({"call": name, **took, "trained": sorted(trained), **row})
        print(json.dumps(found[-1]), flush=True)
    print(json.dumps({"calls": found}))


if __name__ == "__main__":
    main()
