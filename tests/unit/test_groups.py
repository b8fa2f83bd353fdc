"""Which images belong together: by folders, names, tables, headers; what is remarked; near-duplicates as one unit."""

import logging

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from image_files import dicom
from pocketscope.config.datasets import Dataset
from pocketscope.config.messages import validate
from pocketscope.core.errors import InputError
from pocketscope.core.group_rules import expression, group_in
from pocketscope.core.parquet import notes as notes_of
from pocketscope.data import group_remarks, packing, splitting
from pocketscope.data.sources import kinds


def put(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    if path.suffix == ".dcm":
        path.write_bytes(dicom(values[..., 0], PatientID=f"p{seed % 3}", StudyInstanceUID=f"1.2.{seed % 4}"))
    else:
        Image.fromarray(values).save(path, "PNG")


def groups(root, group, **source):
    source = {"kind": "folder", "path": "images", "group": group} | source
    return {record.path: record.group for record in kinds.records(source, root)}


def packed(root, group, **source):
    """Return the groups in the packed table by path, and the notes beside it."""
    tables = {name: root / "out" / f"{name}.parquet" for name in ("images", "labels", "skipped", "files")}
    source = {"kind": "folder", "path": "images", "group": group} | source
    packing.pack(source, root, **tables, image_size=8, resize="crop")
    rows = pa.parquet.read_table(tables["images"]).to_pylist()
    return {row["paths"][0]: row["group"] for row in rows}, notes_of(tables["images"])


@pytest.fixture
def root(tmp_path):
    names = [f"{label}/patient_{label}{p}/{i}.png" for label in "ab" for p in range(3) for i in range(2)]
    for seed, name in enumerate(names):
        put(tmp_path / "images" / name, seed)
    return tmp_path


# ---- patterns


@pytest.mark.parametrize(
    ("pattern", "path", "group"),
    [
        ("<group>_s#", "a/A01_s1.tif", "A01"),
        ("<group>_s#", "a/A01_s1_w2.tif", None),
        ("<group>_s#*", "a/A01_s12_w2.ome.tif", "A01"),
        ("<group>_S#", "A01_s3", "A01"),
        ("<group>_*", "plate 1_A01_2.png", "plate 1"),
        ("*_<group>_#", "exp_p7_0003.png", "p7"),
        ("<group>/*", "x/pat 3/0.png", "pat 3"),
        ("<group>/*/*", "x/pat 3/ct/0.png", "pat 3"),
        ("b/<group>/*", "a/pat/0.png", None),
        ("<group>.tif", "a.b.tif", "a.b"),
        ("(<group>)", "a/(1).png", "1"),
        ("<group>-?", "a/12-r.jpg", "12"),
        ("Präp<group>_#", "Pra\u0308p7_1.png", "7"),
    ],
)
def test_patterns_of_names(pattern, path, group):
    assert group_in(path, expression(pattern)) == group


@pytest.mark.parametrize("pattern", ["", "*_s#", "<group>_<group>"])
def test_a_pattern_names_the_group_once(pattern):
    with pytest.raises(ValueError, match="needs <group> once"):
        expression(pattern)


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ("PatientId", "did you mean 'PatientID'?"),
        ("<group>_<group>", "needs <group> once"),
        ("patient", "a pattern with <group>"),
        ({"file": "x.csv"}, "'source.group.table' is missing"),
        (7, "'source.group': 7 is a number"),
    ],
)
def test_what_is_no_group_is_refused_with_what_is(group, said):
    with pytest.raises(InputError) as caught:
        validate(Dataset, {"source": {"kind": "folder", "path": "x", "group": group}}, "d")
    assert said in str(caught.value)


def test_a_table_names_its_groups_once():
    table = {"kind": "table", "path": "x.csv"}
    for group, said in (("folder", "'<group>/\\*'"), ("folder_above", "'<group>/\\*'"), ("<group>_#", "leave one out")):
        with pytest.raises(InputError, match=said):
            validate(Dataset, {"source": table | {"group": group, "columns": {"group": "patient"}}}, "d")


# ---- sources


def test_the_folder_inside_the_class(root):
    put(root / "images" / "a" / "loose.png", 50)
    put(root / "new" / "patient_a1" / "deep" / "7.png", 51)
    put(root / "new" / "8.png", 52)
    put(root / "held" / "b" / "patient_t" / "9.png", 53)
    found = groups(root, "folder", unlabelled="new", test="held")
    assert found["a/patient_a1/0.png"] == found["../new/patient_a1/deep/7.png"] == "patient_a1"
    assert found["../held/b/patient_t/9.png"] == "patient_t"
    assert found["a/loose.png"] is found["../new/8.png"] is None


def test_patients_who_are_in_several_classes_are_one_group_each(root):
    for label in "ab":
        for p in range(5):
            put(root / "same" / label / str(p) / "0.png", p)
    with pytest.raises(InputError, match="inside the classes: set 'group: folder'"):
        groups(root, None, path="same")
    assert set(groups(root, "folder", path="same").values()) == set("01234")


def test_patients_above_the_classes(root):
    names = [f"patient {p}/{label}/{i}.png" for p in range(5) for label in "ab"[: 1 + p % 2] for i in range(2)]
    for seed, name in enumerate([*names, "patient 0/a/deep/9.png"]):
        put(root / "above" / name, seed)
    put(root / "held" / "patient 9" / "b" / "1.png", 90)
    put(root / "new" / "patient 8" / "1.png", 91)
    put(root / "above" / "patient 1" / "loose.png", 92)
    asked = {"kind": "folder", "path": "above", "test": "held", "unlabelled": "new", "group": "folder_above"}
    found = {record.path: (record.label, record.group) for record in kinds.records(asked, root)}
    assert found["patient 3/b/1.png"] == ("b", "patient 3")
    assert found["patient 0/a/deep/9.png"] == ("a", "patient 0")
    assert found["../held/patient 9/b/1.png"] == ("b", "patient 9")
    assert found["../new/patient 8/1.png"] == (None, "patient 8")
    assert found["patient 1/loose.png"] == (None, "patient 1")
    rows, _ = packed(root, "folder_above", path="above")
    assert rows["patient 3/b/1.png"] == "patient 3"
    assert "patient 1/loose.png" not in rows  # skipped: it lies in no class
    with pytest.raises(
        InputError, match="'a', 'b', the groups; if it is the other way round, set 'group: folder_above'"
    ):
        groups(root, "folder", path="above")
    with pytest.raises(InputError, match="set 'group: folder_above' of the source, where they are patients"):
        groups(root, None, path="above")
    with pytest.raises(InputError, match="'group: folder_above' of the source: no folder inside holds class folders"):
        groups(root, "folder_above", path="above/patient 1")


def test_folders_that_are_not_there_are_no_groups(root):
    for name in ("a/1.png", "b/2.png"):
        put(root / "flat" / name, 0)
    with pytest.raises(InputError, match="no class has a folder inside"):
        groups(root, "folder", path="flat")
    with pytest.raises(InputError, match=r"no image has a group by the pattern '<group>_s#'; .* 'a/1.png', 'b/2.png'"):
        groups(root, "<group>_s#", path="flat")


def test_a_pattern_groups_folders_and_tables_alike(root):
    (root / "t.csv").write_text("path,label\nimages/a/patient_a0/0.png,x\nimages/b/patient_b1/1.png,y\n")
    assert groups(root, "<group>/*")["a/patient_a2/1.png"] == "patient_a2"
    found = groups(root, "patient_<group>/*", kind="table", path="t.csv")
    assert set(found.values()) == {"a0", "b1"}


def test_a_table_groups_what_it_names_as_it_stands_or_nearly(root, caplog):
    table = root / "who.csv"
    rows = [f"{label}/patient_{label}{p}/{i}.png;{p}" for label in "ab" for p in range(3) for i in range(2)]
    table.write_text("\n".join(["file;who", *rows, "elsewhere.png;9", "a/patient_a0/1.png;"]))
    found = groups(root, {"table": "who.csv", "path": "file", "group": "who"})
    assert found["a/patient_a2/1.png"] == "2"
    assert "1 rows name no image of this data set" in caplog.text
    before = kinds.fingerprint(source := {"kind": "folder", "path": "images", "group": {"table": "who.csv"}}, {})
    assert "../who.csv" in (state := kinds.state(source, root))
    table.write_text("\n".join(["path,group", *(row.replace("/", "\\").replace(";", ",") for row in rows)]))
    assert kinds.fingerprint(source, kinds.state(source, root)) not in (before, kinds.fingerprint(source, state))
    assert groups(root, {"table": "who.csv"})["b/patient_b1/0.png"] == "1"
    assert "differ from the files' in backslashes" in caplog.text
    for text, said in [
        ("path,patient\nx,1\n", "no column 'group' for the group"),
        ("path,group\na/patient_a0/0.png,1\na/patient_a0/0.png,2\n", "row 2 contradicts an earlier one"),
        ("path,group\na/patient_a0/0.png,1.2E+11\n", "what a spreadsheet made of another one"),
        ("path,group\nz.png,1\n", "no image has a group by the table 'who.csv'"),
        ("path,group\nA/patient_a0/0.png,1\n", "1 paths nearly name an image"),
    ]:
        table.write_text(text)
        with pytest.raises(InputError, match=said):
            groups(root, {"table": "who.csv"})
    table.unlink()
    with pytest.raises(InputError, match="there is no such file"):
        groups(root, {"table": "who.csv"})


def test_headers_group_dicom_files_and_are_not_spread(root):
    for seed in range(12):
        put(root / "scans" / "ab"[seed % 2] / f"{seed}.dcm", seed)
    put(root / "scans" / "a" / "photo.png", 99)
    for key, number in (("PatientID", 3), ("StudyInstanceUID", 4)):
        found, notes = packed(root, key, path="scans")
        assert len(set(found.values()) - {None}) == number
        assert found["a/photo.png"] is None
        assert found["a/0.dcm"] == found["a/0.dcm"] != "p0"
        assert notes["patients"] == 3
        assert notes["of_patients"] == 12
    with pytest.raises(InputError, match="none of the images is a DICOM file that says it"):
        packed(root, "PatientID")


# ---- remarks


def remarks(paths, groups_=None, **notes):
    labels = [path.split("/")[0] if "/" in path else None for path in paths]
    images = pa.table(
        {
            "image_id": list(map(str, range(len(paths)))),
            "paths": [[path] for path in paths],
            "group": pa.array(groups_ or [None] * len(paths), pa.string()),
        }
    )
    table = pa.table({"image_id": images["image_id"], "label": pa.array(labels, pa.string())})
    return group_remarks.group_remarks(images, table, notes)


WELLS = [f"{'ab'[i % 2]}/{row}{i:02d}_s{site}.tif" for row in "AB" for i in range(1, 9) for site in (1, 2, 3)]


@pytest.mark.parametrize(
    ("paths", "way"),
    [
        (WELLS, "<group>_s#"),
        ([path.replace("_s", "f") for path in WELLS], "<group>f#*"),
        ([path.replace(".tif", "_w1.tif") for path in WELLS], "<group>_s#*"),
        ([f"{'ab'[i % 2]}/video{i}_frame{f:04d}.png" for i in range(6) for f in range(20)], "<group>_frame#"),
        ([f"{'ab'[x % 2]}/1025{i}_idx5_x{x}_y1_class{x % 2}.png" for i in range(8) for x in range(9)], "<group>_x#*"),
        ([f"{'ab'[i % 2]}/patient {i}-{f}.png" for i in range(8) for f in range(5)], "<group>-#"),
        ([f"{'ab'[i % 2]}/{i:03d}_{eye}.jpg" for i in range(40) for eye in ("left", "right")], "<group>_*"),
        ([f"{label}/patient_{label}{i}/{j}.png" for label in "ab" for i in range(4) for j in range(5)], "folder"),
    ],
)
def test_names_that_suggest_groups_are_remarked_with_the_way_to_set_them(paths, way):
    (said,) = remarks(paths)
    assert f"group: '{way}'" in said or f"'group: {way}'" in said
    assert remarks(paths, ["one"] * len(paths)) == []


@pytest.mark.parametrize(
    "paths",
    [
        [f"{label}/{label}_{i}.png" for label in ("cat", "dog") for i in range(50)],
        [f"{label}/{i:04d}.png" for label in "ab" for i in range(50)],
        [f"{label}/{label}_{i}.png" for label in range(10) for i in range(30)],
        [f"IMG_{i:04d}.jpg" for i in range(80)],
        [f"{'ab'[i % 2]}/2026-01-{1 + i % 20:02d} 12-{i:02d}-11.png" for i in range(60)],
        [f"{label}/{times}X/{j}.png" for label in "ab" for times in (40, 100, 200, 400) for j in range(9)],
        ["a/1_1.png", "b/2_1.png"],
        [],
    ],
)
def test_other_names_are_not_remarked(paths):
    assert remarks(paths) == []


def test_headers_that_show_patients_and_images_without_a_group_are_remarked():
    plain = [f"a/{i}.png" for i in range(9)]
    assert remarks(plain, patients=3, of_patients=9)[0].startswith("9 DICOM files are of 3 patients; unless")
    assert remarks(plain, patients=1, of_patients=9) == remarks(plain, patients=9, of_patients=9) == []
    (said,) = remarks(plain, ["x"] * 4 + [None] * 5)
    assert said.endswith("(5 of 9): 'a/4.png', 'a/5.png', 'a/6.png' and 2 more")


def test_a_column_of_a_table_that_is_not_used_is_remarked(root):
    table = root / "ham.csv"
    table.write_text("path,label,lesion_id,age\n" + "".join(f"{i}.png,{'xy'[i % 2]},L{i // 2},50\n" for i in range(6)))
    source = {"kind": "table", "path": "ham.csv"}
    (said,) = kinds.hints(source, root)
    assert "a column 'lesion_id' of 3 different values" in said
    assert "columns: {group: lesion_id}" in said
    assert remarks(["0.png", "1.png"], hints=[said]) == [said]
    assert (
        kinds.hints(source | {"columns": {"group": "lesion_id"}}, root) == kinds.hints({"kind": "digits"}, root) == []
    )


# ---- nearly equal images as one unit


def split(rows, near):
    images = pa.table(
        {
            "image_id": [row[0] for row in rows],
            "group": pa.array([row[2] for row in rows], pa.string()),
            "role": pa.array([None for _ in rows], pa.string()),
        }
    )
    labels = pa.table({"image_id": images["image_id"], "label": [row[1] for row in rows]})
    drawn = {"labelled": "all", "seed": 0, "test": "share", "test_share": 0.3, "test_seed": 0}
    table, _, _ = splitting.assign(
        images, labels, near=near, validation_share=0.2, min_validation=50, strict=False, **drawn
    )
    return {row["image_id"]: row for row in table.to_pylist()}


ROWS = [(f"{label}{i:02d}", label, f"g{label}{i // 3}" if i < 9 else None) for label in "ab" for i in range(20)]


@given(near=st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), max_size=12))
def test_pairs_and_their_groups_are_on_one_side(near):
    pairs = [(ROWS[one][0], ROWS[other][0]) for one, other in near]
    found, before = split(ROWS, pairs), split(ROWS, [])
    assert found.keys() == before.keys()
    groups = {identity: group for identity, _, group in ROWS}
    for one, other in pairs:
        assert (found[one]["role"] == "test") == (found[other]["role"] == "test")
        if one != other and (groups[one] is None or groups[one] != groups[other]):
            assert found[one]["group"] == found[other]["group"] is not None
    for identity, _, group in ROWS:
        mates = [row["role"] == "test" for row in found.values() if groups[row["image_id"]] == group and group]
        assert len(set(mates)) <= 1
        if not near:
            assert found[identity]["group"] == group


def test_a_unit_of_near_duplicates_is_said(caplog):
    caplog.set_level(logging.INFO)
    split(ROWS, [("a10", "a11"), ("a11", "b15"), ("a00", "b19"), ("not", "there")])
    assert "units of nearly equal images: 2, the largest unit of 4 images" in caplog.text
