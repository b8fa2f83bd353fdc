"""The digest that decides what is run again after a change of code."""

from pathlib import Path

import pytest

from pocketscope.data.sources import kinds
from pocketscope.images.formats import DECODERS
from pocketscope.runtime import code_digest

SCRIPTS = Path(__file__).parents[2] / "workflow_scripts"


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "pocketscope").mkdir()
    (tmp_path / "rule.py").write_text("from pocketscope import used\nused.act(1)\n")
    (tmp_path / "pocketscope" / "used.py").write_text(
        '"""What it does."""\nfrom pocketscope.deep import value\ndef act(x):\n    """Act."""\n    return x + value\n'
    )
    (tmp_path / "pocketscope" / "deep.py").write_text("value = 1\n")
    (tmp_path / "pocketscope" / "unused.py").write_text("value = 1\n")

    def digest():
        code_digest._imports.cache_clear()
        code_digest.digest_of_file.cache_clear()
        code_digest._parse.cache_clear()
        return code_digest.digest_of_script(tmp_path / "rule.py")

    return tmp_path, digest


@pytest.mark.parametrize(
    ("name", "old", "new", "same"),
    [
        ("rule.py", "used.act(1)", "used.act(  1 )  # a comment", True),
        ("rule.py", "used.act(1)", "used.act(2)", False),
        ("pocketscope/used.py", "What it does.", "Another docstring.", True),
        ("pocketscope/used.py", '"""Act."""', '"""Act, explained."""', True),
        ("pocketscope/used.py", "x + value", "x - value", False),
        ("pocketscope/deep.py", "value = 1", "value = 2", False),
        ("pocketscope/unused.py", "value = 1", "value = 2", True),
    ],
)
def test_what_changes_the_digest(checkout, name, old, new, same):
    folder, digest = checkout
    before = digest()
    path = folder / name
    path.write_text(path.read_text().replace(old, new))
    assert (digest() == before) is same


def test_an_import_inside_a_function_counts(checkout):
    folder, digest = checkout
    (folder / "rule.py").write_text("def f():\n    from pocketscope import unused\n")
    before = digest()
    (folder / "pocketscope" / "unused.py").write_text("value = 3\n")
    assert digest() != before


def test_what_is_left_out_does_not_count_nor_what_it_alone_imports(checkout):
    folder, digest = checkout
    names = ["rule.py", "pocketscope/used.py", "pocketscope/deep.py"]
    for without, found in (([], names), (["pocketscope.deep"], names[:2]), (["pocketscope.used"], names[:1])):
        paths = code_digest.modules(folder / "rule.py", without)
        assert {path.relative_to(folder).as_posix() for path in paths} == set(found)
    (folder / "rule.py").write_text("from pocketscope import used, deep\n")
    digest()  # forgets what was read before
    assert folder / "pocketscope/deep.py" in code_digest.modules(folder / "rule.py", ["pocketscope.used"])


ROOM = {
    "pocketscope/__init__.py": "",
    "pocketscope/room/__init__.py": "",
    "pocketscope/room/door.py": "value = 1\n",
    "pocketscope/room/inner/__init__.py": "",
    "pocketscope/room/inner/lamp.py": "value = 1\n",
    "pocketscope/other/__init__.py": "",
    "pocketscope/other/chair.py": "value = 1\n",
}
PACKAGES = {"pocketscope/__init__.py", "pocketscope/room/__init__.py"}


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"rule.py": "import pocketscope.room.door"}, PACKAGES | {"pocketscope/room/door.py"}),
        ({"rule.py": "import pocketscope.room.door as d"}, PACKAGES | {"pocketscope/room/door.py"}),
        ({"rule.py": "from pocketscope.room import door"}, PACKAGES | {"pocketscope/room/door.py"}),
        ({"rule.py": "from pocketscope.room.door import value"}, PACKAGES | {"pocketscope/room/door.py"}),
        ({"rule.py": "from pocketscope import room"}, PACKAGES),
        (
            {"rule.py": "from pocketscope.room.inner import lamp"},
            PACKAGES | {"pocketscope/room/inner/__init__.py", "pocketscope/room/inner/lamp.py"},
        ),
        (  # a package's own file imports for all who import the package
            {"rule.py": "import pocketscope.room", "pocketscope/room/__init__.py": "from .door import value"},
            PACKAGES | {"pocketscope/room/door.py"},
        ),
        (
            {"rule.py": "import pocketscope.room", "pocketscope/room/__init__.py": "from . import door"},
            PACKAGES | {"pocketscope/room/door.py"},
        ),
        (  # relative, from a module: its own package, the one above, and one beside
            {"rule.py": "import pocketscope.room.door", "pocketscope/room/door.py": "from .inner import lamp"},
            PACKAGES
            | {"pocketscope/room/door.py", "pocketscope/room/inner/__init__.py", "pocketscope/room/inner/lamp.py"},
        ),
        (
            {"rule.py": "import pocketscope.room.inner.lamp", "pocketscope/room/inner/lamp.py": "from .. import door"},
            PACKAGES
            | {"pocketscope/room/door.py", "pocketscope/room/inner/__init__.py", "pocketscope/room/inner/lamp.py"},
        ),
        (
            {"rule.py": "import pocketscope.room.door", "pocketscope/room/door.py": "from ..other.chair import value"},
            PACKAGES | {"pocketscope/room/door.py", "pocketscope/other/__init__.py", "pocketscope/other/chair.py"},
        ),
        (
            {"rule.py": "import pocketscope.room", "pocketscope/room/__init__.py": "from .. import other"},
            PACKAGES | {"pocketscope/other/__init__.py"},
        ),
        ({"rule.py": "import pocketscopes.room\nfrom os import path\n"}, set()),
    ],
)
def test_every_kind_of_import_is_followed(tmp_path, files, found):
    for name, text in (ROOM | files).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    script, *modules = code_digest.modules(tmp_path / "rule.py")
    assert script == tmp_path / "rule.py"
    assert {path.relative_to(tmp_path).as_posix() for path in modules} == found


def test_a_module_that_moves_to_another_package_changes_the_digest(tmp_path):
    (tmp_path / "rule.py").write_text("from pocketscope.room import *\nfrom pocketscope.other import *\n")
    for name in ROOM:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "pocketscope/room/__init__.py").write_text("value = 1\n")
    before = code_digest.digest_of_script(tmp_path / "rule.py")
    for path in ("room", "other"):
        (tmp_path / f"pocketscope/{path}/__init__.py").write_text("value = 1\n" if path == "other" else "")
    code_digest._imports.cache_clear()
    code_digest.digest_of_file.cache_clear()
    code_digest._parse.cache_clear()
    assert code_digest.digest_of_script(tmp_path / "rule.py") != before


def rooms(script):
    """Return the modules that a script's work depends on, by room."""
    found = [path.relative_to(SCRIPTS / "pocketscope") for path in code_digest.modules(SCRIPTS / script)[1:]]
    return {path.with_suffix("").as_posix().replace("/", ".") for path in found if path.name != "__init__.py"}


ALL = {path.name for path in SCRIPTS.glob("*.py")}


@pytest.mark.parametrize(
    ("module", "scripts"),
    [  # a module of the package, and the only scripts that may depend on it
        ("images.tiff", {"pack.py", "pack_shard.py"}),
        ("images.dicom", {"pack.py", "pack_shard.py"}),
        ("images.codestreams", {"pack.py", "pack_shard.py"}),
        ("images.decode", {"pack.py", "pack_shard.py"}),
        ("data.sources.medmnist_source", {"pack.py"}),
        ("data.near_duplicates", {"near_duplicates.py", "pair_near_duplicates.py"}),
        ("data.group_remarks", {"check.py"}),
        ("data.splitting", {"split.py", "oracle_labels.py"}),
        ("data.sources.kinds", {"pack.py"}),
        ("data.sources.folder_source", {"pack.py"}),
        ("data.sources.table_source", {"pack.py"}),
        ("data.sources.parquet_source", {"pack.py"}),
        ("data.sources.digits_source", {"pack.py"}),
        ("data.packing", {"pack.py"}),
        ("data.shards", {"pack.py", "pack_shard.py"}),
        ("data.manifest", set()),
        ("distillation.calibration", {"calibrate.py", "reliability.py"}),
        ("distillation.rounds", {"pseudo_label.py"}),
        ("distillation.vote", {"pseudo_label.py", "audit.py"}),
        ("distillation.held_out", {"calibrate.py", "pseudo_label.py", "choose.py", "reliability.py"}),
        ("distillation.folds", {"cross_fit.py", "leave_out.py", "join_folds.py"}),
        ("report.figures", {"report.py"}),
        ("report.page", {"report.py"}),
        ("statistics.decision", {"recommend.py", "report.py"}),
        ("statistics.reliable", {"answer.py", "answer_new.py", "recommend.py", "reliability.py", "report.py"}),
        ("evaluation.evidence", {"recommend.py", "report.py"}),
        ("training.consistency", {"train_consistency.py"}),
        ("deploy.quantization", {"quantize.py"}),
        ("deploy.answers", {"answer.py", "answer_new.py"}),
        ("tables.proposals", {"pseudo_label.py", "audit.py"}),
        ("tables.teachers", {"calibrate.py", "pseudo_label.py", "reliability.py"}),
        ("inference.classify", set()),
        ("journal.store", set()),
        ("web.app", set()),
        ("suggest.head", set()),
        ("tables.features", {"features.py", "features_shard.py"}),
        ("models.pretrained", {"features.py", "features_shard.py"}),
        ("config.study", set()),
        ("plan.study_plan", set()),
    ],
)
def test_a_module_concerns_no_more_scripts_than_it_must(module, scripts):
    """A change in it makes these scripts' outputs again, and no others'."""
    assert (SCRIPTS / "pocketscope" / f"{module.replace('.', '/')}.py").is_file()
    assert {script for script in ALL if module in rooms(script)} <= scripts


def test_what_packing_may_do_without_is_a_part_of_its_code():
    """A name that is none would leave nothing out, and say so nowhere."""
    names = [*DECODERS.values(), *kinds.not_needed({"kind": "parquet"}, {})]
    assert {name.removeprefix("pocketscope.") for name in names} <= rooms("pack.py")
    assert not {name for name in rooms("pack.py") if name.startswith("data.sources.") and name.endswith("_source")} - {
        f"data.sources.{kind}_source" for kind in kinds.KINDS
    }


@pytest.mark.parametrize("script", ["train.py", "train_consistency.py", "predict.py", "quantize.py", "evaluate.py"])
def test_what_costs_hours_depends_on_no_page_no_statistics_and_no_source(script):
    """Nor on how labels come about: by people, by a vote."""
    others = {module.split(".")[0] for module in rooms(script)}
    assert not others & {"report", "statistics", "data", "config", "plan", "cli"}
    assert script == "predict.py" or "distillation" not in others


def test_a_module_that_is_imported_by_a_made_up_name_counts_where_it_is_named(checkout):
    folder, _ = checkout
    script = folder / "rule.py"
    plain, more = (code_digest.modules(script, also=also) for also in ([], ["pocketscope.unused"]))
    assert set(more) - set(plain) == {folder / "pocketscope" / "unused.py"}
    assert code_digest.digest_of_script(script) != code_digest.digest_of_script(script, also=["pocketscope.unused"])
