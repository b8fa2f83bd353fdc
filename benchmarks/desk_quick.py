"""How long a quick look takes: from the press of Start to answers, and where its seconds go.

    python benchmarks/desk_quick.py --data ../shared/data/beepollen --work /tmp/desk-quick

The desk's own code writes the configuration and starts the workflow; no browser is needed. `--checkout` names another
checkout, to compare two versions in turn.
"""

import argparse
import csv
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
LABELLED = 40  # images to learn from; those of the exam come on top


def main() -> None:
    """Time quick looks at fresh projects; print a table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data/beepollen")
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--checkout", type=Path, nargs="+", default=[ROOT])
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "pocketscope-desk-quick")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(look(options.one, options.data.resolve(), options.size)))
        return
    options.work.mkdir(parents=True, exist_ok=True)
    truth = chosen(options.data.resolve(), options.images, options.work / "images")
    (options.work / "truth.json").write_text(json.dumps(truth))
    found: dict[str, list[dict]] = {}
    for turn in range(options.repeats):
        for checkout in options.checkout:
            command = [sys.executable, __file__, "--one", str(options.work / f"{checkout.resolve().name}-{turn}")]
            command += ["--data", str(options.work), "--size", str(options.size)]
            environment = os.environ | {"PYTHONPATH": str(checkout.resolve() / "workflow_scripts")}
            ran = subprocess.run(command, env=environment, cwd=checkout, capture_output=True, text=True, check=True)
            line = json.loads(ran.stdout.splitlines()[-1])
            print(checkout.resolve().name, json.dumps(line), flush=True)
            found.setdefault(checkout.resolve().name, []).append(line)
    keys = ("seconds", "processor_s", "estimate_s")
    print("| version | seconds | processor, s | estimate, s | jobs | load |\n| --- | --- | --- | --- | --- | --- |")
    for name, lines in found.items():
        for line in lines:
            print(
                f"| {name} |", *(f"{line[key]} |" for key in ("seconds", "processor_s", "jobs", "estimate_s", "load"))
            )
    keys = ("seconds", "processor_s", "estimate_s")
    print(json.dumps({key: {name: [line[key] for line in lines] for name, lines in found.items()} for key in keys}))


def computed() -> float:
    """Return the seconds of processor time of processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def chosen(source: Path, count: int, folder: Path) -> dict[str, str]:
    """Copy as many images of each class, in a random order; return the class of each name."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    classes = sorted(path for path in source.iterdir() if path.is_dir())
    rng, found = random.Random(0), []
    for place in classes:
        found += rng.sample(sorted(place.iterdir()), count // len(classes))
    rng.shuffle(found)
    for number, path in enumerate(found):
        shutil.copy(path, folder / f"{number:04d}{path.suffix}")
    return {f"{number:04d}{path.suffix}": path.parent.name for number, path in enumerate(found)}


def look(home: Path, work: Path, size: int) -> dict:
    """Draw and label an exam, label some more, and take a quick look; return how long it took."""
    from pocketscope.web import project as projects
    from pocketscope.web import wizard
    from pocketscope.web.desk import Desk
    from pocketscope.web.events import Events

    shutil.rmtree(home, ignore_errors=True)
    truth = json.loads((work / "truth.json").read_text())
    project = projects.open_project(work / "images", home)
    desk = Desk(project, "ada", Events())
    desk.index.scan()
    desk.index.identify_all(lambda _: None)
    desk.listed.set()
    for place, name in enumerate(sorted(set(truth.values()))):
        desk.labels.change(f"request-category-{place}", "add", name=name)
    desk.study.set_exam("request-exam", 0.2, by_folder=False)
    exam = {number for one in desk.labels.exam for number in desk.index.numbers[one]}
    others = [number for number in range(len(truth)) if number not in exam][:LABELLED]
    for number in (*exam, *others):
        desk.labels.label(f"request-label-{number}", [number], truth[desk.index.paths[number]], seen={})
    choice = wizard.Choice(preset="quick", image_size=size)
    estimate = desk.study.estimate(choice)
    while estimate["probing"]:
        time.sleep(0.2)
        estimate = desk.study.estimate(choice)
    load = os.getloadavg()[0]
    began, before = time.monotonic(), computed()
    desk.study.train(choice)
    while desk.study.runs.running:
        time.sleep(0.05)
    seconds = time.monotonic() - began
    spent_here = computed() - before
    if desk.study.runs.now["state"] != "done":
        raise RuntimeError(f"{desk.study.runs.now}")
    spent: Counter[str] = Counter()
    with (project.results / ".snakemake/pocketscope_durations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        spent[row["rule"]] += float(row["seconds"])
    answered = desk.study.results()
    desk.close()
    return {
        "seconds": round(seconds, 1),
        "processor_s": round(spent_here, 1),  # of all processes of the run: says more than seconds on a shared machine
        "jobs": len(rows),
        "estimate_s": estimate["minutes"] and round(60 * estimate["minutes"]),
        "load": round(load, 1),  # processes that wanted to run before it began
        "by_rule": {rule: round(each, 1) for rule, each in spent.most_common()},
        "said": answered["recommendation"] and next(iter(answered["recommendation"]["datasets"].values()))["tested"],
        "answered": answered.get("answered"),
    }


if __name__ == "__main__":
    main()
