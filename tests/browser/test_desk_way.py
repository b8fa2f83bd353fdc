"""The whole way in a real browser: exam, labels, suggestions, a study, its answers, what is taken away."""

import csv
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from test_desk import CHECKOUT, Desk

KINDS = ("round", "striped")


def drawn(kind, seed):
    """Return an image that any network can tell from the other kind."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32] - rng.integers(12, 20, 2)[:, None, None]
    shape = x**2 + y**2 < 80 if kind == "round" else (x + y) // 4 % 2 == 0
    pixels = 90 + 90 * shape[..., None] + rng.normal(0, 20, (32, 32, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def desk(browser, tmp_path_factory):
    top = tmp_path_factory.mktemp("way")
    folder = top / "images"
    folder.mkdir()
    for number in range(90):
        drawn(KINDS[number % 2], number).save(folder / f"{number:02d} {KINDS[number % 2]}.png")
    made = Desk(browser, folder, top / "projects")
    yield made
    made.stop()


def button(desk, text):
    found = [one for one in desk.find("button") if one.text.strip().startswith(text)]
    assert found, f"no button {text!r} among {[one.text for one in desk.find('button')]}"
    return found[0]


def shown(desk):
    return desk.browser.find_element(By.TAG_NAME, "body").text


def label_by_keyboard(desk, images, go_on=False):
    """Label what is shown, from the first image on or where it was left: one key an image; return the labels given."""
    if not go_on:
        desk.cells()[0].click()
    given = []
    for _ in range(images):
        chosen = desk.find(".cell.chosen")[0]
        before = chosen.get_attribute("data-number")
        given.append(chosen.get_attribute("title")[3:-4])
        desk.press(str(1 + KINDS.index(given[-1])))
        label = f"[data-number='{before}'].labelled"
        desk.until(lambda label=label: desk.find(label), "the label")
    desk.confirmed()
    return given


def test_an_exam_is_drawn_and_labelled_blind(desk):
    for name in KINDS:
        desk.add(name)
    button(desk, "Draw the exam").click()
    desk.until(lambda: "0 of 30 exam images labelled" in shown(desk), "the exam")
    button(desk, "Label them").click()
    desk.until(lambda: "30 shown\n1 selected" in shown(desk), "the exam images, the first of them selected")
    label_by_keyboard(desk, 30)
    desk.until(lambda: "30 of 30 exam images labelled" in shown(desk), "the count")


def test_suggestions_come_and_guesses_follow_the_labels(desk):
    button(desk, "Prepare suggestions").click()
    desk.until(lambda: "Most useful first" in shown(desk), "features", 600)
    button(desk, "Most useful first").click()
    desk.until(lambda: "60 shown" in shown(desk), "images to label")
    given = label_by_keyboard(desk, 12)
    while min(map(given.count, KINDS)) < 3:  # which images come first depends on where the folder lies
        given += label_by_keyboard(desk, 3, go_on=True)
    desk.until(lambda: len(desk.find(".caption .guess")) > 5, "guesses", 240)
    guesses = [cell for cell in desk.cells() if cell.find_elements(By.CSS_SELECTOR, ".guess")]
    right = [cell.get_attribute("title")[3:-4] in cell.find_element(By.CSS_SELECTOR, ".guess").text for cell in guesses]
    assert np.mean(right) > 0.8
    button(desk, "Find out").click()
    desk.until(lambda: desk.find(".curve"), "the learning curve", 600)
    assert "more per category" in shown(desk)


def test_a_study_runs_is_followed_and_gives_answers(desk):
    button(desk, "Train").click()
    desk.find(".card input")[0].click()
    desk.browser.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
    size = desk.browser.find_element(By.CSS_SELECTOR, ".line select")
    size.send_keys("64")
    desk.until(lambda: "image_size: 64" in shown(desk), "the configuration")
    assert "unlabelled:" in shown(desk)
    button(desk, "Start").click()
    desk.until(lambda: "jobs done" in shown(desk), "the first word of the run", 300)
    desk.until(lambda: "The study is done" in shown(desk), "the study's end", 1500)
    button(desk, "Results").click()
    desk.until(lambda: "model.int8.onnx" in shown(desk), "the files")
    assert "test images" in shown(desk)


def test_answers_are_shown_most_doubtful_first(desk):
    desk.until(lambda: "Look at the answers" in shown(desk), "the answers to be read", 120)
    button(desk, "Look at the answers").click()
    desk.until(lambda: len(desk.find(".caption .guess")) > 10, "the answers")
    shares = [int(one.text.split()[-2]) for one in desk.find(".caption .guess")]
    assert shares == sorted(shares)


def test_the_images_behind_a_number_of_the_confusion_matrix_are_shown(desk):
    button(desk, "Results").click()
    desk.until(lambda: desk.find(".matrix .right button"), "the confusion matrix")
    counts = [int(one.text) for one in desk.find(".matrix td.right button, .matrix td.wrong button")]
    assert sum(counts) == 30  # the exam
    cell = desk.find(".matrix .right button")[0]
    count = cell.text
    cell.click()
    desk.until(lambda: f"{count} shown" in shown(desk), "the images of the cell")
    assert "round, answered round" in shown(desk)
    assert all("round" in one.get_attribute("title") for one in desk.cells())
    assert all("→" in one for one in desk.captions())
    desk.browser.back()
    desk.until(lambda: desk.find(".matrix"), "the results")
    desk.browser.forward()
    desk.until(lambda: f"{count} shown" in shown(desk), "the images of the cell again")
    button(desk, "Back to the results").click()
    desk.until(lambda: desk.find(".matrix"), "the results")


def test_what_is_taken_away_answers_as_the_desk_does(desk, downloads):
    button(desk, "Results").click()
    desk.until(lambda: "model.fp32.onnx" in shown(desk), "the files")
    for name in ("model.fp32.onnx", "answers.csv"):
        next(link for link in desk.find(".take a") if link.text == name).click()
        end = time.monotonic() + 30
        while not (downloads / name).is_file() and time.monotonic() < end:
            time.sleep(0.1)
    out = downloads / "classified.csv"
    command = [sys.executable, "-m", "pocketscope", "classify", str(downloads / "model.fp32.onnx"), str(desk.folder)]
    subprocess.run([*command, "--csv", str(out)], check=True, cwd=CHECKOUT / "workflow_scripts")

    def rows(path):
        with path.open(encoding="utf-8-sig", newline="") as file:
            return {row["path"]: (row["class"], float(row["probability"])) for row in csv.DictReader(file)}

    answers, classified = rows(downloads / "answers.csv"), rows(out)
    assert len(answers) == 90  # labelled images stay among the answers, with what was said of them
    for path, (name, probability) in answers.items():
        assert classified[path][0] == name
        assert classified[path][1] == pytest.approx(probability, abs=0.02)
