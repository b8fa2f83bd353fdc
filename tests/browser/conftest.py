"""A headless Chromium for all pages; for some the engines of Safari and Firefox too."""

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
WEBKIT = Path("/usr/lib") / str(sysconfig.get_config_var("MULTIARCH")) / "webkit2gtk-4.1" / "MiniBrowser"


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(downloads, tmp_path_factory):
    if not (BROWSER and DRIVER):
        pytest.skip("no Chromium with chromedriver here: apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in (
        "--headless=new",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium has no sandbox for root
    ):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    driver.set_window_size(1280, 900)
    yield driver
    driver.quit()


@pytest.fixture(scope="module", params=["chromium", "webkit", "firefox"])
def any_browser(request, tmp_path_factory):
    """Each engine that is installed here."""
    if request.param == "chromium":
        yield request.getfixturevalue("browser")
    elif request.param == "webkit":
        yield from webkit()
    else:
        yield from firefox()


def webkit() -> Iterator:
    """WebKitGTK, the engine of Safari, on a display of its own."""
    if not (WEBKIT.is_file() and shutil.which("WebKitWebDriver") and shutil.which("Xvfb")):
        pytest.skip("no WebKit here: apt-get install webkit2gtk-driver xvfb")
    from selenium import webdriver

    screen = subprocess.Popen(
        ["Xvfb", "-displayfd", "1", "-screen", "0", "1000x1000x24"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    driver = None
    try:
        display = f":{screen.stdout.readline().decode().strip()}"
        options = webdriver.WebKitGTKOptions()
        options.binary_location = str(WEBKIT)
        options.add_argument("--automation")
        # Its sandbox needs user namespaces, which containers lack; the pages are our own.
        environment = os.environ | {"DISPLAY": display, "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1"}
        driver = webdriver.WebKitGTK(options=options, service=webdriver.WebKitGTKService(env=environment))
        yield driver
    finally:
        if driver:
            driver.quit()
        screen.terminate()
        screen.wait()


def firefox() -> Iterator:
    """Firefox without a window."""
    if not (FIREFOX and shutil.which("geckodriver")):
        pytest.skip("no Firefox with geckodriver here: apt-get install firefox-esr, and geckodriver into PATH")
    from selenium import webdriver

    options = webdriver.FirefoxOptions()
    options.binary_location = FIREFOX
    options.add_argument("-headless")
    driver = webdriver.Firefox(options=options, service=webdriver.FirefoxService(shutil.which("geckodriver")))
    yield driver
    driver.quit()
