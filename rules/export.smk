"""What leaves the folder: shipped models for phones, other programs and other runtimes.

Only what is asked for is made: `snakemake STUDY/exports/DATASET/KIND`, or all kinds of all data sets by `exports`.
"""

from pocketscope.exports import kinds as exporting


rule export:
    input:
        LAYOUT.shipped("{dataset}", "model.fp32.onnx"),
        LAYOUT.shipped("{dataset}", "model.int8.onnx"),
        LAYOUT.shipped("{dataset}", "README.md"),
    output:
        directory(LAYOUT.exported("{dataset}", "{kind}")),
    log:
        LAYOUT.log("export", "{dataset}", "{kind}"),
    wildcard_constraints:
        kind=any_of(exporting.KINDS),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * exporting.KINDS[wildcards.kind].mem_mb,
        runtime=lambda wildcards, attempt: attempt * exporting.KINDS[wildcards.kind].runtime,
    params:
        code=lambda wildcards: digest_of_script(
            SCRIPTS / "export.py", also=[f"pocketscope.exports.{exporting.KINDS[wildcards.kind].module}"]
        ),
        templates=lambda wildcards: digest_of_value(
            [path.read_text(encoding="utf-8") for path in exporting.templates_of(wildcards.kind)]
        ),
    script:
        "../workflow_scripts/export.py"


# A target, and no part of the default one. Kinds that are converted in another environment are in it where that is named.
rule exports:
    input:
        [LAYOUT.exported(dataset, kind) for dataset in CONFIG.datasets for kind in exporting.possible()],
    localrule: True
