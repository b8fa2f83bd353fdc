"""Images in, parts out."""

# What is wrong with a data set is said before another one is trained on.
FIRST = 1


# A part of a large data set: a file stays in its shard, so that files that come later are decoded alone.
rule pack_shard:
    output:
        LAYOUT.shard("{packed}", "{shard}"),
    log:
        LAYOUT.shard("{packed}", "{shard}").replace(".arrow", ".log"),
    priority: FIRST
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(60),
    params:
        code=code_of_shard,
        content=lambda wildcards: kinds.fingerprint(*files_of_shard(wildcards)),
        page=packing("page"),
        image_size=packing("image_size"),
        resize=packing("resize"),
        group_by=lambda wildcards: kinds.header_of_groups(packing("source")(wildcards)),
        # Where files lie is no part of what is made of them.
        manifest=lambda wildcards, output: LAYOUT.packed(wildcards.packed, "manifest"),
        top=lambda wildcards, output: files_start_at(packing("source")(wildcards), ROOT),
    script:
        "../workflow_scripts/pack_shard.py"


rule pack:
    input:
        shards=shards_to_join,
    output:
        images=LAYOUT.packed("{packed}", "images"),
        labels=LAYOUT.packed("{packed}", "labels"),
        skipped=LAYOUT.packed("{packed}", "skipped"),
        files=LAYOUT.packed("{packed}", "files"),
    log:
        LAYOUT.packing_log("{packed}"),
    priority: FIRST
    conda:
        "../envs/environment.yaml"
    # Shards are decoded already, and wait to be joined.
    threads: lambda wildcards, input: 1 if input.shards else 8
    resources:
        mem_mb=memory_of_packing,
        runtime=minutes(120),
    params:
        code=code_of_packing,
        source=packing("source"),
        content=content_of_source,
        # Where lists of files lie is no part of what is made of them.
        snapshot=lambda wildcards, output: snapshot_of(wildcards.packed),
        manifest=lambda wildcards, output: LAYOUT.packed(wildcards.packed, "manifest"),
        classes=packing("classes"),
        page=packing("page"),
        image_size=packing("image_size"),
        resize=packing("resize"),
        max_skipped_share=packing("max_skipped_share"),
    script:
        "../workflow_scripts/pack.py"


# What came since the snapshot that all other rules read: it is answered, and waits to be learnt from.
rule pack_new:
    output:
        images=LAYOUT.packed_new("{packed}", "images"),
        labels=LAYOUT.packed_new("{packed}", "labels"),
        skipped=LAYOUT.packed_new("{packed}", "skipped"),
        files=LAYOUT.packed_new("{packed}", "files"),
    log:
        LAYOUT.packed_new("{packed}", "pack").replace(".parquet", ".log"),
    conda:
        "../envs/environment.yaml"
    threads: 8
    resources:
        mem_mb=memory(2000),
        runtime=minutes(120),
    params:
        code=code_of_packing,
        source=packing("source"),
        content=content_of_new,
        classes=packing("classes"),
        page=packing("page"),
        image_size=packing("image_size"),
        resize=packing("resize"),
        max_skipped_share=1.0,
        snapshot=lambda wildcards, output: snapshot_of(wildcards.packed),
        new=True,
    script:
        "../workflow_scripts/pack.py"


rule check:
    input:
        images=packed("images"),
        labels=packed("labels"),
        skipped=packed("skipped"),
    output:
        classes=LAYOUT.classes("{dataset}"),
    log:
        LAYOUT.log("check", "{dataset}"),
    priority: FIRST
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=code("check.py"),
        expected=expected,
        labels=labels_given,
        table=lambda wildcards, input: table_of_labels(wildcards),
    script:
        "../workflow_scripts/check.py"


rule split:
    input:
        images=packed("images"),
        labels=packed("labels"),
        skipped=packed("skipped"),
        near=ask(PLAN.near_pairs),
    output:
        split=SPLIT.roles,
        truth=SPLIT.truth,
        labels=SPLIT.labels("human"),
    log:
        LAYOUT.log("split", "{dataset}", "{split}"),
    priority: FIRST
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=code("split.py"),
        drawn=ask(PLAN.drawing),
        labels=labels_given,
        table=lambda wildcards, input: table_of_labels(wildcards),
        # Checked here too, so that nothing is trained on what is not meant; but no part depends on it. Snakemake does
        # not record params that are derived from the input: a change runs `check` again, and trains nothing.
        expected=lambda wildcards, input: expected(wildcards),
        pinned=lambda wildcards, input: classes_pinned(wildcards),
    script:
        "../workflow_scripts/split.py"


# Where nearly equal images are to be one group: before there is any split.
rule pair_near_duplicates:
    input:
        images=packed("images"),
    output:
        pairs=LAYOUT.near_pairs("{dataset}"),
    log:
        LAYOUT.log("pair_near_duplicates", "{dataset}"),
    priority: FIRST
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
    params:
        code=code("pair_near_duplicates.py"),
    script:
        "../workflow_scripts/pair_near_duplicates.py"


rule near_duplicates:
    input:
        images=packed("images"),
        splits=lambda wildcards: [LAYOUT.split(wildcards.dataset, split).roles for split in PLAN.splits],
    output:
        table=LAYOUT.near_duplicates("{dataset}"),
        csv=LAYOUT.near_duplicates("{dataset}", "csv"),
    log:
        LAYOUT.log("near_duplicates", "{dataset}"),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
    params:
        code=code("near_duplicates.py"),
        names=list(PLAN.splits),
    script:
        "../workflow_scripts/near_duplicates.py"


# The one way by which hidden labels come into a label set: that of the upper bound.
rule oracle_labels:
    input:
        split=SPLIT.roles,
        truth=SPLIT.truth,
    output:
        labels=SPLIT.labels("full"),
    log:
        LAYOUT.log("oracle_labels", "{dataset}", "{split}"),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=code("oracle_labels.py"),
    script:
        "../workflow_scripts/oracle_labels.py"
