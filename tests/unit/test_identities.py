"""A decoder that is mended moves no image: identities stay, and labels find their files."""

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from pocketscope.core import parquet
from pocketscope.data import corrections, identities, packing
from pocketscope.data.identities import Identities
from pocketscope.images import decode
from pocketscope.images.codec import content_id
from pocketscope.tables.given_labels import GIVEN_LABELS
from pocketscope.tables.images import IMAGES
from pocketscope.tables.source_labels import SOURCE_LABELS

TABLES = ("images", "labels", "skipped", "files")


@pytest.fixture
def root(tmp_path):
    for seed in range(6):
        path = tmp_path / "images" / "ab"[seed % 2] / f"{seed}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 5, 3), dtype=np.uint8)).save(path)
    return tmp_path


def pack(root, out, **options):
    """Pack as the rule does, which deletes its outputs before; return the identity by path, and the notes."""
    folder = root / "datasets" / out
    for name in TABLES:
        (folder / f"{name}.parquet").unlink(missing_ok=True)
    paths = {name: folder / f"{name}.parquet" for name in TABLES}
    source = {"kind": "folder", "path": "images"}
    packing.pack(source, root, **paths, **{"image_size": 8, "resize": "crop"} | options, remembered=folder)
    rows = parquet.read(paths["images"], IMAGES).to_pylist()
    return {path: row["image_id"] for row in rows for path in row["paths"]}, parquet.notes(paths["images"])


def mended(monkeypatch, wrong):
    """Decode some files otherwise from now on: those that `wrong` says of their pixels."""
    plain = decode.decode
    monkeypatch.setattr(decode, "decode", lambda *a, **k: 255 - image if wrong(image := plain(*a, **k)) else image)


def test_a_mended_decoder_moves_no_image_and_its_files_are_named(root, monkeypatch):
    before, notes = pack(root, "set-1")
    assert identities.remarks(notes) == []
    assert pack(root, "set-1")[0] == before
    first = decode.decode((root / "images/a/0.png").read_bytes())
    mended(monkeypatch, lambda image: (image == first).all())
    after, notes = pack(root, "set-1")
    assert after == before
    (said,) = identities.remarks(notes)
    assert said.startswith(
        "files that are decoded otherwise than when they were packed first (1): 'a/0.png'; they keep"
    )
    assert pack(root, "set-2", image_size=16)[0] == before  # the same set at another size
    assert pack(root, "other-1")[0]["a/0.png"] == content_id(255 - first)  # a set that has no past
    (root / "datasets/set-1/identities.parquet").write_bytes(b"cut")
    assert pack(root, "set-1")[0] == before  # remembered beside


def test_images_that_were_one_because_they_were_read_wrongly_part():
    black = Identities({})
    given = [black.of(sha256, "black", sha256) for sha256 in ("s0", "s1")]
    assert given == ["black", "black"]
    assert black.notes == {}
    mended_ = Identities(black.given)
    assert mended_.of("s0", "red", "0.dcm") == "black"
    assert mended_.of("s1", "blue", "1.dcm") == "blue"
    assert mended_.of("s2", "blue", "copy.dcm") == "blue"
    assert mended_.of("s3", "black", "really black.dcm") not in ("black", "blue", "red")
    assert mended_.notes == {"decoded_otherwise": {"images": 2, "first": ["0.dcm", "1.dcm"]}}


def test_labels_of_a_journal_find_their_files(tmp_path):
    images = pa.table({"image_id": ["new", "kept"], "paths": [["1.png"], ["2.png"]], "sha256": [["s1"], ["s2", "s3"]]})
    labels = pa.table({"image_id": ["new", "kept"], "label": ["a", None]}, schema=SOURCE_LABELS)
    about = {"path": "p", "who": "me", "when": "now", "guess_shown": False}
    rows = [
        about | {"image_id": "old", "sha256": "s1", "class": "b"},  # as another version decoded it
        about | {"image_id": "kept", "sha256": "s2", "class": "a"},
        about | {"image_id": "former", "sha256": "s3", "class": "b"},  # that image has a label by its identity
        about | {"image_id": "gone", "sha256": None, "class": "b"},
    ]
    table = tmp_path / "given.parquet"
    parquet.write(pa.Table.from_pylist(rows, schema=GIVEN_LABELS), table, GIVEN_LABELS)
    given = corrections.read({}, table, tmp_path, images, labels)
    assert given.learnt == {"new": "b", "kept": "a"}
