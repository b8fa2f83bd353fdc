"""A snapshot of a source's files: what is packed of it, what came since, and what ships by what was recommended."""

import numpy as np
import pytest
from PIL import Image

from helpers import CATALOGUE, study, write_config
from pocketscope.config.study import read_config
from pocketscope.core import files, parquet
from pocketscope.core.errors import InputError
from pocketscope.data import corrections, packing
from pocketscope.data.sources import kinds
from pocketscope.plan import history, shipping
from pocketscope.plan.study_plan import StudyPlan
from pocketscope.tables.images import IMAGES
from pocketscope.tables.source_labels import SKIPPED, SOURCE_LABELS

FOLDER = {"kind": "folder", "path": "images", "unlabelled": "new"}
SCHEMAS = {"images": IMAGES, "labels": SOURCE_LABELS, "skipped": SKIPPED}


def put(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def root(tmp_path):
    for seed in range(6):
        put(tmp_path / "images" / "ab"[seed % 2] / f"{seed}.png", seed)
    put(tmp_path / "new/0.png", 10)
    return tmp_path


def pack(root, out, **options):
    paths = {name: root / out / f"{name}.parquet" for name in (*SCHEMAS, "files")}
    packing.pack(FOLDER, root, **paths, image_size=8, resize="crop", **options)
    return {name: parquet.read(paths[name], schema).to_pylist() for name, schema in SCHEMAS.items()}


def snapshot(root):
    pack(root, "out")
    files.copy(root / "out/files.parquet", root / "snapshot.parquet")
    return root / "snapshot.parquet"


def paths_of(found):
    return sorted(path for row in found["images"] for path in row["paths"])


def test_a_snapshot_packs_the_same_bytes_and_what_came_since_apart(root):
    taken = snapshot(root)
    before = (root / "out/images.parquet").read_bytes()
    put(root / "new/1.png", 11)
    put(root / "images/c/2.png", 12)  # a class that one image has: it is answered, and learnt from later
    (root / "new/bad.png").write_bytes(b"bad")
    found = pack(root, "out", snapshot=taken)
    assert (root / "out/images.parquet").read_bytes() == before
    assert found["skipped"] == []
    new = pack(root, "later", snapshot=taken, new=True)
    assert paths_of(new) == ["../new/1.png", "c/2.png"]
    assert {row["label"] for row in new["labels"]} == {None, "c"}
    assert [row["path"] for row in new["skipped"]] == ["../new/bad.png"]


def test_nothing_but_unreadable_files_came(root):
    taken = snapshot(root)
    (root / "new/bad.png").write_bytes(b"bad")
    new = pack(root, "later", snapshot=taken, new=True)
    assert new["images"] == new["labels"] == []


def test_a_file_that_changed_came_anew_and_its_snapshot_cannot_be_packed_again(root):
    taken = snapshot(root)
    put(root / "new/0.png", 20)
    assert paths_of(pack(root, "later", snapshot=taken, new=True)) == ["../new/0.png"]
    (root / "images/a/2.png").unlink()
    with pytest.raises(InputError, match=r"2 files have changed, or are gone.*\n  ../new/0.png\n  a/2.png\n.*refresh"):
        pack(root, "out", snapshot=taken)


def test_a_table_of_a_source_is_no_image_that_came(tmp_path):
    for seed in range(3):
        put(tmp_path / f"{seed}.png", seed)
    source = {"kind": "table", "path": "labels.csv"}
    (tmp_path / "labels.csv").write_text("path,label\n0.png,a\n1.png,b\n")
    before = kinds.state(source, tmp_path)
    (tmp_path / "labels.csv").write_text("path,label\n0.png,a\n1.png,b\n2.png,\n")
    assert list(kinds.arrived(source, tmp_path, kinds.state(source, tmp_path), before)) == ["2.png"]
    assert kinds.arrived({"kind": "digits"}, tmp_path, {"x": (1, 1, "1", "other")}, {}) == {}


# ---- what a study is pinned to


@pytest.fixture
def plan(tmp_path):
    config, networks = read_config(write_config(tmp_path, study(), CATALOGUE), tmp_path)
    return StudyPlan(config, networks, tmp_path)


def recommended(method, passing=(), undecided=()):
    form = "shufflenet_v2_x0_5 int8"
    names = {
        key: [f"{name}/{form}" for name in value] for key, value in {"passing": passing, "undecided": undecided}.items()
    }
    candidate = {"method": method, "network": "shufflenet_v2_x0_5", "precision": "int8"}
    return candidate | {"candidate": f"{method}/{form}"} | names


@pytest.mark.parametrize(
    ("given", "shipped"),
    [
        (recommended("supervised", passing=["supervised", "plain"]), "plain"),
        (recommended("supervised", passing=["supervised"], undecided=["plain"]), "plain"),
        (recommended("supervised", passing=["supervised"]), "supervised"),  # shown to be worse
        (recommended("plain", passing=["plain", "supervised"]), "plain"),
    ],
)
def test_the_default_method_ships_where_the_test_cannot_tell_methods_apart(plan, given, shipped):
    assert shipping.candidate_that_ships(plan, given) == {
        "method": shipped,
        "network": "shufflenet_v2_x0_5",
        "precision": "int8",
    }


@pytest.mark.parametrize(("lower", "shipped"), [(0.011, "fp32"), (0.009, "int8"), (None, "int8")])
def test_fp32_ships_where_int8_is_shown_to_lose_more_than_a_point(plan, lower, shipped):
    line = {"network": "shufflenet_v2_x0_5", "difference": 0.02, "lower": lower, "upper": 0.03}
    # Of the default method, which ships, and not of the one that the test set recommends.
    lost = [line | {"method": "plain"}, line | {"method": "supervised", "lower": 0.02}]
    given = recommended("supervised", passing=["supervised", "plain"]) | {"int8": lost}
    assert shipping.candidate_that_ships(plan, given)["precision"] == shipped


def test_the_default_method_can_be_named(tmp_path):
    path = write_config(tmp_path, study(ship={"method": "supervised"}), CATALOGUE)
    config, networks = read_config(path, tmp_path)
    named = StudyPlan(config, networks, tmp_path)
    given = recommended("plain", passing=["plain", "supervised"])
    assert shipping.candidate_that_ships(named, given)["method"] == "supervised"
    with pytest.raises(InputError, match=r"ship.method: there is no method 'plane'; did you mean 'plain'"):
        read_config(write_config(tmp_path, study(ship={"method": "plane"}), CATALOGUE), tmp_path)


def test_what_is_pinned_is_of_this_data_set_and_of_a_candidate_that_is_still_there(plan, tmp_path):
    path = tmp_path / "history.json"
    (name,) = plan.packed_names
    candidate = {"method": "plain", "network": "shufflenet_v2_x0_5", "precision": "fp32"}
    pinned = {"digits": {"packed": name, "candidate": candidate, "labels": [".parquet", "ab"]}}
    assert history.read(path, plan.config, plan.packed_names) == {}
    history.write(path, pinned)
    read = history.read(path, plan.config, plan.packed_names)
    assert read["digits"].items() >= pinned["digits"].items()
    history.write(path, {"digits": pinned["digits"] | {"candidate": candidate | {"method": "gone"}}})
    assert history.read(path, plan.config, plan.packed_names)["digits"]["candidate"] is None
    history.write(path, {"digits": pinned["digits"] | {"packed": "digits-elsewhere"}})
    assert history.read(path, plan.config, plan.packed_names) == {}


def test_a_refresh_takes_away_what_is_pinned_and_nothing_else(plan, tmp_path):
    (name,) = plan.packed_names
    pinned = [f"datasets/{name}/snapshot.parquet", "small/history.json", "small/history/digits.parquet"]
    for path in (*pinned, "small/labels/digits.parquet", "small/scores.csv"):
        files.write_text(tmp_path / path, "x")
    history.forget(tmp_path, plan.layout, plan.packed_names)
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert [path for path in left if path.startswith(("small", "datasets"))] == [
        "small/labels/digits.parquet",
        "small/scores.csv",
    ]
    assert history.forget(tmp_path, plan.layout, plan.packed_names) == []


def test_how_many_labels_came_since(tmp_path):
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("path,label\na,x\nb,y\nc,\n")
    two.write_text("path,label\na,x\nb,x\nc,y\n")
    assert corrections.changed(one, two) == 2
    assert corrections.changed(None, two) == 3
    assert corrections.changed(None, None) == 0
