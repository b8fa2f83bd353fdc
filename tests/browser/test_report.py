"""The page in a real browser: nothing fails, tables sort and download, nothing spills over on a phone."""

import csv
import time

import pytest

import synthetic_study
from pocketscope.report.build import build_report
from pocketscope.statistics import comparison, decision, score_table


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    given = {"cells": synthetic_study.evidence("cells", ["basophil", "eosinophil", "neutrophil"], ["k25_s0", "k25_s1"])}
    scores = synthetic_study.scores(given)
    answers = comparison.compare(score_table.most_labelled(scores))
    decided = decision.decide(scores, synthetic_study.costs(), given)
    build_report(folder, scores, answers, decided, **synthetic_study.extras())
    browser.get((folder / "index.html").as_uri())
    return browser


def column(page, table, number):
    return [
        cell.get_attribute("textContent")
        for cell in page.find_elements("css selector", f"#{table} tbody td:nth-child({number})")
    ]


def test_nothing_is_logged(page):
    assert [entry for entry in page.get_log("browser") if entry["level"] in {"SEVERE", "WARNING"}] == []


def test_tables_sort_by_number_and_by_text(page):
    button = page.find_element("css selector", "#f1-by-candidate th:nth-child(3) button")
    button.click()
    values = [float(text) for text in column(page, "f1-by-candidate", 3)]
    assert values == sorted(values)
    head = page.find_element("css selector", "#f1-by-candidate th:nth-child(3)")
    assert head.get_attribute("aria-sort") == "ascending"
    button.click()
    assert head.get_attribute("aria-sort") == "descending"
    assert [float(text) for text in column(page, "f1-by-candidate", 3)] == sorted(values, reverse=True)
    page.find_element("css selector", "#f1-by-candidate th:nth-child(2) button").click()
    assert column(page, "f1-by-candidate", 2) == sorted(column(page, "f1-by-candidate", 2))
    assert head.get_attribute("aria-sort") is None


def test_tables_sort_by_keyboard(page):
    from selenium.webdriver.common.keys import Keys

    page.find_element("css selector", "#f1-by-candidate th:nth-child(1) button").send_keys(Keys.ENTER)
    assert column(page, "f1-by-candidate", 1) == sorted(column(page, "f1-by-candidate", 1))


def test_table_downloads_with_all_digits(page, downloads):
    page.find_element("css selector", '[data-table="f1-by-candidate"]').click()
    path = downloads / "f1-by-candidate.csv"
    waited = time.monotonic()
    while not path.exists() and time.monotonic() - waited < 20:
        time.sleep(0.1)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["Network"] for row in rows] == column(page, "f1-by-candidate", 1)
    for row, text in zip(rows, column(page, "f1-by-candidate", 3), strict=True):
        assert f"{float(row['F1 × 100']):.1f}" == text


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_itself_never_scrolls_sideways(page, width):
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    page.execute_script("document.querySelectorAll('details').forEach((box) => { box.open = true; })")
    spilling = page.execute_script(
        """
        const limit = document.documentElement.clientWidth;
        return Array.from(document.querySelectorAll("body *"))
          .filter((item) => !item.closest(".scroll") && item.getBoundingClientRect().right > limit + 1)
          .map((item) => item.tagName + " " + item.className + " " + item.textContent.slice(0, 60));
        """
    )
    assert spilling == []
    scrolling = page.execute_script(
        "return Array.from(document.querySelectorAll('.table .scroll')).filter((box) => box.scrollWidth > "
        "box.clientWidth + 1).map((box) => box.firstElementChild.id)"
    )
    assert scrolling == []  # a table fits: wide on a desktop, a list of headings and values on a phone
    assert page.execute_script("return document.documentElement.scrollWidth") <= width


def test_links_lead_to_sections(page):
    targets = page.execute_script(
        "return Array.from(document.querySelectorAll('nav a'), (a) => document.querySelector(a.getAttribute('href')) "
        "!== null)"
    )
    assert targets
    assert all(targets)


def test_a_word_is_explained_by_the_keyboard(page):
    from selenium.webdriver.common.keys import Keys

    word = page.find_element("css selector", ".word")
    meaning = page.find_element("id", word.get_attribute("popovertarget"))
    assert not meaning.is_displayed()
    word.send_keys(Keys.ENTER)
    assert meaning.is_displayed()
    word.send_keys(Keys.ESCAPE)
    assert not meaning.is_displayed()


@pytest.mark.parametrize("script", [True, False])
def test_printing_opens_what_is_folded(page, script):
    """Words of a folded table are on paper; without a script too, for it is the style that opens it."""
    page.execute_script("document.querySelectorAll('details').forEach((box) => { box.open = false; })")
    shown = "return document.getElementById('timings').checkVisibility()"
    assert not page.execute_script(shown)
    if script:
        page.execute_script("window.dispatchEvent(new Event('beforeprint'))")
        assert page.execute_script(shown)
        page.execute_script("window.dispatchEvent(new Event('afterprint'))")
        assert not page.execute_script(shown)
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    opened = page.execute_script(shown)
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert opened
    assert not page.execute_script(shown)
