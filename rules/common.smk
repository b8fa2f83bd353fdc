"""What the rules share: the validated configuration, the wildcards, and the functions that say what needs what."""

import functools
import hashlib
import inspect
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.iocontainers import Wildcards

ROOT = Path(workflow.basedir)
SCRIPTS = ROOT / "workflow_scripts"
sys.path.insert(0, str(SCRIPTS))

from pocketscope import config as configuration
from pocketscope import randomness, records, source_code, sources
from pocketscope.errors import InputError
from pocketscope.gpus import names as gpus_here

if not os.access(Path.cwd(), os.W_OK):
    raise WorkflowError(f"{Path.cwd()}: cannot be written to; make it writable, or name another folder by --directory")

try:
    CONFIG, NETWORKS = configuration.load(config, ROOT)
except InputError as error:
    raise WorkflowError(str(error)) from None

STUDY = CONFIG.study
RUNS = f"{STUDY}/runs"
SPLIT = f"{RUNS}/{{dataset}}/{{split}}"
RUN = f"{SPLIT}/{{labelset}}/{{network}}"
CLASSES = f"{RUNS}/{{dataset}}/classes.parquet"
LOGS = f"{STUDY}/logs"
BOUNDS = [name for name, method in CONFIG.methods.items() if method.labels == "full"]
FOLDS = range(CONFIG.crossfit_folds)
TEACHERS_LABELS = [name for name, method in CONFIG.methods.items() if method.labels == "teachers"]
CONSISTENCY = [name for name, method in CONFIG.methods.items() if method.labels == "consistency"]
OWN_RECIPES = {method.training for method in CONFIG.methods.values() if method.training}


def any_of(names):
    """Return a regular expression for just these names; one that matches nothing where there are none."""
    return "|".join(re.escape(name) for name in sorted(names)) or "(?!)"


@functools.cache  # asked for by every job
def packed_name(dataset):
    """Return the folder of a data set's images: what changes the pixels changes the name, so that studies can share."""
    entry = configuration.plain(CONFIG.datasets[dataset])
    kept = {key: entry[key] for key in ("source", "classes", "page", "image_size", "fit")}
    return f"{dataset}-{configuration.digest(kept)}"


PACKED = {packed_name(dataset): dataset for dataset in CONFIG.datasets}
if CONFIG.split.evaluation == "crossvalidation":
    TESTS = {f"_f{fold}": [fold, CONFIG.split.folds] for fold in range(CONFIG.split.folds)}
else:
    TESTS = {"": "share"}
SPLITS = {
    f"k{k}_s{seed}{fold}": dict(labelled=k, seed=seed, test=test)
    for k in CONFIG.split.labelled
    for seed in CONFIG.split.seeds
    for fold, test in TESTS.items()
}
# What ships is trained as all else is, on a split of its own: every label, and nothing to test on.
SHIP = {"ship": dict(labelled="all", seed=CONFIG.split.seeds[0], test=None)}
# What all splits have in common.
DRAWN = {
    key: value
    for key, value in configuration.plain(CONFIG.split).items()
    if key not in ("labelled", "seeds", "evaluation", "folds")
}

# What `train` learns; a consistency method has a rule of its own.
LABEL_SETS = rf"(?:human(?:\.f\d+)?|full|(?:{any_of(TEACHERS_LABELS)})\.r[1-9]\d*)(?:@(?:{any_of(OWN_RECIPES)}))?"


wildcard_constraints:
    packed=any_of(PACKED),
    dataset=any_of(CONFIG.datasets),
    split=any_of(SPLITS | SHIP),
    method=any_of(TEACHERS_LABELS),
    round=r"[1-9]\d*",
    labelset=f"{LABEL_SETS}|{any_of(CONSISTENCY)}",
    fold=r"\d+",
    network=any_of([*NETWORKS, configuration.BEST_TEACHER]),
    precision="fp32|int8",


def signed(function):
    """Return a function that knows its own signature.

    Snakemake asks each function for its parameters several times a job, and Python would work them out each time: a
    fifth of the time that planning a large study takes. So functions that most jobs call are signed.
    """
    function.__signature__ = inspect.signature(function)
    return function


def code(script):
    """Return a digest of what a rule's script does; Snakemake itself sees neither the package nor beyond mtimes."""
    return source_code.digest(SCRIPTS / script)


def packed(table):
    """Return an input function: a table of the wildcard's data set."""
    return signed(lambda wildcards: f"datasets/{packed_name(wildcards.dataset)}/{table}.parquet")


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
    return signed(lambda wildcards: configuration.plain(CONFIG.datasets[wildcards.dataset])[key])


def meant(wildcards):
    """Return what the wildcard's data set is checked for."""
    return {key: dataset_setting(key)(wildcards) for key in ("positive", "expect")}


def corrections(wildcards):
    """Return where the corrections of the wildcard's data set are, and a digest of what they say; None without any."""
    asked = configuration.plain(CONFIG.datasets[wildcards.dataset])
    if asked["corrections"] is None:
        return None
    place = records.place_of({"path": asked["corrections"]}, ROOT)
    told = f"data set '{wildcards.dataset}': corrections: {place}"
    if not place.is_file():
        raise WorkflowError(f"{told}: there is no such file; correct the path")
    if place.resolve().is_relative_to(Path(STUDY, "ship").resolve()):
        raise WorkflowError(
            f"{told}: the next `ship` writes this file anew; copy it to another folder and name the copy"
        )
    content = hashlib.sha256(place.read_bytes()).hexdigest()
    return {"path": asked["corrections"], "content": content} | {key: asked[key] for key in ("source", "classes")}


def seed_of(purpose):
    """Return a params function: the seed of a random stream of one training run.

    The label set is no part of it: a student and its upper bound differ in their labels alone.
    """
    return signed(
        lambda wildcards: randomness.seed(CONFIG.seed, wildcards.dataset, wildcards.split, wildcards.network, purpose)
    )


@signed
def network_entry(wildcards):
    return configuration.plain(NETWORKS[wildcards.network])


@signed
def arithmetic_of(wildcards):
    """Return fp32 or bf16, or which of them by kind of device: where the job will run is not known here."""
    if CONFIG.compute.arithmetic != "auto":
        return CONFIG.compute.arithmetic
    size = CONFIG.datasets[wildcards.dataset].image_size
    return configuration.arithmetics(NETWORKS[wildcards.network].name, size, ROOT)


def views_of(dataset, views):
    """Return those views that leave the class of the data set's images what it was."""
    return configuration.allowed_views(views, CONFIG.datasets[dataset].symmetries)


def views_of_method(wildcards):
    asked = CONFIG.methods[wildcards.method].views
    return views_of(wildcards.dataset, CONFIG.views if asked == "auto" else asked)


def has_validation(wildcards):
    """Return whether a split has a validation part; None where that is known when the images are split."""
    return CONFIG.has_validation(SPLITS[wildcards.split]["labelled"]) if wildcards.split in SPLITS else False


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


def out_of_fold(wildcards, teachers):
    """Return networks' predictions of labelled images out of fold, for a split that may lack a validation part."""
    if has_validation(wildcards):
        return {}
    split = SPLIT.format(**wildcards)
    return {"out_of_fold": [f"{split}/human/{name}/out_of_fold.{CONFIG.crossfit}.parquet" for name in teachers]}


def what_teachers_say(wildcards):
    """Return what a round reads: teachers' predictions, and where they are asked for those out of fold and before."""
    method, split = CONFIG.methods[wildcards.method], SPLIT.format(**wildcards)
    said = {"predictions": [f"{split}/{labels}/{name}/predictions.parquet" for name, labels in teachers_of(wildcards)]}
    if method.needs_held_out:
        said |= out_of_fold(wildcards, [name for name, _ in teachers_of(wildcards)])
    if method.stop == "no_improvement" and int(wildcards.round) > 1 and has_validation(wildcards) is not False:
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


def what_candidates_say(wildcards):
    """Return what the best teacher is chosen by: predictions of labelled images that candidates have not seen."""
    said = out_of_fold(wildcards, candidates_of(wildcards))
    if has_validation(wildcards) is not False:
        said["predictions"] = runs_of_candidates(wildcards, "predictions.parquet")
    return said


def automatic_rounds():
    """Return method and round of every label set that teachers make in a split."""
    return [(name, number) for name in TEACHERS_LABELS for number in range(1, CONFIG.methods[name].rounds + 1)]


def audits(table="classes"):
    """Return a table of every split's audit; there is none where no method labels or guesses."""
    asked = all_splits() if TEACHERS_LABELS or CONSISTENCY else []
    return [f"{RUNS}/{dataset}/{split}/audit/{table}.parquet" for dataset, split in asked]


def candidates_of_split(wildcards):
    split = SPLIT.format(**wildcards)
    return [f"{split}/{method}.r{number}/candidates.parquet" for method, number in automatic_rounds()]


def guesses_of_split(wildcards):
    split = SPLIT.format(**wildcards)
    return [f"{split}/{method}/{network}/guesses.parquet" for method, network in guessing_runs()]


@signed
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
    """Return the label set that a method's students are trained on, with their recipe where it is the method's own.

    A consistency method makes its labels while it trains: its runs have its name.
    """
    settings = CONFIG.methods[method]
    if settings.labels == "consistency":
        return method
    labels = f"{method}.r{settings.rounds}" if settings.labels == "teachers" else settings.labels
    return f"{labels}@{settings.training}" if settings.training else labels


@signed
def labels_of(wildcards):
    """Return the table of the labels that a run is trained on; consistency methods make their own of the rest."""
    name = wildcards.labelset.partition("@")[0]
    return f"{SPLIT.format(**wildcards)}/{'human' if name in CONSISTENCY else name}/labels.parquet"


@signed
def consistency_method(wildcards):
    return configuration.plain(CONFIG.methods[wildcards.labelset])


@signed
def warm_start(wildcards):
    """Return the model that a consistency method starts from, where it is one that people's labels trained."""
    if not CONFIG.methods[wildcards.labelset].warm_start:
        return {}
    return {"warm_start": f"{SPLIT.format(**wildcards)}/human/{wildcards.network}/model.safetensors"}


def guessing_runs():
    """Return method and network of every run of a split that guesses at unlabelled images while it trains."""
    networks = [network for network in CONFIG.students if network != configuration.BEST_TEACHER]
    return [(method, network) for method in CONSISTENCY for network in networks]


@signed
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
    """Return a file of a row of the tables: `model`, or what it predicts of the `test` part."""
    run = RUN.format(**row, labelset=final_labels(row["method"]))
    return f"{run}/{what}.{row['precision']}.{'onnx' if what == 'model' else 'parquet'}"


def row_that_ships(wildcards):
    """Return what a shipped model is made of: itself, its labels, and what its row predicts of the study's test part."""
    found, row = {}, configuration.plain(CONFIG.ship)["row"]
    if row is None:
        found["recommendation"] = checkpoints.report.get().output.recommendation
        row = json.loads(Path(found["recommendation"]).read_text(encoding="utf-8"))["datasets"][wildcards.dataset]
    shipped = row | {"dataset": wildcards.dataset, "split": "ship"}
    # One seed: its folds test each image once. Others would test the same images again.
    most = max(CONFIG.split.labelled, key=lambda k: float("inf") if k == "all" else k)
    wanted = {"labelled": most, "seed": CONFIG.split.seeds[0]}
    tested = [
        row | {"dataset": wildcards.dataset, "split": s} for s, how in SPLITS.items() if wanted.items() <= how.items()
    ]
    return found | {
        "model": path_of(shipped, "model"),
        "int8": path_of(shipped | {"precision": "int8"}, "model"),
        "labels": labels_of(Wildcards(fromdict=shipped | {"labelset": final_labels(row["method"])})),
        "predictions": [path_of(one, "test") for one in tested],
        "truths": [f"{SPLIT.format(**one)}/truth.parquet" for one in tested],
    }


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
    return [configuration.arithmetics(network.name, size, ROOT) for size in sizes_to_time(wildcards)]


def timings():
    """Return the timings of the study's networks; `best_teacher` is a copy of one of its method's teachers."""
    return [f"{STUDY}/timing/{name}.parquet" for name in CONFIG.students if name != configuration.BEST_TEACHER]


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


def gpus():
    """Return how many GPUs a job that runs networks asks for."""
    return 0 if CONFIG.compute.device == "cpu" else 1


def memory(base, share=0):
    """Return a resources function: MB, of which a share of the packed images' size; doubled with each attempt."""
    return signed(lambda wildcards, input, attempt: int(2 ** (attempt - 1) * (base + share * _packed_mb(input, share))))


def minutes(base, share=0):
    """Return a resources function: minutes, some for each MB of packed images; doubled with each attempt."""
    return signed(lambda wildcards, input, attempt: int(2 ** (attempt - 1) * (base + share * _packed_mb(input, share))))


@signed
def memory_of_training(wildcards, input, attempt):
    """Return MB: the libraries, what the layers of a large network keep of a batch for their gradients, the images."""
    name = wildcards.labelset
    batch = CONFIG.training.batch_size * (CONFIG.methods[name].images_a_label if name in CONSISTENCY else 1)
    pixels = batch * CONFIG.datasets[wildcards.dataset].image_size ** 2
    return memory(1500 + 4e-3 * pixels, share=5)(wildcards, input, attempt)


def _packed_mb(input, share):
    return os.path.getsize(input.images) / 1e6 if share else 0


def share_this_machine():
    """Let no more jobs run at once than there are GPUs and memory for; what the command line says goes first."""
    here = {"mem_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 10**6}
    here["gpu"] = len(gpus_here()) if gpus() else 0
    for name, amount in here.items():
        if amount and name not in workflow.global_resources:
            workflow.register_resource(name, amount)


# A cluster, which has nodes, shares them out itself.
if workflow.is_main_process and workflow.resource_settings.nodes is None:
    share_this_machine()


def end_what_was_left():
    """Cancel the cluster's jobs that a main process left behind when it was killed: they would be made twice.

    They are known by the place of their logs in the results folder. Snakemake's own records forget a job's number when
    it begins.
    """
    if workflow.executor_plugin.name != "slurm":
        return
    logs = str(Path(".snakemake/slurm_logs").resolve())
    asked = ["squeue", "--me", "--noheader", "--Format=JobID:20,StdOut:4096"]
    queued = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()
    left = [line.split()[0] for line in queued if line[20:].startswith(f"{logs}/")]
    if left:
        print(f"cancelling jobs that a run before this one left behind: {', '.join(left)}", file=sys.stderr)
        subprocess.run(["scancel", *left], check=False)
    waiting = ["squeue", "--noheader", f"--jobs={','.join(left)}"]
    while left and subprocess.run(waiting, capture_output=True, check=False).stdout.strip():
        time.sleep(1)


def show_summary():
    """Print the study's table of F1 at the end of a run."""
    found = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    subprocess.run([sys.executable, "-m", "pocketscope", "summary", STUDY], env=found, check=False)
