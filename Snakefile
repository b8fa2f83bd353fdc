"""pocketscope: from images of which a few are labelled to compact classifiers, and which of them to trust."""

import os

from snakemake.utils import min_version

min_version("9.27")


# A user's configuration replaces the demo's. With `configfile:` alone the two would be merged, and the demo's data sets
# would join the user's.
if not workflow.configfiles:

    configfile: Path(workflow.basedir) / "config" / "config.yaml"


# Everything that is made, Snakemake's own records included, lies in one folder: it can be moved, or used by another
# checkout, and nothing is made again. `--directory` names another one; a cluster's jobs are not told of it, but have
# the environment of the process that submits them.
PLACE = "POCKETSCOPE_RESULTS"
results = Path(workflow.basedir) / "results" if workflow.is_main_process else os.environ[PLACE]


workdir: results


os.environ[PLACE] = os.getcwd()


include: "rules/common.smk"
include: "rules/hooks.smk"
include: "rules/data.smk"
include: "rules/features.smk"
include: "rules/train.smk"
include: "rules/distill.smk"
include: "rules/deploy.smk"
include: "rules/export.smk"
include: "rules/evaluate.smk"
include: "rules/statistics.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        LAYOUT.scores(),
        LAYOUT.statistics("pairs"),
        LAYOUT.report,
        PLAN.audits(),
    localrule: True


onstart:
    end_what_was_left()
    write_labels()
    write_manifests()


onsuccess:
    pin()
    show_summary()
