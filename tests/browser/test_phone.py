"""The phone page in a real browser: answers as `classify`'s, pixels as Pillow's, none where it must not give one."""

import argparse
import base64
import csv
import functools
import http.server
import io
import threading
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image, ImageCms

import tiny_models
from pocketscope.core.errors import InputError
from pocketscope.deploy import facts
from pocketscope.exports import kinds, onnxruntime_web
from pocketscope.images.familiarity import statistics
from pocketscope.images.resize import to_square
from pocketscope.inference import classify, onnx_model

ODD = '"><img src=x onerror="document.title=1">🎉</script>'
SIZE = 48
REAL = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def runtime():
    try:
        return onnxruntime_web.files()
    except InputError as error:
        pytest.skip(f"no network, and nothing in the cache: {error}")


def options(**given):
    parser = argparse.ArgumentParser()
    kinds.add_arguments("phone", parser)
    return argparse.Namespace(**(vars(parser.parse_args([])) | given))


def ship(folder, resize="stretch", **about):
    """A shipped model that says all that the page uses."""
    tiny_models.ship(folder, resize=resize, size=SIZE)
    described = statistics(tiny_models.noise(60, SIZE, seed=3))
    learnt = {"mean": described.mean(0).tolist(), "scale": (described.std(0) + 1e-9).tolist()}
    about = {
        "dataset": ODD,
        "temperature": 1.3,
        "reliable": {"probability": 0.6},
        "learnt_images": learnt | {"precision": np.eye(12).tolist(), "limit": 60.0},
        **about,
    }
    for precision in ("fp32", "int8"):
        path = folder / f"model.{precision}.onnx"
        facts.write_model(path, path, about)
    return folder


def photo(seed, width, height):
    """Smooth shapes, edges and noise, as a photograph has them."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (7, 9, 3), np.uint8))
    pixels = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    pixels[height // 3 : height // 2, width // 4 : width // 2] = rng.integers(0, 256, 3)
    return Image.fromarray(np.clip(pixels + rng.integers(-8, 9, pixels.shape), 0, 255).astype(np.uint8))


def make_images(folder):
    """Ten images of the kinds that phones and microscopes write."""
    folder.mkdir()
    exif = Image.Exif()
    exif[274] = 6
    photo(0, 4032, 3024).save(folder / "0 twelve megapixels.jpg", quality=90, exif=exif)
    photo(1, 301, 180).save(folder / "1.png")
    photo(2, 640, 480).convert("L").save(folder / "2 grey.png")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    photo(3, 500, 900).save(folder / "3 profile.jpg", quality=95, icc_profile=profile)
    Image.fromarray(np.dstack([np.asarray(photo(4, 200, 222)), np.full((222, 200), 128, np.uint8)])).save(
        folder / "4.png"
    )
    photo(5, 31, 40).save(folder / "5 small.webp", lossless=True)
    photo(6, 1, 1).save(folder / "6 one pixel.png")
    photo(7, 1000, 60).save(folder / "7 long.bmp")
    photo(8, 333, 333).save(folder / "8.jpg", quality=80, subsampling=0)
    Image.new("RGB", (80, 80), "black").save(folder / "9 black.png")
    return sorted(folder.iterdir())


def opened(browser, page, script=""):
    """Open a page at the width of a phone, and wait until it is ready or refuses."""
    browser.set_window_size(500, 900)
    is_chromium = browser.name == "chrome"  # alone can be told the width of a phone, and what is run before a page
    assert is_chromium or not script
    if is_chromium:
        phone = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
        added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    browser.get(page if isinstance(page, str) else page.as_uri())
    browser.execute_async_script("app.ready.then(arguments[0])")
    if is_chromium:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
    return browser


@pytest.fixture
def shown(whole_page, any_browser):
    """The page with the shipped int8 file in each engine; it takes WebKit seconds to open it."""
    page = whole_page / "phone.html"
    is_for_others_too = any_browser.name == "chrome"
    if is_for_others_too or any_browser.current_url != page.as_uri():
        opened(any_browser, page)
    return any_browser


def state(browser):
    return browser.find_element("id", "status").get_attribute("data-state")


def choose(browser, paths):
    """Give files to the page as a person does, and return its table when all are answered."""
    before = browser.execute_script("return app.results.length")
    browser.find_element("id", "choose").send_keys("\n".join(map(str, paths)))
    for _ in range(600):
        if browser.execute_script("return app.results.length") == before + len(paths):
            break
        browser.execute_async_script("setTimeout(arguments[0], 100)")
    rows = list(csv.DictReader(io.StringIO(browser.execute_script("return app.csv()"))))
    return rows[before:]


@pytest.fixture(scope="module", params=["stretch", "crop", "pad"])
def page(request, runtime, browser, tmp_path_factory):
    folder = tmp_path_factory.mktemp(f"phone-{request.param}")
    shipped = ship(folder / "ship", resize=request.param)
    kinds.export("phone", shipped, folder / "out", options(precision="fp32"))
    return opened(browser, folder / "out/phone.html"), shipped, folder


def test_answers_are_those_of_classify(page):
    browser, shipped, folder = page
    assert state(browser) == "ready", browser.find_element("id", "status").text
    paths = make_images(folder / "images")
    rows = choose(browser, paths)
    model = onnx_model.open_model(shipped / "model.fp32.onnx", threads=1)
    for path, row, answer in zip(paths, rows, classify.classify(model, list(map(str, paths)), threads=1), strict=True):
        assert row["path"] == path.name
        assert not row["problem"]
        found = np.array([float(row[f"p({name})"]) for name in model.classes])
        assert np.abs(found - answer.probabilities).max() < 0.01, path.name
        assert abs(float(row["unlike"]) - answer.unlike) < 0.02 * max(1, answer.unlike), path.name
        if abs(answer.confidence - 0.6) > 0.01 and abs(answer.unlike - 1) > 0.02:
            assert row["reliable"] == ("yes" if answer.reliable else "no"), path.name
    assert browser.title == ODD  # text, and never run
    spilled = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(spilled) <= 0


@pytest.fixture(scope="module")
def whole_page(runtime, tmp_path_factory):
    folder = tmp_path_factory.mktemp("phone")
    kinds.export("phone", ship(folder / "ship"), folder / "out", options())
    return folder / "out"


@pytest.mark.parametrize("how", ["stretch", "crop", "pad"])
def test_pixels_are_those_of_pillow(shown, how):
    for seed, (width, height) in enumerate([(333, 500), (1501, 97), (48, 48), (180, 300), (43, 48), (289, 96)]):
        image = photo(seed + 20, width, height)
        written = io.BytesIO()
        image.save(written, "PNG")
        found = shown.execute_async_script(
            """const done = arguments[3];
            const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0));
            createImageBitmap(new Blob([bytes], {type: "image/png"}), {colorSpaceConversion: "none"}).then((bitmap) =>
              done(Array.from(pixels.toSquare(pixels.sourceOf(bitmap), arguments[1], arguments[2]))));""",
            base64.b64encode(written.getvalue()).decode(),
            SIZE,
            how,
        )
        expected = to_square(np.asarray(image), SIZE, how)
        away = np.abs(np.array(found).reshape(expected.shape) - expected.astype(int))
        assert away.max() <= (1 if PIL.__version__ < "13" else 0)  # older ones resize in another order of the axes


def test_every_engine_answers_as_classify_by_the_shipped_int8_file(whole_page, shown, tmp_path):
    assert state(shown) == "ready", shown.find_element("id", "status").text
    paths = make_images(tmp_path / "images")
    if shown.name != "chrome":  # others lay what is half transparent on white with another rounding, by one level
        paths = [path for path in paths if path.name != "4.png"]
    rows = choose(shown, paths)
    model = onnx_model.open_model(whole_page.parent / "ship" / "model.int8.onnx", threads=1)
    for path, row, answer in zip(paths, rows, classify.classify(model, list(map(str, paths)), threads=1), strict=True):
        assert row["path"] == path.name
        assert not row["problem"]
        found = np.array([float(row[f"p({name})"]) for name in model.classes])
        assert np.abs(found - answer.probabilities).max() < 0.03, path.name
    shown.find_element("id", "csv").click()  # and the page stays
    spilled = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert shown.execute_script(spilled) <= 0
    assert state(shown) == "ready"


def test_what_a_browser_cannot_read_is_named_and_the_next_image_is_answered(shown, tmp_path):
    Image.fromarray(np.arange(2500, dtype=np.uint16).reshape(50, 50)).save(tmp_path / "deep.png")
    photo(1, 40, 40).save(tmp_path / "b.tif")
    (tmp_path / "c.heic").write_bytes(b"\0\0\0\x24ftypheic\0\0\0\0mif1heic" + bytes(50))
    (tmp_path / "d.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (tmp_path / "e.png").write_bytes(b"")
    photo(1, 40, 40).save(tmp_path / "f.png")
    rows = choose(shown, sorted(tmp_path.iterdir()))
    words = shown.execute_script("return app.words")
    said = ["tiff", "heic", "unreadable", "deep", "unreadable"]
    assert [row["problem"] for row in rows] == [*(words[key] for key in said), ""]


@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
def test_images_are_turned_as_their_exif_says(whole_page, shown, tmp_path, kind):
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif.endian = "<>"[orientation % 2]
        exif[271], exif[274] = "a camera", orientation
        lossless = {"quality": 95} if kind == "jpg" else {"lossless": True}
        photo(2, 300, 201).save(tmp_path / f"{orientation}.{kind}", exif=exif, **lossless)
    photo(2, 300, 201).save(tmp_path / f"9.{kind}", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x12")  # ends too early
    paths = sorted(tmp_path.iterdir())
    rows = choose(shown, paths)
    model = onnx_model.open_model(whole_page.parent / "ship" / "model.int8.onnx", threads=1)
    for path, row, answer in zip(paths, rows, classify.classify(model, list(map(str, paths)), threads=1), strict=True):
        found = np.array([float(row[f"p({name})"]) for name in model.classes])
        assert np.abs(found - answer.probabilities).max() < 0.001, path.name
        assert abs(float(row["unlike"]) - answer.unlike) < 0.006, path.name  # as it is printed


def test_three_hundred_classes_of_any_name(runtime, browser, tmp_path, monkeypatch):
    odd = [
        ODD,
        "<script>document.title = 1</script>",
        "خلية سليمة 12",
        "a\u202eb",
        "細胞 🧫👩🏽‍🔬",
        "long" * 60,
        'a,\n"b"',
        "=",
    ]
    names = [*odd, *(f"class {place}" for place in range(len(odd), 300))]
    monkeypatch.setattr(tiny_models, "CLASSES", names)
    shipped = ship(tmp_path / "ship", dataset="cells", reliable={"probability": None})
    kinds.export("phone", shipped, tmp_path / "out", options(precision="fp32"))
    opened(browser, tmp_path / "out/phone.html")
    assert state(browser) == "ready", browser.find_element("id", "status").text
    # Answers of these names, as the model would give them.
    browser.execute_script("""const answers = [0, 1, 2, 3, 4, 5, 6, 7];
        for (const first of answers) {
          const order = [first, ...answers.filter((other) => other !== first)];
          for (let place = 8; place < 300; place += 1) order.push(place);
          const probabilities = order.map((_, place) => (place < 8 ? 0.1 : 0.2 / 292));
          app.keep({name: "صورة 1.png", rgb: new Uint8Array(3 * 48 * 48), probabilities, prepared: 1, ms: 1, order,
                    unlike: 0.5, reliable: false});
        }""")
    shown = [title.text for title in browser.find_elements("css selector", "#results h2 span")]
    assert [text.split() for text in shown] == [name.split() for name in reversed(odd)]
    assert len(browser.find_elements("css selector", "#results li:first-child .meter")) == 20
    assert not browser.find_elements("css selector", "#results img, #results script")
    (row,) = choose(browser, [make_images(tmp_path / "images")[1]])
    assert row["class"] in names
    assert {f"p({name})" for name in names} <= set(row)
    assert "cells" in browser.title
    spilled = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(spilled) <= 0
    browser.save_screenshot(str(tmp_path / "names.png"))


def test_photos_of_48_megapixels_are_answered_and_larger_ones_refused_before_they_are_decoded(
    whole_page, browser, tmp_path
):
    small = photo(1, 80, 60)
    small.resize((8000, 6000), Image.Resampling.NEAREST).save(tmp_path / "a.jpg", quality=85)
    Image.new("L", (10_001, 10_000), 128).save(tmp_path / "b.jpg", quality=30)
    Image.new("1", (10_001, 10_000)).save(tmp_path / "c.png")
    Image.new("L", (10_001, 10_000), 128).save(tmp_path / "d.webp", quality=30)
    Image.new("1", (10_001, 10_000)).save(tmp_path / "e.bmp")
    Image.new("1", (10_001, 10_000)).save(tmp_path / "f.gif")
    # A header is enough for files that are not to be decoded: WebP without loss, WebP with more than one part, AVIF.
    sides = (10_001 - 1) | (10_000 - 1) << 14
    parts = b"VP8L" + bytes(4) + b"\x2f" + sides.to_bytes(4, "little")
    (tmp_path / "g.webp").write_bytes(b"RIFF" + bytes(4) + b"WEBP" + parts + bytes(64))
    parts = b"VP8X" + bytes(8) + (10_001 - 1).to_bytes(3, "little") + (10_000 - 1).to_bytes(3, "little")
    (tmp_path / "h.webp").write_bytes(b"RIFF" + bytes(4) + b"WEBP" + parts + bytes(64))
    box = b"ispe" + bytes(4) + (10_001).to_bytes(4, "big") + (10_000).to_bytes(4, "big")
    (tmp_path / "i.avif").write_bytes(bytes(3) + b"\x20ftypavif" + bytes(20) + box + bytes(64))
    opened(browser, whole_page / "phone.html")
    browser.execute_script("""window.decodings = 0;
        const decode = createImageBitmap;
        window.createImageBitmap = (...given) => { window.decodings += 1; return decode(...given); };""")
    paths = sorted(tmp_path.glob("?.*"))
    rows = choose(browser, paths)
    large = browser.execute_script("return app.words.large")
    assert [row["problem"] for row in rows] == ["", *[large] * 8]
    assert browser.execute_script("return window.decodings") == 1
    model = onnx_model.open_model(whole_page.parent / "ship" / "model.int8.onnx", threads=1)
    (answer,) = classify.classify(model, [str(paths[0])], threads=1)
    found = np.array([float(rows[0][f"p({name})"]) for name in model.classes])
    assert np.abs(found - answer.probabilities).max() < 0.03


def test_under_memory_pressure_photos_are_answered_and_their_memory_is_given_back(whole_page, browser, tmp_path):
    photo(1, 80, 60).resize((8000, 6000), Image.Resampling.NEAREST).save(tmp_path / "0.jpg", quality=85)
    photo(1, 30, 40).save(tmp_path / "1.png")
    large, small = tmp_path / "0.jpg", tmp_path / "1.png"
    opened(browser, whole_page / "phone.html")
    browser.execute_script("""window.open_bitmaps = window.most_open = 0;
        const [decode, close] = [createImageBitmap, ImageBitmap.prototype.close];
        ImageBitmap.prototype.close = function () { window.open_bitmaps -= 1; close.call(this); };
        window.createImageBitmap = async (...given) => {
          const bitmap = await decode(...given);
          window.most_open = Math.max(window.most_open, window.open_bitmaps += 1);
          return bitmap;
        };""")
    browser.find_element("id", "choose").send_keys("\n".join(map(str, [large] * 3 + [small])))
    for _ in range(600):
        browser.execute_cdp_cmd("Memory.simulatePressureNotification", {"level": "critical"})
        if browser.execute_script("return app.results.length") == 4:
            break
        browser.execute_async_script("setTimeout(arguments[0], 50)")
    rows = list(csv.DictReader(io.StringIO(browser.execute_script("return app.csv()"))))
    assert [row["problem"] for row in rows] == [""] * 4
    assert len({row["probability"] for row in rows[:3]}) == 1
    assert browser.execute_script("return [most_open, open_bitmaps]") == [1, 0]

    # What a browser does where it has no memory: it decodes nothing, or reads nothing from a canvas.
    browser.execute_script("""const real = createImageBitmap;
        window.createImageBitmap = async (blob, ...given) => {
          if (blob.size > 1e5) throw new DOMException("The source image could not be decoded.", "InvalidStateError");
          return real(blob, ...given);
        };""")
    words = browser.execute_script("return app.words")
    assert [row["problem"] for row in choose(browser, [large, small])] == [words["heavy"], ""]
    browser.execute_script("""const read = CanvasRenderingContext2D.prototype.getImageData;
        let left = 1;
        CanvasRenderingContext2D.prototype.getImageData = function (...given) {
          if (left-- > 0) throw new RangeError("Out of memory at ImageData creation");
          return read.apply(this, given);
        };""")
    assert [row["problem"] for row in choose(browser, [small, small])] == [words["memory"], ""]
    assert browser.execute_script("return open_bitmaps") == 0
    assert state(browser) == "ready"


def test_a_runtime_without_memory_is_told_from_an_old_browser(whole_page, browser):
    bounded = """const Memory = WebAssembly.Memory;
        WebAssembly.Memory = function (bounds) { throw new RangeError("could not allocate memory"); };"""
    opened(browser, whole_page / "phone.html", bounded)
    assert state(browser) == "refused"
    assert browser.find_element("id", "status").text.startswith(browser.execute_script("return app.words.memory"))


@pytest.mark.skipif(not REAL.is_dir(), reason="the real image sets, ../shared/data, are not there")
def test_real_images_are_answered_as_by_classify(whole_page, shown):
    folders = sorted(folder for folder in REAL.glob("*/*") if folder.is_dir())
    paths = [sorted(folder.iterdir())[0] for folder in folders[:: max(1, len(folders) // 10)]]
    rows = choose(shown, paths)
    model = onnx_model.open_model(whole_page.parent / "ship" / "model.int8.onnx", threads=1)
    for path, row, answer in zip(paths, rows, classify.classify(model, list(map(str, paths)), threads=1), strict=True):
        assert row["path"] == path.name
        found = np.array([float(row[f"p({name})"]) for name in model.classes])
        assert np.abs(found - answer.probabilities).max() < 0.03, path
        assert abs(float(row["unlike"]) - answer.unlike) < 0.02 * max(1, answer.unlike), path


def test_a_browser_that_computes_otherwise_gives_no_answer(whole_page, browser, tmp_path):
    noise = """const read = CanvasRenderingContext2D.prototype.getImageData;
    CanvasRenderingContext2D.prototype.getImageData = function (...given) {
      const found = read.apply(this, given);
      for (let i = 0; i < found.data.length; i += 1) found.data[i] = 255 - found.data[i];
      return found;
    };"""  # stronger than browsers do it that disturb what pages read from a canvas
    opened(browser, whole_page / "phone.html", noise)
    assert state(browser) == "refused"
    assert browser.find_element("id", "choose").get_property("disabled")
    assert browser.find_element("id", "status").text == browser.execute_script("return app.words.failed")


@pytest.mark.parametrize(("missing", "key"), [("WebAssembly", "no_wasm"), ("DecompressionStream", "old")])
def test_without_what_it_needs_the_page_says_so(whole_page, browser, missing, key):
    opened(browser, whole_page / "phone.html", f"delete globalThis.{missing};")
    assert state(browser) == "refused"
    assert browser.find_element("id", "status").text == browser.execute_script(f"return app.words.{key}")


def test_files_and_camera_may_ask_at_once_and_two_tabs_do_not_meet(whole_page, browser, tmp_path):
    paths = make_images(tmp_path / "images")[1:5]
    opened(browser, whole_page / "phone.html")
    mine = browser.current_window_handle
    browser.switch_to.new_window("tab")
    opened(browser, whole_page / "phone.html")
    camera = """const canvas = document.createElement("canvas"); canvas.getContext("2d").fillRect(0, 0, 9, 9);
    navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(30);"""
    browser.execute_script(camera)
    browser.find_element("id", "live").click()
    rows = choose(browser, paths)
    assert [row["problem"] for row in rows] == [""] * 4
    browser.find_element("id", "stop").click()
    assert not browser.find_element("id", "camera").is_displayed()
    browser.close()
    browser.switch_to.window(mine)
    assert [row["class"] for row in choose(browser, paths)] == [row["class"] for row in rows]


def test_without_permission_for_the_camera_photos_can_be_taken(whole_page, browser):
    opened(
        browser, whole_page / "phone.html", "navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error());"
    )
    browser.find_element("id", "live").click()
    browser.execute_async_script("setTimeout(arguments[0], 100)")
    assert browser.find_element("id", "status").text == browser.execute_script("return app.words.camera")
    assert not browser.find_element("id", "take").get_property("disabled")


def test_the_folder_works_without_its_server_once_it_was_open(whole_page, browser):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(whole_page / "app"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    opened(browser, address)
    browser.execute_async_script("navigator.serviceWorker.ready.then(() => arguments[0]())")
    errors = browser.execute_cdp_cmd("Page.getAppManifest", {})["errors"]
    server.shutdown()
    server.server_close()
    assert not errors
    opened(browser, address)
    assert state(browser) == "ready"


def test_example_images_are_in_the_page_only_when_asked_for(runtime, browser, tmp_path, capsys):
    shipped = ship(tmp_path / "ship", dataset="cells", data_licence="CC BY 4.0")
    (tmp_path / "images" / "dark").mkdir(parents=True)
    for number in range(5):
        photo(number, 60, 90).save(tmp_path / "images" / "dark" / f"{number}.png")
    kinds.export("phone", shipped, tmp_path / "out", options(include_images=tmp_path / "images"))
    assert "the page holds 3 images" in capsys.readouterr().err
    assert "CC BY 4.0" in (tmp_path / "out/phone.html").read_text()
    with pytest.raises(InputError, match="no folder with an image named after a class"):
        kinds.export("phone", shipped, tmp_path / "out", options(include_images=tmp_path))


def test_equal_files_give_equal_pages(whole_page, runtime, tmp_path):
    kinds.export("phone", whole_page.parent / "ship", tmp_path / "again", options())
    for path in (path for path in whole_page.rglob("*") if path.is_file()):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(whole_page)).read_bytes(), path
