"""Images in, parts out."""


rule pack:
    output:
        images="datasets/{packed}/images.parquet",
        labels="datasets/{packed}/labels.parquet",
        skipped="datasets/{packed}/skipped.parquet",
        files="datasets/{packed}/files.parquet",
    log:
        "datasets/{packed}/pack.log",
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


rule split:
    input:
        images=packed("images"),
        labels=packed("labels"),
    output:
        split=f"{SPLIT}/split.parquet",
        truth=f"{SPLIT}/truth.parquet",
        labels=f"{SPLIT}/human/labels.parquet",
    log:
        f"{LOGS}/split/{{dataset}}.{{split}}.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=code("split.py"),
        labelled=lambda wildcards: SPLITS[wildcards.split][0],
        seed=lambda wildcards: SPLITS[wildcards.split][1],
        sharing=configuration.plain(CONFIG.split.model_copy(update=dict(labelled=[], seeds=[]))),
    script:
        "../workflow_scripts/split.py"


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
