"""The digest that decides what is run again after a change of code."""

from pathlib import Path

import pytest
from pocketscope import source_code

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
        source_code._imports.cache_clear()
        source_code._digest_of_file.cache_clear()
        source_code._parse.cache_clear()
        return source_code.digest(tmp_path / "rule.py")

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


@pytest.mark.parametrize(
    ("script", "modules"),
    [
        ("train.py", "augmentation calibration conditioning convolutions devices errors examples export files gpus "
                     "head history job networks optimization packed pixels prediction pseudo_labels randomness resume "
                     "splits tables training training_outputs"),
        ("train_consistency.py", "augmentation calibration conditioning consistency convolutions devices errors "
                                 "examples export files gpus head history job networks optimization packed pixels "
                                 "prediction pseudo_labels randaugment randomness resume splits tables training "
                                 "training_outputs"),
        ("pseudo_label.py", "calibration errors files job prediction pseudo_labels randomness rounds splits tables"),
        ("evaluate.py", "errors files inference job packed pixels prediction randomness splits tables"),
        ("scores.py", "errors files job metrics prediction randomness splits tables"),
    ],
)  # fmt: skip
def test_a_script_depends_on_no_more_than_it_needs(script, modules):
    """A change in a report's or the configuration's module must not train anything anew."""
    found = {path.stem for path in source_code.modules(SCRIPTS / script)[1:]}
    assert found == set(modules.split())
