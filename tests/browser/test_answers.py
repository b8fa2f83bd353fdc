"""The page of answers in a real browser: filters, keyboard, nothing spills over, names are text."""

import numpy as np
import pytest

from pocketscope.deploy import answers_page

ODD = '"><img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def answers(browser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("answers")
    shown = []
    for number in range(24):
        name, other = [("ill", "well"), ("well", "ill"), (ODD, "ill")][number % 3]
        probability = 0.5 + number / 50
        path = folder / f"{number} {'ä' if number % 2 else 'b'}.png"
        small = answers_page.thumbnail(np.full((30, 40, 3), 10 * number, np.uint8))
        said = "well" if number in (3, 4) else None
        shown.append(
            answers_page.Shown(
                str(path),
                path.as_uri(),
                [(name, probability), (other, 1 - probability)],
                probability > 0.8,
                said,
                small,
            )
        )
    answers_page.write_page(folder / "answers.html", shown, ["ill", "well", ODD], title=ODD, total=24)
    browser.get((folder / "answers.html").as_uri())
    return browser


def choose(page, key, value):
    page.execute_script(
        "const e = document.getElementById(arguments[0]); e.value = arguments[1]; "
        "e.dispatchEvent(new Event(e.tagName === 'INPUT' ? 'input' : 'change'))",
        key,
        value,
    )
    return page.execute_script(
        "return Array.from(document.querySelectorAll('section:not([hidden]) li:not([hidden])'), (c) => c.dataset.path)"
    )


def test_filters_narrow_what_is_shown_and_doubt_comes_first(answers):
    everything = choose(answers, "of-class", "")
    assert len(everything) == 24
    of_ill = choose(answers, "of-class", "0")
    assert [int(path.rsplit("/", 1)[1].split()[0]) for path in of_ill] == list(range(0, 24, 3))
    choose(answers, "of-class", "")
    assert len(choose(answers, "of-reliable", "yes")) == 8
    choose(answers, "of-reliable", "")
    assert len(choose(answers, "of-said", "yes")) == 2
    assert len(choose(answers, "of-said", "other")) == 1  # number 3: the model says ill
    choose(answers, "of-said", "")
    assert len(choose(answers, "of-path", "Ä.")) == 12
    assert choose(answers, "of-path", "no such") == []
    assert answers.find_element("css selector", ".none").is_displayed()
    choose(answers, "of-path", "")
    assert answers.title.startswith(ODD)  # text, and never run


def test_the_keyboard_goes_from_image_to_image_and_enlarges(answers):
    from selenium.webdriver.common.keys import Keys

    first = answers.find_element("css selector", "li a")
    first.send_keys(Keys.ARROW_RIGHT)
    second = answers.switch_to.active_element
    assert second.find_element("xpath", "..").get_attribute("data-path").endswith("3 ä.png")
    second.send_keys(Keys.ENTER)
    dialog = answers.find_element("css selector", "dialog")
    assert dialog.is_displayed()
    assert "a person: well" in dialog.text
    answers.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not dialog.is_displayed()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_never_scrolls_sideways(answers, width):
    answers.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    assert answers.execute_script("return document.documentElement.scrollWidth") <= width
    answers.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
