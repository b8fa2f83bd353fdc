"""The desk with many images: first pictures, a label's way to the disk, scrolling, memory.

    python benchmarks/desk.py --images 10000 100000 --work /tmp/desk

Needs Chromium with chromedriver. The folder is listed once before anything is timed.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

ROOT = Path(__file__).parents[1]
LABELS = 300
SIDE = 48  # pixels of a generated image
SCROLL = """
const done = arguments[arguments.length - 1], grid = document.querySelector('.grid'), frames = [];
let last = performance.now(), end = last + 4000;
(function step(now) {
  frames.push(now - last); last = now; grid.scrollTop += 60;
  if (now < end) requestAnimationFrame(step); else done(frames.slice(2));
})(last);
"""


def main() -> None:
    """Measure each number of images; print a table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "pocketscope-desk")
    options = parser.parse_args()
    found = {str(number): measured(number, options.work) for number in options.images}
    keys = list(next(iter(found.values())))
    print("| images |", " | ".join(keys), "|\n| --- |", " --- |" * len(keys))
    for number, line in found.items():
        print(f"| {number} |", " | ".join(str(line[key]) for key in keys), "|")
    print(json.dumps({key: {number: line[key] for number, line in found.items()} for key in keys}))


def measured(number: int, work: Path) -> dict[str, float]:
    """Return what was measured with a number of images."""
    folder = generated(number, work / f"images-{number}")
    projects = Path(tempfile.mkdtemp(dir=work))
    command = [sys.executable, "-m", "pocketscope", "open", str(folder), "--no-browser", "--projects", str(projects)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow_scripts")}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        address = [server.stdout.readline() for _ in range(3)][2].split()[1]
        ask = client(address)
        began = time.monotonic()
        while not ask("/api/state")["scanned"]:
            time.sleep(0.1)
        scan = time.monotonic() - began
        first, frames, page = looked_at(address)
        load = os.getloadavg()[0]
        line = {"scan_s": round(scan, 1), "first_pictures_s": round(first, 2)} | labelled(ask, number)
        while ask("/api/state")["identified"] < number:  # memory is looked at when all is known
            time.sleep(2)
        line["identified_s"] = round(time.monotonic() - began)
        line |= {
            "frames_below_100_ms": round(100 * float(np.mean(np.array(frames) < 100)), 1),
            "frames_per_second": round(1000 / statistics.mean(frames), 1),
            "worst_frame_ms": round(max(frames), 1),
            "server_mb": round(psutil.Process(server.pid).memory_info().rss / 2**20),
            "page_mb": page,
            "load": round(load, 1),  # processes that wanted to run, this one's among them
        }
        return line
    finally:
        server.terminate()
        server.wait(20)


def looked_at(address: str) -> tuple[float, list[float], int]:
    """Return seconds until all pictures in sight are there, milliseconds between frames, and MB of the page."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
    for argument in ("--headless=new", "--disable-gpu", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options, webdriver.ChromeService(executable_path=shutil.which("chromedriver")))
    browser.set_window_size(1280, 900)
    browser.set_script_timeout(60)
    try:
        browser.get(f"{address.split('?')[0]}static/icon.svg")  # the browser itself is up
        began = time.perf_counter()
        browser.get(address)
        there = (
            "const all = [...document.querySelectorAll('.cell img')];"
            "return all.length > 20 && all.every((one) => one.complete && one.naturalWidth > 0)"
        )
        while not browser.execute_script(there):
            time.sleep(0.02)
        first = time.perf_counter() - began
        frames = browser.execute_async_script(SCROLL)
        page = browser.execute_script("return Math.round(performance.memory.usedJSHeapSize / 2 ** 20)")
        return first, frames, page
    finally:
        browser.quit()


def labelled(ask, number: int) -> dict[str, float]:
    """Return how long a label takes from the request to the answer, which says that it is on the disk."""
    category = ask("/api/category", {"what": "add", "name": "one"})["categories"][0]["id"]
    times = []
    for image in np.random.default_rng(0).permutation(number)[:LABELS].tolist():
        began = time.perf_counter()
        ask("/api/label", {"images": [image], "category": category, "seen": [None]})
        times.append(1000 * (time.perf_counter() - began))
    median, late = np.quantile(times, [0.5, 0.99])
    return {"label_ms_median": round(float(median), 1), "label_ms_p99": round(float(late), 1)}


def client(address: str):
    """Return a function that asks the desk as its page does."""
    base, secret = address.split("/?token=")
    port = base.rpartition(":")[2]
    headers = {"Origin": base, "Cookie": f"pocketscope-{port}={secret}"}

    def ask(path: str, body: dict | None = None):
        data = None if body is None else json.dumps({"request": str(uuid.uuid4())} | body).encode()
        with urllib.request.urlopen(urllib.request.Request(base + path, data, headers), timeout=60) as answer:
            return json.load(answer)

    return ask


def generated(number: int, folder: Path) -> Path:
    """Return a folder of so many small images, a hundred a sub-folder."""
    rng = np.random.default_rng(0)
    for start in range(0, number, 100):
        place = folder / f"{start:06d}"
        if place.is_dir():
            continue
        place.mkdir(parents=True)
        for image in range(start, min(start + 100, number)):
            pixels = rng.integers(0, 256, (SIDE // 8, SIDE // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
            Image.fromarray(pixels).save(place / f"{image:06d}.png", compress_level=1)
    return folder


if __name__ == "__main__":
    main()
