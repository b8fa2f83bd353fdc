"""What the rules share: the validated configuration, the wildcards, and the functions that say what needs what."""

import os
import re
import subprocess
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
SCRIPTS = ROOT / "workflow_scripts"
sys.path.insert(0, str(SCRIPTS))

from pocketscope import config as configuration
from pocketscope import randomness, source_code, sources
from pocketscope.errors import InputError

try:
    CONFIG, NETWORKS = configuration.load(config, ROOT)
except InputError as error:
    raise WorkflowError(str(error)) from None

STUDY = CONFIG.study
RUNS = f"{STUDY}/runs"
SPLIT = f"{RUNS}/{{dataset}}/{{split}}"
RUN = f"{SPLIT}/{{labelset}}/{{network}}"
LOGS = f"{STUDY}/logs"
BOUNDS = [name for name, method in CONFIG.methods.items() if method.labels == "full"]
FOLDS = range(CONFIG.folds)
TEACHERS_LABELS = [name for name, method in CONFIG.methods.items() if method.labels == "teachers"]
OWN_RECIPES = {method.training for method in CONFIG.methods.values() if method.training}


def any_of(names):
    """Return a regular expression for just these names; one that matches nothing where there are none."""
    return "|".join(re.escape(name) for name in sorted(names)) or "(?!)"


def packed_name(dataset):
    """Return the folder of a data set's images: what changes the pixels changes the name, so that studies can share."""
    entry = configuration.plain(CONFIG.datasets[dataset])
    kept = {key: entry[key] for key in ("source", "classes", "page", "image_size", "fit")}
    return f"{dataset}-{configuration.digest(kept)}"


PACKED = {packed_name(dataset): dataset for dataset in CONFIG.datasets}
SPLITS = {f"k{k}_s{seed}": (k, seed) for k in CONFIG.split.labelled for seed in CONFIG.split.seeds}


wildcard_constraints:
    packed=any_of(PACKED),
    dataset=any_of(CONFIG.datasets),
    split=any_of(SPLITS),
    method=any_of(TEACHERS_LABELS),
    round=r"[1-9]\d*",
    labelset=rf"(?:human(?:\.f\d+)?|full|(?:{any_of(TEACHERS_LABELS)})\.r[1-9]\d*)(?:@(?:{any_of(OWN_RECIPES)}))?",
    fold=r"\d+",
    network=any_of([*NETWORKS, configuration.BEST_TEACHER]),
    precision="fp32|int8",


def code(script):
    """Return a digest of what a rule's script does; Snakemake itself sees neither the package nor beyond mtimes."""
    return source_code.digest(SCRIPTS / script)


def packed(table):
    """Return an input function: a table of the wildcard's data set."""
    return lambda wildcards: f"datasets/{packed_name(wildcards.dataset)}/{table}.parquet"


def source_of(wildcards):
    return configuration.plain(CONFIG.datasets[PACKED[wildcards.packed]].source)


def content_of_source(wildcards):
    """Return a digest of the source's files: an image that is added, changed or gone packs anew, one touched does not."""
    known = Path(f"datasets/{wildcards.packed}/files.parquet")
    try:
        return sources.fingerprint(source_of(wildcards), ROOT, known)
    except InputError as error:
        raise WorkflowError(f"data set '{PACKED[wildcards.packed]}': {error}") from None


def packing(key):
    return lambda wildcards: configuration.plain(CONFIG.datasets[PACKED[wildcards.packed]])[key]


def dataset_setting(key):
    """Return a params function: a key of the wildcard's data set."""
    return lambda wildcards: configuration.plain(CONFIG.datasets[wildcards.dataset])[key]


def seed_of(purpose):
    """Return a params function: the seed of a random stream of one training run.

    The label set is no part of it: a student and its upper bound differ in their labels alone.
    """
    return lambda wildcards: randomness.seed(
        CONFIG.seed, wildcards.dataset, wildcards.split, wildcards.network, purpose
    )


def network_entry(wildcards):
    return configuration.plain(NETWORKS[wildcards.network])


def arithmetic_of(wildcards):
    """Return fp32 or bf16, or which of them by kind of device: where the job will run is not known here."""
    if CONFIG.compute.arithmetic != "auto":
        return CONFIG.compute.arithmetic
    size = CONFIG.datasets[wildcards.dataset].image_size
    return configuration.arithmetics(NETWORKS[wildcards.network], size, ROOT)


def views_of(dataset, views):
    """Return those views that leave the class of the data set's images what it was."""
    return configuration.allowed_views(views, CONFIG.datasets[dataset].symmetries)


def views_of_method(wildcards):
    asked = CONFIG.methods[wildcards.method].views
    return views_of(wildcards.dataset, CONFIG.views if asked == "auto" else asked)


def has_validation(wildcards):
    return CONFIG.has_validation(SPLITS[wildcards.split][0])


def seed_of_folds(wildcards):
    return randomness.seed(CONFIG.seed, wildcards.dataset, wildcards.split, "folds")


def labels_before(wildcards):
    """Return the label set that a round's teachers were trained on: people's labels, then each round the last's."""
    last = int(wildcards.round) - 1
    return f"{wildcards.method}.r{last}" if last else "human"


def teachers_of(wildcards):
    """Return the name and the label set of each network that labels in a round."""
    method, trained_on = CONFIG.methods[wildcards.method], labels_before(wildcards)
    label_sets = [f"human.f{fold}" for fold in FOLDS] if method.fold_teachers else [trained_on]
    return [(teacher, label_set) for teacher in method.teachers for label_set in label_sets]


def unseen_labelled(wildcards, teacher):
    """Return a teacher's predictions of labelled images that it was not trained on."""
    split = SPLIT.format(**wildcards)
    if has_validation(wildcards):
        label_set = wildcards.labelset if "labelset" in wildcards.keys() else labels_before(wildcards)
        return f"{split}/{label_set}/{teacher}/predictions.parquet"
    return f"{split}/human/{teacher}/out_of_fold.{CONFIG.crossfit}.parquet"


def what_teachers_say(wildcards):
    """Return what a round reads: teachers' predictions, and where they are asked for those out of fold and before."""
    method, split = CONFIG.methods[wildcards.method], SPLIT.format(**wildcards)
    said = {"predictions": [f"{split}/{labels}/{name}/predictions.parquet" for name, labels in teachers_of(wildcards)]}
    if method.needs_held_out and not has_validation(wildcards):
        said["out_of_fold"] = [unseen_labelled(wildcards, name) for name, _ in teachers_of(wildcards)]
    if method.stop == "no_improvement" and int(wildcards.round) > 1:
        last = int(wildcards.round) - 2
        earlier = f"{wildcards.method}.r{last}" if last else "human"
        said["before"] = [f"{split}/{earlier}/{name}/predictions.parquet" for name, _ in teachers_of(wildcards)]
    return said


def labelling_of(method):
    """Return that part of a method's configuration which says how teachers' predictions become labels."""
    settings = configuration.plain(CONFIG.methods[method])
    return {key: value for key, value in settings.items() if key not in ("labels", "teachers", "rounds", "training")}


def candidates_of(wildcards):
    """Return the networks of which the best is a label set's `best_teacher`: all teachers, where it is no method's."""
    method = wildcards.labelset.partition(".r")[0]
    asked = [method] if method in TEACHERS_LABELS else TEACHERS_LABELS
    return list(dict.fromkeys(name for method in asked for name in CONFIG.methods[method].teachers))


def runs_of_candidates(wildcards, file):
    split = SPLIT.format(**wildcards)
    return [f"{split}/{wildcards.labelset}/{name}/{file}" for name in candidates_of(wildcards)]


def automatic_rounds():
    """Return method and round of every label set that teachers make in a split."""
    return [(name, number) for name in TEACHERS_LABELS for number in range(1, CONFIG.methods[name].rounds + 1)]


def audits(table="classes"):
    """Return a table of every split's audit; there is none where no method has teachers."""
    return [f"{RUNS}/{dataset}/{split}/audit/{table}.parquet" for dataset, split in all_splits() if TEACHERS_LABELS]


def candidates_of_split(wildcards):
    split = SPLIT.format(**wildcards)
    return [f"{split}/{method}.r{number}/candidates.parquet" for method, number in automatic_rounds()]


def previous_run(wildcards):
    """Return the same teacher's model of the round before, to be passed on where the labels did not change."""
    method, _, number = wildcards.labelset.partition(".r")
    if not number.isdigit() or int(number) < 2 or wildcards.network not in CONFIG.methods[method].teachers:
        return {}
    split = SPLIT.format(**wildcards)
    folder = f"{split}/{method}.r{int(number) - 1}"
    return {
        "previous_labels": f"{folder}/labels.parquet",
        "previous_model": f"{folder}/{wildcards.network}/model.safetensors",
    }


def final_labels(method):
    """Return the label set that a method's students are trained on, with their recipe where it is the method's own."""
    settings = CONFIG.methods[method]
    labels = f"{method}.r{settings.rounds}" if settings.labels == "teachers" else settings.labels
    return f"{labels}@{settings.training}" if settings.training else labels


def labels_of(wildcards):
    """Return the table of the label set that a run is trained on."""
    return f"{SPLIT.format(**wildcards)}/{wildcards.labelset.partition('@')[0]}/labels.parquet"


def training_of(wildcards):
    """Return the keys of `training` for a run: the study's, or those of the recipe that its label set names."""
    recipe = wildcards.labelset.partition("@")[2]
    return configuration.plain(configuration.Training(recipe=recipe) if recipe else CONFIG.training)


def rows():
    """Return every row of the study's tables: dataset, split, method, network, precision, in a fixed order."""
    return [
        dict(dataset=dataset, split=split, method=method, network=network, precision=precision)
        for dataset in CONFIG.datasets
        for split in SPLITS
        for method in CONFIG.methods
        for network, precisions in CONFIG.students.items()
        for precision in precisions
    ]


def path_of(row, what):
    """Return a file of a row of the tables: `model`, what it predicts of the `test` part, or its `scores`."""
    run = RUN.format(**row, labelset=final_labels(row["method"]))
    return f"{run}/{what}.{row['precision']}.{'onnx' if what == 'model' else 'parquet'}"


def precisions_to_time(wildcards):
    """Return the precisions of a network's model files; fp32 is always there."""
    return sorted({"fp32", *CONFIG.students[wildcards.network]})


def sizes_to_time(wildcards):
    """Return by image size one row of a network: latency depends on no label, and on no other setting of a data set."""
    return {
        CONFIG.datasets[row["dataset"]].image_size: row
        for row in reversed(rows())
        if row["network"] == wildcards.network
    }


def models_to_time(wildcards):
    runs = [RUN.format(**row, labelset=final_labels(row["method"])) for row in sizes_to_time(wildcards).values()]
    found = {p: [f"{run}/model.{p}.onnx" for run in runs] for p in precisions_to_time(wildcards)}
    return found | {"weights": [f"{run}/model.safetensors" for run in runs]}


def arithmetics_to_time(wildcards):
    """Return, of each image size, how the study trains the network there; see `arithmetic_of`."""
    asked, network = CONFIG.compute.arithmetic, NETWORKS.get(wildcards.network)
    if asked != "auto" or network is None:  # which network the best teacher is, is not known here
        return ["fp32" if asked == "auto" else asked for _ in sizes_to_time(wildcards)]
    return [configuration.arithmetics(network, size, ROOT) for size in sizes_to_time(wildcards)]


def timings():
    return [f"{STUDY}/timing/{network}.parquet" for network in CONFIG.students]


def history_of(row):
    run = RUN.format(**row, labelset=final_labels(row["method"]))
    return f"{run}/history.parquet"


def all_splits():
    return [(dataset, split) for dataset in CONFIG.datasets for split in SPLITS]


def automatic_label_sets():
    """Return path, data set, split, method and round of every label set that teachers made."""
    return [
        (f"{RUNS}/{dataset}/{split}/{method}.r{number}/labels.parquet", dataset, split, method, number)
        for dataset, split in all_splits()
        for method in TEACHERS_LABELS
        for number in range(1, CONFIG.methods[method].rounds + 1)
    ]


def digest_of_study():
    """Return eight digits for all that the configuration says, wherever its files lie."""
    said = configuration.plain(CONFIG) | {"catalogue": {name: configuration.plain(NETWORKS[name]) for name in NETWORKS}}
    return configuration.digest(said)


def gpus(wildcards=None):
    return 0 if CONFIG.compute.device == "cpu" else 1


def show_summary():
    """Print the study's table of F1 at the end of a run."""
    found = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    subprocess.run([sys.executable, "-m", "pocketscope", "summary", STUDY], env=found, check=False)
