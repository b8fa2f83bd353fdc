"""Images in, parts out."""

# What is wrong with a data set is said before another one is trained on.
FIRST = 1


rule pack:
    output:
        images="datasets/{packed}/images.parquet",
        labels="datasets/{packed}/labels.parquet",
        skipped="datasets/{packed}/skipped.parquet",
        files="datasets/{packed}/files.parquet",
    log:
        "datasets/{packed}/pack.log",
    priority: FIRST
    conda:
        "../envs/environment.yaml"
    threads: 8
    resources:
        mem_mb=memory(2000),
        runtime=minutes(120),
    params:
        code=code("pack.py"),
        source=source_of,
        content=content_of_source,
        classes=packing("classes"),
        page=packing("page"),
        image_size=packing("image_size"),
        fit=packing("fit"),
        max_skipped_share=packing("max_skipped_share"),
    script:
        "../workflow_scripts/pack.py"


rule check:
    input:
        images=packed("images"),
        labels=packed("labels"),
        skipped=packed("skipped"),
    output:
        classes=CLASSES,
    log:
        f"{LOGS}/check/{{dataset}}.log",
    priority: FIRST
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=code("check.py"),
        meant=meant,
        corrections=corrections,
    script:
        "../workflow_scripts/check.py"


rule split:
    input:
        images=packed("images"),
        labels=packed("labels"),
        skipped=packed("skipped"),
    output:
        split=f"{SPLIT}/split.parquet",
        truth=f"{SPLIT}/truth.parquet",
        labels=f"{SPLIT}/human/labels.parquet",
    log:
        f"{LOGS}/split/{{dataset}}.{{split}}.log",
    priority: FIRST
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=code("split.py"),
        drawn=lambda wildcards: DRAWN | (SPLITS | SHIP)[wildcards.split],
        corrections=corrections,
        # Checked here too, so that nothing is trained on what is not meant; but no part depends on it. Snakemake does
        # not record params that are derived from the input: a change runs `check` again, and trains nothing.
        meant=lambda wildcards, input: meant(wildcards),
    script:
        "../workflow_scripts/split.py"


rule near_duplicates:
    input:
        images=packed("images"),
        splits=lambda wildcards: [f"{SPLIT}/split.parquet".format(split=split, **wildcards) for split in SPLITS],
    output:
        table=f"{STUDY}/near_duplicates/{{dataset}}.parquet",
        csv=f"{STUDY}/near_duplicates/{{dataset}}.csv",
    log:
        f"{LOGS}/near_duplicates/{{dataset}}.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
    params:
        code=code("near_duplicates.py"),
        names=list(SPLITS),
    script:
        "../workflow_scripts/near_duplicates.py"


# The one way by which hidden labels come into a label set: that of the upper bound.
rule reveal:
    input:
        split=f"{SPLIT}/split.parquet",
        truth=f"{SPLIT}/truth.parquet",
    output:
        labels=f"{SPLIT}/full/labels.parquet",
    log:
        f"{LOGS}/reveal/{{dataset}}.{{split}}.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=code("reveal.py"),
    script:
        "../workflow_scripts/reveal.py"
