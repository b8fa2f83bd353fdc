"""The desk in a real browser: label by keyboard, mouse and in the zoom, take back, and lose nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from pocketscope.journal.store import Journal

CHECKOUT = Path(__file__).parents[2]
ODD = '<img src=x onerror=alert(1)> "it\'s" שלום 🎉'  # a name is text, never markup


class Desk:
    """A server in a process of its own, and the page."""

    def __init__(self, browser, folder, projects):
        self.browser, self.folder, self.projects = browser, folder, projects
        self.start()
        self.show()

    def start(self):
        command = [sys.executable, "-m", "pocketscope", "open", str(self.folder), "--no-browser"]
        self.process = subprocess.Popen(
            [*command, "--projects", str(self.projects), "--who", "ada"],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(CHECKOUT / "workflow_scripts")},
        )
        said = [self.process.stdout.readline() for _ in range(3)]
        self.address = said[2].split()[1]

    def show(self):
        self.browser.get(self.address)
        self.until(lambda: len(self.cells()) > 5, "the images")
        for button in self.find(".tour button")[:1]:
            button.click()  # Skip

    def stop(self, how=signal.SIGINT):
        self.process.send_signal(how)
        self.process.wait(20)
        self.process.stdout.close()

    def find(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def cells(self):
        return self.find(".cell")

    def until(self, true, what, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if true():
                    return
            except Exception:  # an element that was drawn anew meanwhile
                pass
            time.sleep(0.05)
        raise AssertionError(f"waited in vain for {what}")

    def press(self, *keys):
        actions = ActionChains(self.browser)
        for key in keys:
            actions.send_keys(key)
        actions.perform()

    def captions(self):
        return [cell.find_element(By.CSS_SELECTOR, ".caption").text for cell in self.cells()]

    def add(self, name):
        field = self.find(".add input")[0]
        self.browser.execute_script("arguments[0].focus()", field)
        # Chromium's driver cannot type what lies beyond the basic plane
        self.browser.execute_script("arguments[0].value = arguments[1]", field, name)
        field.send_keys(Keys.ENTER)
        self.until(lambda: name in [one.text for one in self.find(".categories .use .name")], f"category {name}")

    def confirmed(self):
        """Wait until the page shows that nothing is on its way."""
        self.until(lambda: not self.find(".cell.pending, .said.pending"), "all labels to be saved")

    def on_disk(self):
        with Journal(next(self.projects.glob("*/labels.sqlite"))) as journal:
            return {said.path: said.name for said in journal.current() if said.name is not None}


@pytest.fixture(scope="module")
def desk(browser, tmp_path_factory):
    top = tmp_path_factory.mktemp("desk")
    folder = top / "images"
    folder.mkdir()
    for number in range(60):
        pixels = np.random.default_rng(number).integers(0, 255, (32, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"img {number:02d}.png")
    (folder / "broken.png").write_bytes(b"no image")
    made = Desk(browser, folder, top / "projects")
    yield made
    made.stop()
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["broken.png", *(f"img {number:02d}.png" for number in range(60))]
    )


def test_the_tour_has_five_steps_and_comes_back_from_help_alone(desk):
    desk.show()
    assert not desk.find(".tour")  # it was dismissed
    desk.press("?")
    desk.until(lambda: desk.find("dialog.help"), "help")
    next(one for one in desk.find("dialog.help button") if one.text == "Show the tour").click()
    for step in range(1, 6):
        desk.until(lambda step=step: f"{step} of 5" in desk.find(".tour")[0].text, f"step {step}")
        desk.until(lambda: len(desk.find(".toured")) == 1, "what it speaks of")
        desk.find(".tour button.main")[0].click()
    desk.until(lambda: not desk.find(".tour, .toured"), "the end")


def test_categories_are_added_and_names_are_text(desk):
    for name in ("cell", "debris", ODD):
        desk.add(name)
    assert [one.text for one in desk.find(".categories kbd")] == ["1", "2", "3", "0"]
    assert not desk.find(".categories img")


def test_labels_by_keyboard_go_on_to_the_next_image(desk):
    desk.until(lambda: "img 00.png" in desk.cells()[0].get_attribute("title"), "the first image")
    desk.cells()[0].click()
    desk.press("1", "2", "3")
    desk.until(lambda: desk.captions()[:3] == ["cell", "debris", ODD], "three labels")
    desk.confirmed()
    assert desk.on_disk() == {"img 00.png": "cell", "img 01.png": "debris", "img 02.png": ODD}


def test_a_range_and_a_frame_are_selected(desk):
    cells = desk.cells()
    cells[5].click()
    ActionChains(desk.browser).key_down(Keys.SHIFT).click(cells[8]).key_up(Keys.SHIFT).perform()
    assert [cell.get_attribute("aria-selected") for cell in desk.cells()[4:10]] == ["false", *["true"] * 4, "false"]
    cells = desk.cells()
    size = cells[5].size
    actions = ActionChains(desk.browser).move_to_element_with_offset(cells[5], -size["width"] // 3, -20)
    actions.click_and_hold().move_to_element_with_offset(cells[6], size["width"] // 3, 20).release().perform()
    desk.until(lambda: len(desk.find(".cell.chosen")) == 2, "the framed images")
    desk.press("2")
    desk.until(lambda: desk.captions()[5:7] == ["debris", "debris"], "two labels")
    desk.confirmed()
    assert desk.on_disk()["img 06.png"] == "debris"


def test_undo_and_redo_take_back_what_was_done_at_once(desk):
    desk.press("z")
    desk.until(lambda: desk.captions()[5:7] == ["", ""], "both labels to go")
    ActionChains(desk.browser).key_down(Keys.SHIFT).send_keys("z").key_up(Keys.SHIFT).perform()
    desk.until(lambda: desk.captions()[5:7] == ["debris", "debris"], "both labels to come back")
    desk.confirmed()


def look_through_guesses(desk, before):
    """The guesses of one category: what is wrong gets another label, and all others in sight are labelled at once."""
    Select(desk.find(".bar select")[0]).select_by_value("guess:debris")
    desk.until(lambda: len(desk.cells()) == 2, "the guesses of debris")
    desk.cells()[1].click()
    desk.press("1")
    desk.confirmed()
    next(one for one in desk.find(".note button") if one.text == "Label all others in sight debris").click()
    desk.until(lambda: not desk.cells(), "no guess of debris to be left")
    desk.confirmed()
    assert desk.on_disk() == before | {"img 20.png": "debris", "img 22.png": "cell"}
    desk.browser.back()  # out of the guesses
    desk.until(lambda: len(desk.cells()) > 20, "all images")
    for _ in range(2):
        desk.press("z")
    desk.until(lambda: desk.on_disk() == before, "both deeds to be taken back")


def test_guesses_of_several_categories_are_accepted_at_once(desk):
    """One key, one message with all counts, and one Z takes all of it back."""
    before = desk.on_disk()
    desk.browser.execute_async_script(
        "const [guesses, done] = arguments; import('/static/store.js').then(({ state, changed }) => {"
        "const made = new Map(guesses.map(([n, id]) => [n, [id, 0.9]]));"
        "Object.defineProperty(state, 'guess', { get: () => made, set() {}, configurable: true });"
        "changed(); done(); })",
        [[place + 1, "cell" if place == 21 else "debris"] for place in (20, 21, 22)],  # the broken file is number 0
    )
    desk.until(lambda: desk.captions()[20:23] == ["debris? 90 %", "cell? 90 %", "debris? 90 %"], "the guesses")
    cells = desk.cells()
    cells[20].click()
    ActionChains(desk.browser).key_down(Keys.SHIFT).click(cells[22]).key_up(Keys.SHIFT).perform()
    desk.press(Keys.ENTER)
    said = "2 images labelled debris, 1 image labelled cell"
    desk.until(lambda: said in desk.find(".toast")[0].text, "one word on all of them")  # before it fades
    desk.until(lambda: desk.captions()[20:23] == ["debris", "cell", "debris"], "the labels")
    desk.confirmed()
    desk.press("z")
    desk.until(
        lambda: "Taken back: 1 image labelled cell, 2 images labelled debris" in desk.find(".toast")[0].text, "Z"
    )
    assert desk.on_disk() == before
    look_through_guesses(desk, before)
    desk.browser.execute_async_script(
        "const [done] = arguments; import('/static/store.js').then(({ state, suggest }) => {"
        "Object.defineProperty(state, 'guess', { value: new Map(), writable: true }); return suggest(); }).then(done)"
    )
    desk.until(lambda: desk.captions()[20:23] == ["", "", ""], "the guesses to go")


def test_keys_label_in_the_zoom_and_go_on(desk):
    desk.cells()[10].click()
    desk.press(" ")
    desk.until(lambda: desk.find("dialog.zoom .name")[0].text == "img 10.png", "the image, large")
    desk.press("1")
    desk.until(lambda: desk.find("dialog.zoom .name")[0].text == "img 11.png", "the next image")
    desk.press("2")
    desk.until(lambda: desk.find("dialog.zoom .name")[0].text == "img 12.png", "the one after")
    desk.browser.back()
    desk.until(lambda: not desk.find("dialog.zoom"), "the grid")
    desk.confirmed()
    assert {desk.on_disk()[f"img {number}.png"] for number in (10, 11)} == {"cell", "debris"}


def test_a_click_enlarges_about_its_point(desk):
    """What is under the pointer stays there at each step, and a picture that fits the frame is in the middle."""
    desk.cells()[12].click()
    desk.press(" ")
    picture = "const frame = document.querySelector('.zoom .picture'), image = frame.querySelector('img');"
    desk.until(lambda: desk.browser.execute_script(f"{picture} return image.naturalWidth"), "the picture")
    box = desk.browser.execute_script(f"{picture} return frame.getBoundingClientRect().toJSON()")
    fit = min(box["width"] / 40, box["height"] / 32)
    left, top = box["left"] + (box["width"] - 40 * fit) / 2, box["top"] + (box["height"] - 32 * fit) / 2
    x, y = left + 0.55 * 40 * fit, top + 0.6 * 32 * fit
    for step in (2, 4, 8):
        desk.browser.execute_script(
            f"{picture} frame.dispatchEvent(new MouseEvent('click', {{ bubbles: true, clientX: {x}, clientY: {y} }}))"
        )
        desk.until(lambda step=step: desk.find(f".picture.step{step}"), f"step {step}")
        at = desk.browser.execute_script(f"{picture} return image.getBoundingClientRect().toJSON()")
        assert at["width"] == pytest.approx(40 * fit * step, abs=1)
        assert (x - at["left"]) / at["width"] == pytest.approx(0.55, abs=0.01)
        assert (y - at["top"]) / at["height"] == pytest.approx(0.6, abs=0.01)
    desk.press(" ")
    desk.until(lambda: not desk.find("dialog.zoom"), "the grid")


def test_a_double_click_on_a_category_labels_one_image(desk):
    before = desk.on_disk()
    desk.cells()[24].click()
    ActionChains(desk.browser).double_click(desk.find(".categories .use")[0]).perform()
    desk.until(lambda: desk.captions()[24] == "cell", "the label")
    desk.confirmed()
    assert desk.on_disk() == before | {"img 24.png": "cell"}
    desk.browser.execute_script("document.activeElement.blur()")
    desk.press("z")
    desk.until(lambda: desk.on_disk() == before, "the label to go")


def test_a_refused_name_is_selected_and_a_long_one_leaves_the_buttons_in_view(desk):
    field = desk.find(".add input")[0]
    field.send_keys("Debris", Keys.ENTER)
    desk.until(lambda: "there is a category 'debris' already" in desk.find(".toast")[0].text, "the refusal")
    long = "a name that goes on and on " * 7
    field.send_keys(long, Keys.ENTER)  # takes the place of the refused one
    desk.until(lambda: len(desk.find(".categories .use .name")) == 5, "the category")
    desk.find(".categories .edit")[3].click()
    desk.find(".editor .danger")[0].click()
    wide = desk.browser.execute_script(
        "const all = document.querySelector('aside'); return all.scrollWidth - all.clientWidth"
    )
    assert wide <= 0
    desk.find(".editor [role=alert] .danger")[0].click()
    desk.until(lambda: len(desk.find(".categories .use .name")) == 4, "it to go")


def test_labels_of_a_table_are_taken_on_the_page(desk, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("path,label\nimg 40.png,cell\nimg 41.png,debris\n")
    desk.find(".file input")[0].send_keys(str(table))
    desk.until(lambda: "2 labels taken from labels.csv" in desk.find(".toast")[0].text, "word of the labels")
    desk.until(lambda: desk.on_disk().get("img 41.png") == "debris", "the labels")
    desk.browser.execute_script("document.activeElement.blur()")
    desk.press("z")
    desk.until(lambda: "img 41.png" not in desk.on_disk(), "the labels to go")


def test_what_cannot_be_read_is_listed_with_the_reason(desk):
    desk.until(lambda: "1 cannot be read" in desk.find(".numbers")[0].text, "the remark")
    desk.find(".numbers .link")[0].click()
    desk.until(lambda: len(desk.cells()) == 1, "the broken file")
    assert "no image" in desk.find(".unreadable")[0].text
    desk.browser.find_element(By.CSS_SELECTOR, ".bar select").send_keys("All images")
    desk.until(lambda: len(desk.cells()) > 5, "all images")


def test_a_rename_keeps_labels_and_deleting_asks(desk):
    desk.find(".categories .edit")[0].click()
    field = desk.find(".editor [name=name]")[0]
    field.clear()
    field.send_keys("white cell", Keys.ENTER)
    desk.until(lambda: desk.captions()[0] == "white cell", "the new name")
    desk.find(".categories .edit")[1].click()
    desk.find(".editor .danger")[0].click()
    desk.until(lambda: "become unlabelled" in desk.find(".editor [role=alert]")[0].text, "the question")
    desk.find(".editor [role=alert] .danger")[0].click()
    desk.until(lambda: desk.captions()[1] == "", "labels to go")
    desk.browser.execute_script("document.activeElement.blur()")
    desk.press("z")
    desk.until(lambda: desk.captions()[1] == "debris", "labels to come back")
    assert "debris" in [one.text for one in desk.find(".categories .use .name")]


def test_a_killed_server_loses_no_label_that_was_confirmed(desk):
    desk.cells()[14].click()
    desk.press("1")
    desk.until(lambda: desk.captions()[14] == "white cell", "the label")
    desk.confirmed()
    before, address = desk.on_disk(), desk.address
    desk.stop(signal.SIGKILL)
    desk.press("1")  # on its way, and saved once the desk is back
    desk.until(lambda: "wait here" in desk.find(".banner")[0].text, "word that the desk is away")
    assert desk.on_disk() == before
    desk.start()
    assert desk.address == address  # so that the page that is open goes on
    desk.until(lambda: desk.on_disk() == before | {"img 15.png": "white cell"}, "the label that waited")
    desk.confirmed()
    desk.show()
    desk.until(lambda: desk.captions()[14:16] == ["white cell"] * 2, "the labels after the restart")
    desk.press("z", "z")  # also after a restart
    desk.until(lambda: desk.captions()[14:16] == ["", ""], "the labels to go")


def test_two_windows_see_each_other_and_do_not_overwrite(desk):
    browser, first = desk.browser, desk.browser.current_window_handle
    browser.switch_to.new_window("tab")
    browser.get(desk.address.split("?")[0])
    desk.until(lambda: len(desk.cells()) > 20, "the images in the second window")
    desk.cells()[20].click()
    desk.press("1")
    desk.confirmed()
    browser.switch_to.window(first)
    desk.until(lambda: desk.captions()[20] == "white cell", "the label in the first window", 10)
    browser.switch_to.new_window("tab")
    browser.close()
    browser.switch_to.window(first)


def test_labelled_images_whose_files_are_gone_are_told(desk, tmp_path):
    place = desk.folder / "img 00.png"
    labelled = len(desk.on_disk())
    place.rename(tmp_path / place.name)
    try:
        words = f"{labelled - 1} of 60 labelled · 1 labelled image is not there now"
        desk.until(lambda: words in desk.find(".numbers")[0].text, "word of it", 15)
    finally:
        (tmp_path / place.name).rename(place)
    desk.until(lambda: "not there" not in desk.find(".numbers")[0].text, "it to come back", 15)


def test_new_files_appear_by_themselves(desk):
    new = desk.folder / "zz new.png"
    Image.fromarray(np.full((20, 20, 3), 90, np.uint8)).save(new)
    try:
        desk.until(lambda: "of 62 labelled" in desk.find(".numbers")[0].text, "the new image", 15)
    finally:
        new.unlink()
    desk.until(lambda: "of 61 labelled" in desk.find(".numbers")[0].text, "it to go", 15)


@pytest.mark.parametrize("width", [1280, 820, 390])
def test_nothing_spills_over_and_nothing_fails(desk, width):
    desk.browser.set_window_size(width, 900)
    for page in ("Train", "Results", "Label"):
        next(one for one in desk.find(".tabs button") if one.text.startswith(page)).click()
        desk.until(lambda page=page: desk.find(".cell" if page == "Label" else ".page h2"), page)
        assert desk.browser.execute_script("return document.documentElement.scrollWidth <= innerWidth"), page
    failed = [one for one in desk.browser.get_log("browser") if one["level"] == "SEVERE"]
    # The server was killed in between, a broken file has no picture, and a name was refused.
    meant = "ERR_", "415", "api/category - Failed"
    assert [one["message"] for one in failed if not any(text in one["message"] for text in meant)] == []
    desk.browser.set_window_size(1280, 900)


def test_a_finger_is_enough(desk):
    """Without keys: tap an image, tap a category, look at it large, select all and none."""
    desk.browser.set_window_size(390, 844)
    try:
        desk.until(lambda: desk.cells(), "the images")
        tap = desk.browser.execute_script
        click = "arguments[0].dispatchEvent(new PointerEvent('click', {bubbles: true, pointerType: 'touch'}))"
        for place in (30, 31):
            desk.until(lambda place=place: scrolled_to(desk, place), "the image")
            tap(click, desk.find(f".cell[data-at='{place}']")[0])
        desk.until(lambda: "2 selected" in desk.find(".bar .found")[0].text, "two images")
        first = desk.find(".categories .use")[0]
        assert first.is_displayed()
        first.click()
        desk.until(lambda: {"img 30.png", "img 31.png"} <= set(desk.on_disk()), "the labels")
        assert not desk.find(".categories .edit")[0].is_displayed()  # until the steps are asked for
        button = {one.text: one for one in desk.find(".bar button")}
        button["Select none"].click()
        desk.until(lambda: "selected" not in desk.find(".bar .found")[0].text, "none")
        button["Steps"].click()
        desk.until(lambda: desk.find(".categories .edit")[0].is_displayed(), "the steps")
        desk.find(".tools button")[0].click()
        desk.until(lambda: "img 31.png" not in desk.on_disk(), "the labels to go")
    finally:
        desk.browser.set_window_size(1280, 900)


def scrolled_to(desk, place):
    script = "const grid = arguments[0]; grid.scrollTop = arguments[1]"
    grid = desk.find(".grid")[0]
    columns = int(grid.get_attribute("data-columns"))
    desk.browser.execute_script(script, grid, (place // columns) * 140)
    return desk.find(f".cell[data-at='{place}']")


def test_a_screen_reader_is_told_everything(desk):
    unnamed = desk.browser.execute_script(
        "return [...document.querySelectorAll('button, input, select, [role=gridcell], [role=grid], dialog')].filter("
        "(one) => !(one.getAttribute('aria-label') || one.textContent.trim() || one.labels?.length || one.title))"
        ".map((one) => one.outerHTML)"
    )
    assert unnamed == []
    assert "labelled" in desk.cells()[0].get_attribute("aria-label")
