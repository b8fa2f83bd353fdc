"""How many keys and clicks it takes to label 100 images of five classes in the desk, with suggestions.

    python benchmarks/desk_keys.py --data ../shared/data --work /tmp/desk-keys

Headless Chromium plays a person who knows what is on each image: the exam first, then 100 images, one by one or many at
once. Keys, clicks and held Shift or Ctrl keys count one each.
"""

import argparse
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

ROOT = Path(__file__).parents[1]
SETS = {
    "bccd": ["Basophil", "Eosinophil", "Lymphocyte", "Monocyte", "Neutrophil"],
    "cellcycle": ["G1", "G2", "Metaphase", "Prophase", "S_phase"],
    "signdigits": ["0", "1", "2", "3", "4"],
}
PER_CLASS = 100  # images of a class at most
WANTED = 100  # labels
AT_ONCE = 12  # labels between two new lists
PATIENCE = 900  # seconds


def main() -> None:
    """Play each way on each set; print a table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "pocketscope-desk-keys")
    options = parser.parse_args()
    found = {}
    for name in options.sets:
        found[name] = of_set(options.data.resolve() / name, SETS[name], options.work)
        print(name, found[name], flush=True)
    print("| set | exam: images | presses per image | one by one | many at once |\n| --- | --- | --- | --- | --- |")
    for name, line in found.items():
        print(f"| {name} | {line['exam_images']} |", *(f"{line[k]:.2f} |" for k in ("exam", "one_by_one", "at_once")))
    print(json.dumps({key: {name: line[key] for name, line in found.items()} for key in found[options.sets[0]]}))


def of_set(source: Path, classes: list[str], work: Path) -> dict[str, float]:
    """Return presses per image of a set: of the exam, one by one, and many at once."""
    folder, first = work / source.name / "images", work / source.name / "first"
    shutil.rmtree(work / source.name, ignore_errors=True)
    truth = hidden(source, classes, folder)
    with Person(folder, first, truth) as person:
        person.name_categories(classes)
        person.draw_exam()
        line = {"exam_images": person.exam, "exam": person.label_exam()}
        person.prepare()
    second = work / source.name / "second"
    shutil.copytree(first, second)
    for key, projects in (("one_by_one", first), ("at_once", second)):
        with Person(folder, projects, truth) as person:
            person.exam = line["exam_images"]
            line[key] = getattr(person, key)()
    return line


def hidden(source: Path, classes: list[str], folder: Path) -> dict[str, str]:
    """Copy images of some classes in a random order, under names that tell nothing; return the class of each name."""
    rng, chosen = random.Random(0), []
    for name in classes:
        paths = sorted((source / name).iterdir())
        chosen += [(path, name) for path in rng.sample(paths, min(PER_CLASS, len(paths)))]
    rng.shuffle(chosen)
    folder.mkdir(parents=True)
    for number, (path, _) in enumerate(chosen):
        shutil.copy(path, folder / f"{number:04d}{path.suffix}")
    return {f"{number:04d}{path.suffix}": name for number, (path, name) in enumerate(chosen)}


class Person:
    """Somebody before the page who knows every answer, and how often he pressed something."""

    def __init__(self, folder: Path, projects: Path, truth: dict[str, str]) -> None:
        command = [sys.executable, "-m", "pocketscope", "open", str(folder), "--no-browser", "--who", "ada"]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow_scripts")}
        self.truth, self.presses, self.exam = truth, 0, 0
        self.server = subprocess.Popen(
            [*command, "--projects", str(projects)], stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )
        address = [self.server.stdout.readline() for _ in range(3)][2].split()[1]
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
        for argument in ("--headless=new", "--disable-gpu", "--no-sandbox", "--disable-dev-shm-usage"):
            options.add_argument(argument)
        service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
        self.browser = webdriver.Chrome(options, service)
        self.browser.set_window_size(1280, 900)
        self.browser.get(address)
        self.until(lambda: len(self.cells()) > 5)
        for skip in self.find(".tour button")[:1]:
            self.click(skip)

    def __enter__(self) -> "Person":
        return self

    def __exit__(self, *_: object) -> None:
        self.browser.quit()
        self.server.terminate()
        self.server.wait(30)

    # ---- hands and eyes

    def keys(self, *keys: str) -> None:
        """Press keys, one after the other."""
        self.presses += len(keys)
        for key in keys:
            ActionChains(self.browser).send_keys(key).perform()

    def click(self, element, held: str | None = None) -> None:
        """Click, with Shift or Ctrl held where that is said."""
        self.presses += 1 + (held is not None)
        actions = ActionChains(self.browser)
        if held:
            actions.key_down(held)
        actions.click(element)
        if held:
            actions.key_up(held)
        actions.perform()

    def button(self, text: str):
        """Return the button that begins with a text."""
        return next(one for one in self.find("button") if one.text.strip().startswith(text))

    def find(self, selector: str) -> list:
        """Return what is on the page."""
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def cells(self) -> list:
        """Return the images that are wholly in sight."""
        return self.browser.execute_script(
            "const box = document.querySelector('.grid')?.getBoundingClientRect();"
            "return box ? [...document.querySelectorAll('.cell')].filter((one) => {"
            "const own = one.getBoundingClientRect(); return own.top >= box.top && own.bottom <= box.bottom + 4; })"
            " : []"
        )

    def labelled(self) -> int:
        """Return how many images the page says are labelled, the exam's included."""
        return int(self.find(".numbers b")[0].text.replace(",", ""))

    def category(self, cell) -> str:
        """Return what is on an image."""
        return self.truth[cell.get_attribute("title")]

    def until(self, true, seconds: float = 60) -> None:
        """Wait."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if true():
                    return
            except Exception:  # drawn anew meanwhile
                pass
            time.sleep(0.05)
        raise TimeoutError("the page did not do what a person would wait for")

    def saved(self) -> None:
        """Wait until nothing is on its way, and the guesses have followed."""
        self.until(lambda: not self.find(".cell.pending"))
        time.sleep(2.5)

    # ---- what a person does

    def name_categories(self, classes: list[str]) -> None:
        """Add the categories; what is typed for that is not counted."""
        for name in classes:
            field = self.find(".add input")[0]
            field.send_keys(name, Keys.ENTER)
            self.until(lambda name=name: name in [one.text for one in self.find(".categories li:not(.clear) .name")])
        self.browser.execute_script("document.activeElement.blur()")

    def draw_exam(self) -> None:
        """Have the exam drawn."""
        self.click(self.button("Draw the exam"))
        self.until(lambda: "exam images labelled" in self.find("aside")[0].text, PATIENCE)
        self.exam = int(re.search(r"of ([0-9]+) exam images", self.find("aside")[0].text)[1])

    def label_exam(self) -> float:
        """Label all exam images, blind; return presses per image."""
        before = self.presses
        self.click(self.button("Label them"))
        self.until(lambda: self.cells())
        self.click(self.cells()[0])
        while self.labelled() < self.exam:
            self.label_chosen()
        self.saved()
        return (self.presses - before) / self.exam

    def prepare(self) -> None:
        """Let suggestions be prepared."""
        self.click(self.button("Prepare suggestions"))
        self.until(lambda: self.button("Most useful first"), PATIENCE)

    def label_chosen(self) -> None:
        """Press the key of the image that is chosen; the next one is chosen then."""
        chosen = self.find(".cell.chosen")[0]
        number = chosen.get_attribute("data-number")
        name = self.category(chosen)
        names = [one.text for one in self.find(".categories li:not(.clear) .name")]
        self.keys(self.find(".categories .use kbd")[names.index(name)].text.lower())
        self.until(lambda: self.find(f"[data-number='{number}'].labelled, .grid:not(:has([data-number='{number}']))"))

    def begin(self) -> int:
        """Show the most useful images, and choose the first; return how many are labelled."""
        self.until(lambda: self.labelled() >= self.exam and self.button("Most useful first"), PATIENCE)
        self.click(self.button("Most useful first"))
        self.until(lambda: self.cells())
        self.click(self.cells()[0])
        return self.labelled()

    def one_by_one(self) -> float:
        """Label what is asked for first, a key an image, with a new list after each dozen; return presses per image."""
        before = self.begin()
        while (done := self.labelled() - before) < WANTED:
            for _ in range(min(AT_ONCE, WANTED - done)):
                self.label_chosen()
            self.saved()
            self.keys("l")
            self.until(lambda: self.find(".cell.chosen"))
        return self.presses / (self.labelled() - before)

    def at_once(self) -> float:
        """Label two dozen one by one, then look through screens of guesses: label what is wrong, accept the rest."""
        before = self.begin()
        for dozen in range(2):
            for _ in range(AT_ONCE):
                self.label_chosen()
            self.saved()
            if not dozen:
                self.keys("l")
                self.until(lambda: self.find(".cell.chosen"))
        names = [one.text for one in self.find(".categories li:not(.clear) .name")]
        in_vain = 0
        for name in itertools.cycle(names):
            if self.labelled() - before >= WANTED or in_vain == len(names):
                break
            in_vain = 0 if self.accept_guesses(name, before) else in_vain + 1
        if (left := WANTED - (self.labelled() - before)) > 0:
            self.begin()
            for _ in range(left):
                self.label_chosen()
        return self.presses / (self.labelled() - before)

    def accept_guesses(self, name: str, before: int) -> int:
        """Look through the guesses of a category, a screen at a time, while most are right; return how many screens."""
        offered = [one for one in self.find(".guesses") if one.text.rpartition(" ")[0].strip() == name]
        if not offered:
            return 0
        self.click(offered[0])
        screens = 0
        while self.labelled() - before < WANTED:
            time.sleep(0.5)
            cells = self.cells()
            wrong = [cell for cell in cells if self.category(cell) != name]
            if len(cells) - len(wrong) < 3 or len(wrong) > len(cells) / 2:
                break  # not worth it
            numbers = [cell.get_attribute("data-number") for cell in wrong]
            wanted = self.labelled() + len(cells)
            for number in numbers:
                self.click(self.find(f"[data-number='{number}']")[0])
                self.label_chosen()
            self.click(self.button("Label all others in sight"))
            self.until(lambda wanted=wanted: self.labelled() >= wanted)
            self.saved()
            screens += 1
        return screens


if __name__ == "__main__":
    main()
