"""The desk's server: who may speak to it, what it stores, and what it does with bad folders and files."""

import io
import json
import os
import socket
import threading
import urllib.error
import urllib.request
import uuid

import numpy as np
import pytest
import tifffile
from PIL import Image

from pocketscope.cli import open as open_command
from pocketscope.core.errors import InputError
from pocketscope.images import codec
from pocketscope.journal.store import Journal
from pocketscope.web import project as projects
from pocketscope.web import wizard
from pocketscope.web.index import Index
from pocketscope.web.labels import KEYS, Labels, Overtaken

uvicorn = pytest.importorskip("uvicorn")

SECRET = "a-secret-of-the-test"
ODD = '<img src=x onerror=alert(1)> "it\'s" שלום 🎉'


def picture(path, value, size=(24, 16)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 255, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "my images"
    for number in range(6):
        picture(place / f"img {number}.png", number)
    picture(place / "sub" / "copy of 0.png", 0)
    (place / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (place / "notes.txt").write_text("no image")
    return place


@pytest.fixture
def index(folder, tmp_path):
    made = Index(folder, tmp_path / "cache" / "images.sqlite")
    made.scan()
    yield made
    made.close()


@pytest.fixture
def labels(index, tmp_path):
    with Journal(tmp_path / "labels.sqlite") as journal:
        made = Labels(journal, index, "ada")
        made.change("request-add-1", "add", name="cell")
        made.change("request-add-2", "add", name="debris")
        yield made


def request_id():
    return str(uuid.uuid4())


class Client:
    """Speaks to a server as the page does."""

    def __init__(self, port):
        self.port = port
        self.base = f"http://127.0.0.1:{port}"
        self.headers = {"Origin": self.base, "Cookie": f"pocketscope-{port}={SECRET}"}

    def ask(self, path, body=None, **headers):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, self.headers | headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def json(self, path, body=None):
        status, _, content = self.ask(path, body)
        return status, json.loads(content)


@pytest.fixture
def server(folder, tmp_path):
    from pocketscope.web.app import Server

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    made = Server(SECRET, [f"127.0.0.1:{port}", f"localhost:{port}"], "ada", tmp_path / "projects")
    made.open(projects.open_project(folder, tmp_path / "projects"))
    running = uvicorn.Server(uvicorn.Config(made.app, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    client = Client(port)
    client.server = made
    for _ in range(200):
        if made.desk.scanned and running.started:
            break
        threading.Event().wait(0.05)
    yield client
    running.should_exit = True
    thread.join(20)


# ---- the images


def test_files_are_listed_identified_and_told_apart(index):
    assert index.paths == [
        "broken.png", *(f"img {number}.png" for number in range(6)), "sub/copy of 0.png",
    ]  # fmt: skip
    told = []
    index.identify_all(told.extend)
    assert sorted(told) == list(range(8))
    assert index.image_ids[1] == index.image_ids[7] != index.image_ids[2]
    assert index.numbers[index.image_ids[1]] == [1, 7]
    assert "damaged" in index.problems[0]
    assert index.image_ids[0] is None


def test_a_thumbnail_is_small_and_kept(folder, tmp_path):
    picture(folder / "a large one.png", 99, (900, 1200))
    made = Index(folder, tmp_path / "cache" / "images.sqlite")
    made.scan()
    number = made.paths.index("a large one.png")
    small = made.thumbnail(number)
    made.close()
    (folder / "a large one.png").chmod(0o000)
    again = Index(folder, tmp_path / "cache" / "images.sqlite")
    again.scan()
    assert again.thumbnail(number) == small
    again.close()


def test_numbers_stay_when_files_come_and_go(index, folder):
    before = list(index.paths)
    (folder / "img 3.png").unlink()
    picture(folder / "aaa first.png", 50)
    came, went = index.scan()
    assert index.paths[: len(before)] == before
    assert [index.paths[n] for n in came] == ["aaa first.png"]
    assert [index.paths[n] for n in went] == ["img 3.png"]
    picture(folder / "img 3.png", 77)
    came, _ = index.scan()
    assert [index.paths[n] for n in came] == ["img 3.png"]
    assert not index.gone


def test_a_changed_file_is_another_image(index, folder):
    first = index.identify(2)
    picture(folder / "img 1.png", 1234, (30, 30))
    index.scan()
    assert index.identify(2) != first
    assert 2 not in index.numbers.get(first, [])


def test_a_folder_that_is_away_takes_no_image_for_gone(index, folder):
    folder.rename(folder.with_name("moved"))
    with pytest.raises(OSError, match="No such file"):
        index.scan()
    assert not index.gone


# ---- the labels


def test_copies_share_a_label_and_a_restart_keeps_it(labels, index, tmp_path):
    lines = labels.label(request_id(), [1, 2], "cell", seen={1: None, 2: None})
    assert sorted(line[0] for line in lines) == [1, 2, *([7] if index.image_ids[7] else [])]
    index.identify_all(lambda _: None)
    with Journal(tmp_path / "labels.sqlite") as journal:
        again = Labels(journal, index, "ada")
        assert [again.category_of(number) for number in (1, 2, 3, 7)] == ["cell", "cell", None, "cell"]


def test_nobody_overwrites_what_he_has_not_seen(labels, index, tmp_path):
    labels.label(request_id(), [1], "cell", seen={1: None})
    with Journal(tmp_path / "labels.sqlite") as journal:
        other = Labels(journal, index, "bob")
        labels.label(request_id(), [1], "debris", seen={1: "cell"})
        with pytest.raises(Overtaken) as caught:
            other.label(request_id(), [1, 2], None, seen={1: "cell", 2: None})
        assert caught.value.numbers == [1]
        assert other.category_of(2) is None
        other.label(request_id(), [1], "cell", seen={1: "debris"})
    assert labels.refresh()
    assert labels.category_of(1) == "cell"


def test_what_is_sent_twice_is_done_once(labels):
    request = request_id()
    labels.label(request, [1], "cell", seen={1: None})
    labels.label(request, [1], "cell", seen={1: None})
    labels.turn(request_id())
    assert labels.category_of(1) is None


def test_labels_of_several_categories_are_one_deed(labels):
    labels.label(request_id(), [1, 2, 3], {1: "cell", 2: "debris", 3: "cell"}, seen={1: None, 2: None, 3: None})
    assert [labels.category_of(number) for number in (1, 2, 3)] == ["cell", "debris", "cell"]
    with pytest.raises(Overtaken) as caught:
        labels.label(request_id(), [1, 2], {1: "cell", 2: "cell"}, seen={1: None, 2: None})
    assert caught.value.numbers == [2]  # of 1 it says what holds already
    assert labels.turn(request_id()) == "2 images labelled cell, 1 image labelled debris"
    assert [labels.category_of(number) for number in (1, 2, 3)] == [None] * 3


def test_what_is_taken_back_is_named(labels):
    said = labels.turn
    labels.label(request_id(), [1], None, seen={})
    assert said(request_id()) == "1 image no longer labelled"
    for kind, body, words in [
        ("rename", {"category": "cell", "name": "white cell"}, "category renamed white cell"),
        ("key", {"category": "cell", "key": "p"}, "the key of category cell"),
        ("merge", {"category": "cell", "into": "debris"}, "category cell merged into debris"),
        ("delete", {"category": "cell"}, "category cell deleted"),
        ("add", {"name": "dust"}, "category dust added"),
    ]:
        labels.change(request_id(), kind, **body)
        assert said(request_id()) == words
        assert said(request_id(), redo=True) == words
        assert said(request_id()) == words
    labels.set_aside(request_id(), ["some image"])
    assert said(request_id()) == "1 image set aside as the exam"
    assert said(request_id(), redo=True)


def test_a_rename_and_a_merge_keep_labels_and_undo_brings_all_back(labels):
    labels.label(request_id(), [1], "cell", seen={})
    labels.label(request_id(), [2], "debris", seen={})
    labels.change(request_id(), "rename", category="cell", name="white cell")
    labels.change(request_id(), "merge", category="debris", into="cell")
    assert [labels.category_of(number) for number in (1, 2)] == ["cell", "cell"]
    assert [one["name"] for one in labels.as_json()] == ["white cell"]
    labels.change(request_id(), "delete", category="cell")
    assert labels.as_json() == []
    assert labels.category_of(1) is None
    for _ in range(3):
        assert labels.turn(request_id())
    assert [one["name"] for one in labels.as_json()] == ["cell", "debris"]
    assert [labels.category_of(number) for number in (1, 2)] == ["cell", "debris"]


def test_each_category_has_a_key_and_a_colour_of_its_own(labels):
    for number in range(40):
        labels.change(request_id(), "add", name=f"kind {number}")
    keys = [one["key"] for one in labels.as_json() if one["key"]]
    assert keys[:10] == [*"123456789", "q"]
    assert len(set(keys)) == len(keys)
    assert not {"z", "a", "l", "x", "0"} & set(keys)
    assert len({one["colour"] for one in labels.as_json()[:20]}) == 20


def test_what_cannot_be_read_cannot_be_labelled(labels):
    with pytest.raises(InputError, match=r"broken\.png: cannot be read"):
        labels.label(request_id(), [0, 1], "cell", seen={})
    assert labels.category_of(1) is None


# ---- projects


def test_nothing_is_written_into_the_folder_of_images(folder, tmp_path):
    before = sorted(folder.rglob("*"))
    project = projects.open_project(folder, tmp_path / "projects")
    made = Index(project.folder, project.results / "desk" / "images.sqlite")
    made.scan()
    made.identify_all(lambda _: None)
    made.close()
    assert sorted(folder.rglob("*")) == before
    assert [one["folder"] for one in projects.recent(tmp_path / "projects")] == [str(folder)]


@pytest.mark.parametrize(("asked", "said"), [("nowhere", "there is no such folder"), ("img 1.png", "is a file")])
def test_a_wrong_folder_is_a_sentence(folder, tmp_path, asked, said):
    with pytest.raises(InputError, match=said):
        projects.open_project(folder / asked, tmp_path / "projects")


def test_a_folder_above_the_projects_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds the folder of projects"):
        projects.open_project(tmp_path, tmp_path / "projects")


# ---- files with several images


def test_of_a_stack_the_page_is_shown_that_was_asked_for(folder, server, tmp_path):
    planes = np.stack([np.full((12, 16), value, np.uint8) for value in (10, 200, 60)])
    tifffile.imwrite(folder / "stack.tif", planes, photometric="minisblack")
    server.server.desk.index.scan()
    number = server.server.desk.index.number_of("stack.tif")
    first = server.server.desk.index.identify(number)
    state = server.json("/api/state")[1]
    assert (state["stacks"], state["page"]) == (1, 0)
    assert server.json("/api/page", {"page": "brightest"})[0] == 422
    assert server.json("/api/page", {"page": "maximum_projection"}) == (200, {"page": "maximum_projection"})
    desk = server.server.desk
    desk.listed.wait(20)
    number = desk.index.number_of("stack.tif")
    assert desk.index.identify(number) == codec.content_id(np.full((12, 16, 3), 200, np.uint8)) != first
    shown = np.asarray(Image.open(io.BytesIO(desk.index.picture(number))))
    assert np.abs(shown.astype(int) - 200).max() < 4
    made = wizard.configuration(desk.project, wizard.Choice(), exam=False, unlabelled=True)
    assert made["datasets"][desk.project.dataset]["page"] == "maximum_projection"
    assert projects.open_project(folder, tmp_path / "projects").page == "maximum_projection"  # and the next time


# ---- two windows


def test_each_window_takes_back_its_own_deeds_while_both_are_open(server):
    labels, events = server.server.desk.labels, server.server.events
    for name in ("round", "striped"):
        labels.change(f"first.add-{name}", "add", name=name)
    for window, number, category in (("first", 1, "round"), ("second", 2, "striped")):
        sent = {"request": f"{window}.label", "images": [number], "category": category, "seen": [None]}
        assert server.json("/api/label", sent)[0] == 200
    events._listeners = {object(): "first", object(): "second"}
    assert server.json("/api/turn", {"request": "first.undo-1"})[1]["what"] == "1 image labelled round"
    assert labels.category_of(2) == "striped"
    assert server.json("/api/turn", {"request": "first.redo-1", "redo": True})[1]["what"] == "1 image labelled round"
    events._listeners = {object(): "first"}  # the second is closed: what it did is taken back in the one that is left
    assert server.json("/api/turn", {"request": "first.undo-2"})[1]["what"] == "1 image labelled striped"
    events._listeners = {}


# ---- who may speak


def test_the_secret_in_the_address_becomes_a_cookie(server):
    request = urllib.request.Request(f"{server.base}/?token={SECRET}")
    opener = urllib.request.build_opener(_NoRedirect)
    with pytest.raises(urllib.error.HTTPError) as caught:
        opener.open(request, timeout=20)
    assert caught.value.code == 303
    assert caught.value.headers["Location"] == "/"
    cookie = caught.value.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Cookie": ""}, 403),
        ({"Cookie": "pocketscope=guess"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:80"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_other_pages_and_other_names_are_refused(server, headers, status):
    assert server.ask("/api/state", **headers)[0] == status


def test_changes_need_the_desks_own_page(server):
    del server.headers["Origin"]
    assert server.ask("/api/turn", {"request": request_id()})[0] == 403


def test_a_page_may_load_nothing_from_elsewhere(server):
    for path in ("/", "/api/state", "/static/app.js"):
        headers = server.ask(path)[1]
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/thumbnail/-1/a", "/thumbnail/99/a",
                                  "/picture/../../etc/passwd", "/static//etc/passwd"])  # fmt: skip
def test_no_path_leads_out(server, path):
    assert server.ask(path)[0] in (404, 405)


# ---- the way of a label


def test_a_label_is_on_the_disk_when_it_is_confirmed(server, tmp_path):
    _, added = server.json("/api/category", {"request": request_id(), "what": "add", "name": 'a "cell" <b> 🎉'})
    category = added["categories"][0]["id"]
    status, answer = server.json(
        "/api/label", {"request": request_id(), "images": [1, 3], "category": category, "seen": [None, None]}
    )
    assert status == 200
    assert [1, category, "ada"] in answer["labels"]
    with Journal(server.server.desk.project.journal) as journal:
        assert {said.path for said in journal.current()} == {"img 0.png", "img 2.png"}
    status, answer = server.json(
        "/api/label", {"request": request_id(), "images": [1], "category": None, "seen": [None]}
    )
    assert status == 409
    assert answer["overtaken"] == [[1, category]]
    assert server.json("/api/turn", {"request": request_id()})[1]["what"] == '2 images labelled a "cell" <b> 🎉'
    _, state = server.json("/api/state")
    assert all(category is None for _, category, _ in state["labels"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"images": [1], "category": None, "seen": [None]}, 400),  # no request
        ({"request": "12345678", "images": [], "category": None, "seen": []}, 400),
        ({"request": "12345678", "images": [1], "category": None, "seen": []}, 422),
        ({"request": "12345678", "images": [4711], "category": None, "seen": [None]}, 422),
        ({"request": "12345678", "images": [-1], "category": None, "seen": [None]}, 422),
        ({"request": "12345678", "images": ["1"], "category": None, "seen": [None]}, 400),
        ({"request": "12345678", "images": [1], "category": "no such", "seen": [None]}, 422),
        ([], 400),
    ],
)
def test_nonsense_is_refused_in_words(server, body, status):
    got, answer = server.json("/api/label", body)
    assert got == status
    assert answer["error"]


def test_pictures_come_as_a_network_sees_them(server):
    status, headers, small = server.ask("/thumbnail/1/v")
    assert (status, headers["Content-Type"], small[:4]) == (200, "image/webp", b"RIFF")
    assert server.ask("/picture/1/v")[2][:2] == b"\xff\xd8"
    assert server.ask("/thumbnail/0/v")[0] == 415


def test_the_chooser_tells_names_of_folders_alone(server, folder):
    status, found = server.json(f"/api/folders?of={urllib.request.quote(str(folder))}")
    assert (status, found["folders"]) == (200, ["sub"])
    assert server.json("/api/folders?of=/no/such/place")[0] == 422


# ---- bad days


NAMES = ('it\'s "quoted".png', "new\nline.png", "🎉 שלום.png", "a&b<i>%20#?.png", b"bad\xff.png")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_may_be_called_anything(tmp_path, name):
    top = tmp_path / "images"
    picture(top / "one.png", 1)
    os.rename(top / "one.png", os.path.join(os.fsencode(top), os.fsencode(name)))  # noqa: PTH104, PTH118
    made = Index(top, tmp_path / "images.sqlite")
    made.scan()
    with Journal(tmp_path / "labels.sqlite") as journal:
        labels = Labels(journal, made, "ada")
        labels.change("request-add", "add", name=ODD)
        labels.label("request-label", [0], ODD, seen={0: None})
        assert [said.path for said in journal.current()] == made.paths
    assert json.loads(json.dumps(made.paths, ensure_ascii=False).encode()) == made.paths  # as the page gets it
    assert made.thumbnail(0)
    made.close()
    again = Index(top, tmp_path / "images.sqlite")
    again.scan()
    assert again.image_ids == made.image_ids
    again.close()


def test_where_no_thumbnail_can_be_kept_they_are_shown_all_the_same(folder, tmp_path):
    (tmp_path / "a file").write_text("no folder")
    made = Index(folder, tmp_path / "a file" / "images.sqlite")
    made.scan()
    assert made.thumbnail(1) == made.thumbnail(1)
    made.close()


def test_a_damaged_cache_is_made_anew(folder, tmp_path):
    cache = tmp_path / "images.sqlite"
    cache.write_bytes(b"no database at all" * 100)
    made = Index(folder, cache)
    made.scan()
    assert made.identify(1)
    made.close()
    assert cache.read_bytes().startswith(b"SQLite format 3")


def test_a_full_disk_is_told_and_nothing_is_confirmed(server, monkeypatch):
    _, added = server.json("/api/category", {"request": request_id(), "what": "add", "name": "cell"})
    category = added["categories"][0]["id"]
    journal = server.server.desk.journal
    # As SQLite says it: no page more than there are.
    pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
    journal._connection.execute(f"PRAGMA max_page_count = {pages}")
    body = {"images": [1], "category": category, "seen": [None]}
    for _ in range(200):
        status, answer = server.json("/api/label", {"request": request_id()} | body)
        if status != 200:
            break
        server.json("/api/turn", {"request": request_id()})
    assert status == 422
    assert "disk is full; free some space" in answer["error"]
    journal._connection.execute("PRAGMA max_page_count = 1000000")
    assert server.json("/api/label", {"request": request_id()} | body)[0] == 200


def until(true):
    """Wait until something is true, and return it."""
    for _ in range(600):
        if found := true():
            return found
        threading.Event().wait(0.05)
    raise AssertionError("waited in vain")


def test_a_folder_that_is_away_is_told_and_comes_back(server, folder):
    desk = server.server.desk
    folder.rename(folder.with_name("away"))
    trouble = until(lambda: desk.trouble)
    assert "labels are kept, and the images come back with the folder" in trouble
    assert server.json("/api/state")[1]["gone"] == []
    assert server.json("/api/run", {"kind": "features"}) == (422, {"error": trouble})
    folder.with_name("away").rename(folder)
    until(lambda: desk.trouble is None)


def test_an_empty_folder_is_no_error_and_nothing_is_started(server, tmp_path):
    (tmp_path / "empty").mkdir()
    assert server.json("/api/open", {"folder": str(tmp_path / "empty")})[0] == 200
    until(lambda: server.server.desk.scanned)
    assert server.json("/api/state")[1]["images"] == []
    for path, body in (("/api/run", {"kind": "features"}), ("/api/exam", {"request": request_id(), "width": 0.2})):
        status, answer = server.json(path, body)
        assert status == 422
        assert "images" in answer["error"]


def test_three_hundred_categories_are_no_trouble(labels, index):
    for number in range(300):
        labels.change(f"request-{number:04d}", "add", name=f"kind {number}")
    labels.label(request_id(), [1], "kind 299", seen={1: None})
    assert labels.category_of(1) == "kind 299"
    assert len(labels.as_json()) == 302
    assert sum(one["key"] is not None for one in labels.as_json()) == len(KEYS)


def test_a_second_open_of_a_project_finds_the_first(server, monkeypatch):
    project = server.server.desk.project
    (project.home / "secret").write_text(SECRET * 2)
    (project.home / "secret").chmod(0o600)
    assert open_command._open_already(project) is None  # another desk's secret, or none at that port
    server.server.app.secret = SECRET * 2
    assert open_command._open_already(project) is None  # it is not known where it listens
    projects.write(project, port=server.port)
    assert open_command._open_already(project) == f"{server.base}/?token={SECRET * 2}"


def test_a_port_that_is_taken_is_told_or_left(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"127\.0\.0\.1:{port}: .* leave --port out to take a free one"):
            open_command._listening("127.0.0.1", port, None)
        with open_command._listening("127.0.0.1", None, port) as free:  # where the project was last time
            assert free.getsockname()[1] != port


# ---- labels of a table


def send_table(server, content, name="labels.csv"):
    data = content if isinstance(content, bytes) else content.encode()
    request = urllib.request.Request(f"{server.base}/api/take-table?name={name}", data, server.headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_table_of_labels_is_taken_on_the_page(server, folder):
    lines = ["path;label", "img 1.png;cell", f"{folder}/img 2.png;cell", "img 3.png;Trümmer", "img 4.png;Trümmer"]
    status, found = send_table(server, "\n".join([*lines, "img 5.png;"]).encode("cp1252"))
    assert (status, found["new"], found["known"]) == (200, 4, 0)
    assert "is read as Windows-1252, such as 'Trümmer'" in found["remarks"][0]
    _, state = server.json("/api/state")
    assert [one["name"] for one in state["categories"]] == ["Trümmer", "cell"]
    names = {one["id"]: one["name"] for one in state["categories"]}
    said = {state["images"][number]: names[category] for number, category, _ in state["labels"]}
    assert said == {"img 1.png": "cell", "img 2.png": "cell", "img 3.png": "Trümmer", "img 4.png": "Trümmer"}
    assert send_table(server, "\n".join(lines))[1]["known"] == 4
    server.json("/api/turn", {"request": request_id()})
    assert not any(category for _, category, _ in server.json("/api/state")[1]["labels"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("path,label\nimg 9.png,cell\n", "labels.csv: 1 rows with a label name images that are not in the data set"),
        ("path,label\nimg 1.png,cell\nbroken.png,cell\n", "row 2: 'broken.png': no image, or damaged"),
        ("path,label\nimg 1.png,\n", "no row has a label"),
        ("img 1.png,cell\nimg 2.png,cell\n", "the first row should name the columns 'path' and 'label'"),
        ("path,a,b\nimg 1.png,1,1\n", "name the labels' column 'label', or remove what is no class"),
        ("PK\x03\x04", "is a workbook, not a table of text"),
        ("", "labels.csv"),
    ],
)
def test_of_a_table_that_is_wrong_nothing_is_taken(server, content, said):
    status, found = send_table(server, content)
    assert status == 422
    assert said in found["error"]
    assert not any(word in found["error"] for word in ("/tmp", ".parquet", "of the source"))
    assert server.json("/api/state")[1]["labels"] == []
