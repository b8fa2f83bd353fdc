"""What rests on labelled images that teachers have not seen, where the data alone decide whether some validate."""

from helpers import snakemake, study, write_config


def test_where_every_label_is_given_and_none_validates_folds_take_their_place(tmp_path):
    """The best teacher is the only student, too: a network that is timed as what it is, not by that name."""
    from pocketscope import rounds, splits, tables

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
    roles = tables.read(split / "split.parquet", splits.SPLIT)["role"].to_pylist()
    assert set(roles) == {"labelled", "test"}
    about = tables.read(split / "sure.r1/teachers.parquet", rounds.TEACHERS).to_pylist()
    assert {row["images"] for row in about} == {roles.count("labelled")}
    assert (tmp_path / "results/small/report/index.html").is_file()
