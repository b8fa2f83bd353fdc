"""What rests on labelled images that teachers have not seen, where the data alone decide whether some validate."""

from helpers import snakemake, study, write_config
from pocketscope.core import parquet
from pocketscope.tables.split import SPLIT
from pocketscope.tables.teachers import TEACHERS


def test_where_every_label_is_given_and_none_validates_folds_take_their_place(tmp_path):
    """The best teacher is the only student, too: a network that is timed as what it is, not by that name."""

    methods = {"sure": {"teachers": ["shufflenet_v2_x0_5"], "calibration": "temperature", "views": "auto"}}
    config = study(
        methods=methods | {"supervised": {"labels": "human"}},
        split={"labelled": ["all"], "min_validation": 1000},
        students={"best_teacher": ["fp32"]},
        crossfit="full",
        crossfit_folds=2,
    )
    snakemake(config=write_config(tmp_path, config), results=tmp_path / "results")
    split = tmp_path / "results/small/runs/digits/kall_s0"
    roles = parquet.read(split / "split.parquet", SPLIT)["role"].to_pylist()
    assert set(roles) == {"labelled", "test"}
    about = parquet.read(split / "sure.r1/teachers.parquet", TEACHERS).to_pylist()
    assert {row["images"] for row in about} == {roles.count("labelled")}
    assert (tmp_path / "results/small/report/index.html").is_file()
