"""FixMatch in a study that is run for real: what the rule makes, and what the audit makes of it."""

from helpers import snakemake, study, write_config
from pocketscope.core import parquet
from pocketscope.inference import onnx_model
from pocketscope.tables.audit import AUDIT
from pocketscope.tables.history import HISTORY
from pocketscope.tables.online_pseudo_labels import ONLINE_PSEUDO_LABELS
from pocketscope.tables.predictions import PREDICTIONS
from pocketscope.tables.split import SPLIT

NETWORK = "shufflenet_v2_x0_5"
WARM = {"labels": "consistency", "algorithm": "fixmatch", "threshold": 0.3, "warm_start": True}


def test_a_consistency_method_is_trained_evaluated_and_audited(tmp_path):

    methods = {"supervised": {"labels": "human"}, "warm": WARM}
    config = write_config(tmp_path, study(methods=methods))
    folder = "small/runs/digits/k4_s0"
    targets = [f"{folder}/warm/{NETWORK}/test.fp32.parquet", f"{folder}/audit/classes.parquet"]
    snakemake(*targets, config=config, results=tmp_path / "results")

    split = tmp_path / "results" / folder
    run = split / "warm" / NETWORK
    assert not list(run.glob(".resume*"))
    assert onnx_model.open_model(run / "model.fp32.onnx", threads=1).classes == ["0", "1", "2"]
    assert len(parquet.read(run / "test.fp32.parquet", PREDICTIONS)) > 50
    history = parquet.read(run / "history.parquet", HISTORY).to_pandas()
    assert history.stage.tolist() == [
        "head",
        "all",
        "all",
    ]  # the head is that of the network that people's labels trained
    assert history.used_share[1:].between(0, 1).all()
    roles = parquet.read(split / "split.parquet", SPLIT).to_pandas().set_index("image_id").role
    guesses = parquet.read(run / "online_pseudo_labels.parquet", ONLINE_PSEUDO_LABELS).to_pandas()
    assert set(roles[guesses.image_id]) == {"unlabelled"}
    audited = parquet.read(split / "audit/classes.parquet", AUDIT).to_pandas()
    totals = audited[audited["class"].isna()]
    assert totals.method.tolist() == ["warm", "warm"]
    assert totals.network.tolist() == [NETWORK, NETWORK]
    assert totals.given.sum() == len(guesses)
    assert totals.accuracy_of_given.between(0, 1).all()
