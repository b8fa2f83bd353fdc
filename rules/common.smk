"""What the rules share: the validated configuration, the plan that follows from it, and how the rules ask that plan."""

import functools
import inspect
import json
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
SCRIPTS = ROOT / "workflow_scripts"
sys.path.insert(0, str(SCRIPTS))
# Jobs are processes of their own. They run this checkout's code, whichever other one is installed.
os.environ.update(PYTHONPATH=os.pathsep.join([str(SCRIPTS), *filter(None, [os.environ.get("PYTHONPATH")])]))

from pocketscope.config import yaml_files
from pocketscope.config.base import digest_of_value, name_in_timm, plain
from pocketscope.config.catalogue import BEST_TEACHER
from pocketscope.config.study import load_config
from pocketscope.core import files
from pocketscope.core.errors import InputError
from pocketscope.data import manifest
from pocketscope.data.sources import kinds
from pocketscope.data.sources.licences import licence_of, link_of
from pocketscope.data.sources.paths import top_of_files as files_start_at
from pocketscope.journal import of_run
from pocketscope.journal.place import labels_of
from pocketscope.plan import history, shipping
from pocketscope.plan import resources as needs
from pocketscope.plan.study_plan import SHIP, StudyPlan, any_of
from pocketscope.runtime import access
from pocketscope.runtime.code_digest import digest_of_script
from pocketscope.tables.shards import files_of


def check_names(study, networks):
    """Raise InputError where timm does not know a network that the configuration names by timm's own name."""
    named = [network.name for key, network in networks.items() if name_in_timm(key)]
    if named:
        from pocketscope.models.networks import check_in_timm

        for name in named:
            check_in_timm(name, [dataset.image_size for dataset in study.datasets.values()])


try:
    for path in workflow.configfiles:
        yaml_files.check(Path(path))
    CONFIG, NETWORKS = load_config(config, ROOT)
    access.check_interpreter()
    access.check_folders([Path(), Path(".snakemake"), *Path(".snakemake").glob("*"), Path(CONFIG.study)])
    if workflow.is_main_process:  # before anything runs; timm takes seconds to import, and jobs check their own
        check_names(CONFIG, NETWORKS)
except InputError as error:
    raise WorkflowError(str(error)) from None
access.name_user()

PLAN = StudyPlan(CONFIG, NETWORKS, ROOT)
LAYOUT = PLAN.layout
# The patterns of what most rules read and make.
SPLIT = LAYOUT.split("{dataset}", "{split}")
RUN = LAYOUT.run("{dataset}", "{split}", "{label_set}", "{network}")


wildcard_constraints:
    packed=any_of(PLAN.packed_names),
    shard=r"\d+",
    dataset=any_of(CONFIG.datasets),
    split=any_of(PLAN.splits | PLAN.ship),
    method=any_of(PLAN.distilling),
    round=r"[1-9]\d*",
    label_set=f"{PLAN.trained_label_sets}|{any_of(PLAN.consistency)}",
    fold=r"\d+",
    network=any_of([*NETWORKS, BEST_TEACHER]),
    precision="fp32|int8",


def signed(function):
    """Return a function that knows its own signature.

    Snakemake asks each function for its parameters several times a job, and Python would work them out each time: a
    fifth of the time that planning a large study takes. So functions that most jobs call are signed.
    """
    function.__signature__ = inspect.signature(function)
    return function


def ask(function, *given):
    """Return an input or params function: what the plan says of the wildcards that `function` names as parameters."""
    names = list(inspect.signature(function).parameters)[len(given) :]
    return signed(lambda wildcards: function(*given, *(wildcards[name] for name in names)))


def code(script):
    """Return a digest of what a rule's script does; Snakemake itself sees neither the package nor beyond mtimes."""
    return digest_of_script(SCRIPTS / script)


def packed(table):
    """Return an input function: a table of the wildcard's packed images."""
    return signed(lambda wildcards: PLAN.packed(wildcards.dataset, table))


def packing(key):
    """Return a params function: a key of the data set whose images the wildcard names."""
    return signed(lambda wildcards: PLAN.dataset(PLAN.packed_names[wildcards.packed])[key])


def snapshot_of(name):
    """Return the list of files that a packed data set is made of, where a finished `ship` has pinned it; else None."""
    path = LAYOUT.packed(name, "snapshot")
    return path if Path(path).is_file() else None


@functools.cache
def source_of(name):
    """Return a packed data set's source and the state of its files: as they are, or as the snapshot knows them."""
    source = PLAN.dataset(PLAN.packed_names[name])["source"]
    known = snapshot_of(name) or manifest_of_job(name)
    return source, kinds.recorded(Path(known)) if known else files_now(name)


@functools.cache
def files_now(name):
    """Return the state of the files of a packed data set's source as they are; they are looked at once."""
    dataset = PLAN.packed_names[name]
    known = [LAYOUT.packed(name, "files"), LAYOUT.packed_new(name, "files"), LAYOUT.packed(name, "manifest")]
    try:
        return kinds.state(PLAN.dataset(dataset)["source"], ROOT, *map(Path, known))
    except InputError as error:
        raise WorkflowError(f"data set '{dataset}': {error}") from None


def look_for_new():
    """Return, of each packed data set that has a snapshot and files beyond it, a digest of these."""
    found = {}
    for name in PLAN.packed_names:
        if snapshot_of(name):
            source, before = source_of(name)
            if since := kinds.arrived(source, ROOT, files_now(name), before):
                found[name] = kinds.fingerprint(source, since)
                print(
                    f"{len(since)} files came, or were changed, since the snapshot of data set "
                    f"'{PLAN.packed_names[name]}': they are answered; `make ship REFRESH=yes` learns from them",
                    file=sys.stderr,
                )
    return found


# Found once, by the main process: a cluster's jobs read this file again, and would find what came meanwhile.
ARRIVED = "POCKETSCOPE_NEW_FILES"
if workflow.is_main_process:
    os.environ[ARRIVED] = json.dumps(look_for_new())
NEW = json.loads(os.environ[ARRIVED])


def content_of_source(wildcards):
    """Return a digest of the source's files: an image that is added, changed or gone packs anew, one touched does not."""
    return kinds.fingerprint(*source_of(wildcards.packed))


def content_of_new(wildcards):
    """Return a digest of the files that came since the snapshot."""
    return NEW[wildcards.packed]


def code_of_packing(wildcards):
    """Return a digest of what packs a data set: no other kind of source, and no decoder of a format that it lacks."""
    return digest_of_script(SCRIPTS / "pack.py", without=kinds.not_needed(*source_of(wildcards.packed)))


def manifest_of_job(name):
    """Return the manifest of a packed data set that is decoded in shards, for a job: the main process wrote it.

    A cluster's jobs would find other files than the plan was made of.
    """
    path = LAYOUT.packed(name, "manifest")
    return None if workflow.is_main_process or not Path(path).is_file() else path


SHARDS = {}  # by packed data set, as far as this run asks: the shard of each file


def shards_of(name):
    """Return the shard of each file of a packed data set; empty where all are packed by one job."""
    if name not in SHARDS:
        SHARDS[name] = find_shards(name)
    return SHARDS[name]


def find_shards(name):
    """Return the shard of each file: files that are in the manifest stay, and others are added."""
    before = manifest.read(Path(LAYOUT.packed(name, "manifest")))
    if not workflow.is_main_process:
        return before
    source, entries = source_of(name)
    classes = PLAN.dataset(PLAN.packed_names[name])["classes"]
    try:
        members = manifest.members(source, ROOT, entries, classes, before)
    except InputError as error:
        raise WorkflowError(f"data set '{PLAN.packed_names[name]}': {error}") from None
    return manifest.assign(members, before, CONFIG.compute.shard_size)


@functools.cache
def files_by_shard(name):
    """Return the state of the files of each shard, for the main process."""
    found = {}
    _, entries = source_of(name)
    for path, shard in shards_of(name).items():
        found.setdefault(shard, {})[path] = entries[path]
    return found


def files_of_shard(wildcards):
    """Return a source and the state of the files of one of its shards."""
    name, shard = wildcards.packed, int(wildcards.shard)
    source = PLAN.dataset(PLAN.packed_names[name])["source"]
    if workflow.is_main_process:
        return source, files_by_shard(name)[shard]
    return source, files_of(Path(LAYOUT.packed(name, "manifest")), shard)


def code_of_shard(wildcards):
    """Return a digest of what decodes a shard: no decoder of a format that it lacks."""
    return digest_of_script(SCRIPTS / "pack_shard.py", without=kinds.not_needed(*files_of_shard(wildcards)))


def shards_to_join(wildcards):
    """Return what was decoded of a packed data set in shards; nothing where one job packs it."""
    try:
        shards = shards_of(wildcards.packed)
    except WorkflowError:
        # Snakemake takes an input that cannot be told for one that nothing makes, and goes on with what is there. A
        # source that cannot be read is said by the params, which look at it again.
        return []
    return [LAYOUT.shard(wildcards.packed, shard) for shard in sorted(set(shards.values()))]


def features_to_join(wildcards):
    """Return what a network saw in the shards of a packed data set; nothing where one job packs it."""
    shards = [Path(shard).stem for shard in shards_to_join(wildcards)]
    return [LAYOUT.features_of_shard(wildcards.packed, wildcards.network, shard) for shard in shards]


def write_manifests():
    """Write which files each shard has: after the run's lock was taken, and before the first job."""
    for name, shards in SHARDS.items():
        path = Path(LAYOUT.packed(name, "manifest"))
        if shards:
            manifest.write(path, shards, source_of(name)[1])
        else:
            path.unlink(missing_ok=True)


def setting(key):
    """Return a params function: a key of the wildcard's data set."""
    return signed(lambda wildcards: PLAN.dataset(wildcards.dataset)[key])


def expected(wildcards):
    """Return what the wildcard's data set is checked for."""
    return {key: PLAN.dataset(wildcards.dataset)[key] for key in ("positive", "expect")}


def top_of_files(wildcards):
    """Return the folder on this machine that the paths of the wildcard's images start from; see `paths.top_of_files`."""
    return files_start_at(PLAN.dataset(wildcards.dataset)["source"], ROOT)


def take_labels():
    """Return the labels that people gave, by data set: the main process reads the journals, once."""
    found = {}
    for name, dataset in CONFIG.datasets.items():
        try:
            if taken := of_run.take(name, dataset.labels, ROOT):
                found[name] = taken
        except InputError as error:
            raise WorkflowError(f"data set '{name}': {error}") from None
        place = labels_of(name, dataset.labels, ROOT)
        if place.resolve().is_relative_to(Path(LAYOUT.shipped("", "")).parent.resolve()):
            raise WorkflowError(
                f"data set '{name}': labels: {place}: the next `ship` overwrites this file; append what it says by "
                "`pocketscope label --from`, or copy it to another folder and name the copy"
            )
    return found


# Labels that come while a run goes on wait for the next one. A cluster's jobs read this file again: they take what the
# main process found from their environment.
GIVEN = "POCKETSCOPE_LABELS"
TAKEN = take_labels() if workflow.is_main_process else {}
if workflow.is_main_process:
    os.environ[GIVEN] = json.dumps({name: [taken.ending, taken.digest] for name, taken in TAKEN.items()})
LABELS = json.loads(os.environ[GIVEN])


def write_labels():
    """Write the tables of labels that the run reads: after its lock was taken, and before the first job."""
    for name, taken in TAKEN.items():
        taken.write(Path(LAYOUT.given_labels(name, taken.ending)))


HISTORY = history.read(Path(LAYOUT.history), CONFIG, PLAN.packed_names)


def is_pinned(wildcards):
    """Say whether the wildcards are of what was pinned with the study: all but what ships."""
    return wildcards.dataset in HISTORY and wildcards.get("split") != SHIP


def labels_given(wildcards):
    """Return what stands for the labels that people gave of the wildcard's data set; None without any."""
    found = HISTORY[wildcards.dataset]["labels"] if is_pinned(wildcards) else LABELS.get(wildcards.dataset)
    if found is None:
        return None
    asked = PLAN.dataset(wildcards.dataset)
    return {"content": found[1]} | {key: asked[key] for key in ("source", "classes")}


def table_of_labels(wildcards):
    """Return where these labels are; None without any."""
    name = wildcards.dataset
    if is_pinned(wildcards):
        found = HISTORY[name]["labels"]
        return LAYOUT.pinned_labels(name, found[0]) if found else None
    return LAYOUT.given_labels(name, LABELS[name][0]) if name in LABELS else None


def classes_pinned(wildcards):
    """Return where the classes are that labels of now must have: those of the study that what ships is pinned to."""
    held = wildcards.dataset in HISTORY and not is_pinned(wildcards)
    return LAYOUT.classes(wildcards.dataset) if held else None


def tables_of_labels(wildcards):
    """Return the labels of now and those of the study that was pinned, None without any; and when it was pinned."""
    name = wildcards.dataset
    now = LAYOUT.given_labels(name, LABELS[name][0]) if name in LABELS else None
    if name not in HISTORY:
        return {"now": now, "pinned": now, "when": None}
    found = HISTORY[name]["labels"]
    then = LAYOUT.pinned_labels(name, found[0]) if found else None
    return {"now": now, "pinned": then, "when": HISTORY[name]["when"]}


def pin():
    """Pin what was shipped: which files and labels the study read, and which candidate was trained on every label.

    Where that is asked for, as `make ship` does: whoever starts the workflow otherwise may mean to compare anew. From
    then on new files are answered and new labels train what ships, until `pocketscope refresh`.
    """
    asked = workflow.dag_settings
    if (
        os.environ.get("POCKETSCOPE_PIN") != "yes"
        or "ship" not in map(str, asked.targets)
        or asked.until
        or asked.omit_from
        or set(HISTORY) == set(CONFIG.datasets)
    ):
        return
    for name in PLAN.packed_names:
        if not snapshot_of(name):
            files.copy(LAYOUT.packed(name, "files"), LAYOUT.packed(name, "snapshot"))
    for name, (ending, _) in LABELS.items():
        if name not in HISTORY:
            files.copy(LAYOUT.given_labels(name, ending), LAYOUT.pinned_labels(name, ending))
    new = {
        name: {"packed": packed, "labels": LABELS.get(name), "candidate": shipped_candidate(name)}
        for packed, name in PLAN.packed_names.items()
    }
    history.write(Path(LAYOUT.history), new | HISTORY)


def shipped_candidate(dataset):
    """Return the candidate that ships: the configuration's, the one that was pinned, or by the recommendation."""
    if CONFIG.ship.candidate is not None:
        return plain(CONFIG.ship)["candidate"]
    if dataset in HISTORY and (pinned := HISTORY[dataset]["candidate"]):
        return pinned
    if not Path(LAYOUT.recommendation).is_file():  # a plan, before the study is done
        return None
    recommended = json.loads(Path(LAYOUT.recommendation).read_text(encoding="utf-8"))["datasets"]
    return shipping.candidate_that_ships(PLAN, recommended[dataset])


def _shipping(wildcards, asked):
    """Return the inputs that a function of the plan names for the candidate that ships.

    Which one that is is known when the study has recommended it, unless the configuration names it or the study is
    pinned to it.
    """
    found = {}
    if CONFIG.ship.candidate is None:
        pinned = wildcards.dataset in HISTORY and HISTORY[wildcards.dataset]["candidate"]
        found["recommendation"] = LAYOUT.recommendation if pinned else checkpoints.recommend.get().output.recommendation
    return found | asked(PLAN, wildcards.dataset, shipped_candidate(wildcards.dataset))


def what_ships(wildcards):
    """Return what a shipped model is made of."""
    return _shipping(wildcards, shipping.what_ships)


def shown_by(wildcards):
    """Return what shows which answers of a shipped model are reliable."""
    found = _shipping(wildcards, shipping.shown_by)
    found.pop("recommendation", None)  # it says which files, and nothing of what is in them
    return found


def answers_of(wildcards):
    """Return the tables of answers: of the snapshot's images, and of those that came since."""
    new = (
        [LAYOUT.shipped(wildcards.dataset, "answers.new.parquet")] if PLAN.packed_name(wildcards.dataset) in NEW else []
    )
    return [LAYOUT.shipped(wildcards.dataset, "answers.parquet"), *new]


def images_of_answers(wildcards):
    """Return the packed images that these tables are of."""
    return [PLAN.packed(wildcards.dataset), PLAN.packed_new(wildcards.dataset)][: len(answers_of(wildcards))]


def _packed_mb(input, share):
    if not share:
        return 0
    images = [input.images] if isinstance(input.images, str) else input.images
    return sum(map(os.path.getsize, images)) / 1e6


def memory(base, share=0):
    """Return a resources function: MB, of which a share of the packed images' size; doubled with each attempt."""
    return signed(lambda wildcards, input, attempt: needs.growing(base, _packed_mb(input, share), share, attempt))


minutes = memory  # likewise


@signed
def memory_of_packing(wildcards, attempt):
    """Return MB for packing a data set."""
    return needs.memory_of_packing(len(source_of(wildcards.packed)[1]), attempt)


@signed
def memory_of_training(wildcards, input, attempt):
    """Return MB for a training."""
    return PLAN.memory_of_training(wildcards.dataset, wildcards.label_set, _packed_mb(input, 1), attempt)
