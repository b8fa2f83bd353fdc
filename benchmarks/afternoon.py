"""An afternoon with a folder of images: ship, correct ten answers, correct ten more, answer thirty new images.

    python benchmarks/afternoon.py FOLDER [--root CHECKOUT] [--per-class 12] [--new 30] [--most 400] [--image-size 64]
                                   [--steps 60] [--cores 1] [--work DIR]

FOLDER has one sub-folder a class. Some images of each class are known, the others are laid, by links, into a folder
without labels, but for those that come at the end. Each step is what a person does: `snakemake ship`; the least
probable answers given their true labels and handed back; new files in the folder. Wall and processor seconds, the jobs
that ran, and how right the answers are that nobody corrected are told for each. `--root` names the checkout whose
workflow runs, by the Python of its own `.venv` where it has one, so that an older one can be compared: where it has no
command `label`, corrections are named in the configuration, as its documentation says.
"""

import argparse
import csv
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

VIEWS = ["identity", "horizontal_flip", "vertical_flip", "both_flips", "box_blur", "gaussian_blur", "gamma"]
TRAININGS = ("train", "train_consistency")


def main() -> None:
    """Run the afternoon and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="one sub-folder a class")
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1], help="the checkout that runs")
    parser.add_argument("--per-class", type=int, default=12, help="labelled images; of small classes, half")
    parser.add_argument("--correct", type=int, default=10, help="answers that are corrected in each of two rounds")
    parser.add_argument("--new", type=int, default=30, help="images that come at the end")
    parser.add_argument("--most", type=int, default=400, help="images of the set that are used at all")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--work", type=Path, help="where to work; a temporary folder where none is named")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        afternoon = Afternoon((options.work or Path(temporary)).resolve(), options)
        steps = {"first": afternoon.ship()}
        for name in ("corrections", "further_corrections"):
            afternoon.correct()
            steps[name] = afternoon.ship()
        afternoon.bring()
        steps["new_images"] = afternoon.ship()
        lost = afternoon.lost()
    last = steps["new_images"]
    first = steps["first"]["cpu_s"]
    print(
        json.dumps(
            {
                "set": options.folder.name,
                "checkout": afternoon.checkout(),
                "first_cpu_s": first,
                "corrections_cpu_share": round(steps["corrections"]["cpu_s"] / first, 3),
                "further_corrections_cpu_share": round(steps["further_corrections"]["cpu_s"] / first, 3),
                "new_images_wall_s": last["wall_s"],
                "new_images_trainings": last["trainings"],
                "right_share": last["right_share"],
                "sure_share": last["sure_share"],
                "sure_right_share": last["sure_right_share"],
                "labels_lost": lost,
                "steps": steps,
            }
        )
    )


class Afternoon:
    """A folder of images, a study of it, and what a person did.

    Parameters
    ----------
    work
        The folder to work in.
    options
        Of the command line.
    """

    def __init__(self, work: Path, options: argparse.Namespace) -> None:
        self.work, self.options = work, options
        self.truth: dict[str, str] = {}  # by the name of each file that nobody labelled
        self.corrected: dict[str, str] = {}
        self.has_journal = (options.root / "workflow_scripts/pocketscope/cli/label.py").is_file()
        own = options.root.absolute() / ".venv/bin/python"
        self.python = str(own) if own.is_file() else sys.executable
        self.later = self._lay()
        self._configure()

    def checkout(self) -> str | None:
        """Return commit and date of the checkout that runs; None where it is none of git's."""
        told = ["git", "-C", str(self.options.root), "show", "--no-patch", "--format=%h of %cs", "HEAD"]
        done = subprocess.run(told, capture_output=True, text=True, check=False)
        return done.stdout.strip() or None

    def ship(self) -> dict[str, Any]:
        """Run the workflow; return what that took, and how right its answers are."""
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [self.python, "-m", "snakemake", "ship", "--configfile", str(self.work / "config.yaml")]
        command += ["--workflow-profile", "none", "--cores", str(self.options.cores), "--nocolor"]
        command += ["--rerun-triggers", "mtime", "params", "input", "software-env", "--rerun-incomplete"]
        done = subprocess.run(
            [*command, "--directory", str(self.work / "results")],
            cwd=self.options.root,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"POCKETSCOPE_PIN": "yes"},  # as `make ship` does
        )
        if done.returncode:
            raise SystemExit(done.stdout[-2000:] + done.stderr[-6000:])
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        ran = Counter(re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):$", done.stdout + done.stderr, re.MULTILINE))
        found = {
            "wall_s": round(time.perf_counter() - started, 1),
            "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
            "jobs": ran.total(),
            "trainings": sum(ran[rule] for rule in TRAININGS),
        }
        found |= self.judged()
        print(json.dumps(found), file=sys.stderr, flush=True)
        return found

    def judged(self) -> dict[str, Any]:
        """Return how right the answers are that no person corrected."""
        rows = [row for row in self._answers() if Path(row["path"]).name not in self.corrected]
        right = [row["class"] == self.truth[Path(row["path"]).name] for row in rows]
        sure = [row.get("reliable", row.get("sure")) == "yes" for row in rows]  # `sure` until November 2026
        both = sum(a and b for a, b in zip(sure, right, strict=True))
        card = (self.work / "results/afternoon/ship/set/README.md").read_text(encoding="utf-8")
        return {
            "answered": len(rows),
            "right_share": round(sum(right) / len(right), 4),
            "sure_share": round(sum(sure) / len(rows), 4),
            "sure_right_share": round(both / sum(sure), 4) if any(sure) else None,
            "shipped": card.splitlines()[2],
        }

    def correct(self) -> None:
        """Hand the least probable answers back with their true labels."""
        rows = [row for row in self._answers() if Path(row["path"]).name not in self.corrected]
        rows = sorted(rows, key=lambda row: float(row["probability"]))[: self.options.correct]
        self.corrected |= {Path(row["path"]).name: self.truth[Path(row["path"]).name] for row in rows}
        table = self.work / f"round{len(self.corrected)}.csv"
        with table.open("w", encoding="utf-8", newline="") as file:
            written = csv.writer(file)
            written.writerow(["path", "class", "label"])
            written.writerows([row["path"], row["class"], self.truth[Path(row["path"]).name]] for row in rows)
        if not self.has_journal:
            self._configure(corrections=str(table))
            return
        command = [self.python, "-m", "pocketscope", "label", "--configfile", str(self.work / "config.yaml")]
        environment = os.environ | {"PYTHONPATH": str(self.options.root / "workflow_scripts")}
        subprocess.run([*command, "--from", str(table)], cwd=self.options.root, env=environment, check=True)

    def bring(self) -> None:
        """Lay the images that come at the end."""
        for place, file, label in self.later:
            place.symlink_to(file)
            self.truth[place.name] = label

    def lost(self) -> int:
        """Return how many corrections the model that ships did not learn from."""
        (images,) = (self.work / "results/datasets").glob("set-*/images.parquet")
        rows = pq.read_table(images, columns=["image_id", "paths"]).to_pylist()
        identity_of = {Path(path).name: row["image_id"] for row in rows for path in row["paths"]}
        split = pq.read_table(self.work / "results/afternoon/runs/set/ship/split.parquet").to_pylist()
        label_of = {row["image_id"]: row["label"] for row in split}
        return sum(label_of[identity_of[name]] != label for name, label in self.corrected.items())

    def _lay(self) -> list[tuple[Path, Path, str]]:
        """Lay the images by links; return place, file and class of those that come later."""
        drawn = random.Random(0)
        folders = sorted(path for path in self.options.folder.iterdir() if path.is_dir())
        of_class = {folder.name: sorted(path for path in folder.iterdir() if path.is_file()) for folder in folders}
        share = min(1.0, self.options.most / sum(map(len, of_class.values())))
        hidden = []
        for label, files in of_class.items():
            drawn.shuffle(files)
            kept = files[: max(2, round(share * len(files)))]
            known = min(self.options.per_class, (len(kept) + 1) // 2)
            for index, file in enumerate(kept):
                folder = self.work / ("new" if index >= known else f"known/{label}")
                folder.mkdir(parents=True, exist_ok=True)
                place = folder / f"{label}-{file.name}"
                if index < known:
                    place.symlink_to(file.resolve())
                else:
                    hidden.append((place, file.resolve(), label))
        drawn.shuffle(hidden)
        for place, file, label in hidden[self.options.new :]:
            place.symlink_to(file)
            self.truth[place.name] = label
        return hidden[: self.options.new]

    def _configure(self, **dataset: Any) -> None:
        source = {"kind": "folder", "path": str(self.work / "known"), "unlabelled": str(self.work / "new")}
        dataset |= {"source": source, "image_size": self.options.image_size}
        if self.has_journal:
            dataset["labels"] = str(self.work / "labels.sqlite")
        config = {
            "study": "afternoon",
            "datasets": {"set": dataset},
            "split": {"labelled": ["all"]},
            "methods": {
                "supervised": {"labels": "human"},
                "model_data": {"teachers": ["efficientnet_lite0", "efficientnet_lite1"], "views": VIEWS},
            },
            "students": {"efficientnet_lite0": ["fp32", "int8"]},
            "training": {"steps": self.options.steps},
        }
        (self.work / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    def _answers(self) -> list[dict[str, str]]:
        table = self.work / "results/afternoon/ship/set/answers.csv"
        with table.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
