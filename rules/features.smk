"""What pretrained networks see in images, as they are: for whoever labels, before anything is trained."""


# The images of one shard of a large data set: what comes later is seen alone.
rule features_shard:
    input:
        LAYOUT.shard("{packed}", "{shard}"),
    output:
        LAYOUT.features_of_shard("{packed}", "{network}", "{shard}"),
    log:
        LAYOUT.features_of_shard("{packed}", "{network}", "{shard}").replace(".arrow", ".log"),
    wildcard_constraints:
        network=any_of(NETWORKS),
    conda:
        "../envs/environment.yaml"
    threads: CONFIG.compute.threads
    resources:
        gpu=PLAN.gpus,
        mem_mb=memory(2000),
        runtime=minutes(60),
    params:
        code=code("features_shard.py"),
        network=ask(PLAN.network),
        threads=CONFIG.compute.threads,
        device=CONFIG.compute.device,
    script:
        "../workflow_scripts/features_shard.py"


rule features:
    input:
        images=LAYOUT.packed("{packed}", "images"),
        shards=features_to_join,
    output:
        features=LAYOUT.features("{packed}", "{network}"),
    log:
        LAYOUT.features("{packed}", "{network}").replace(".parquet", ".log"),
    wildcard_constraints:
        network=any_of(NETWORKS),
    conda:
        "../envs/environment.yaml"
    threads: CONFIG.compute.threads
    resources:
        # Of shards hardly an image is left to see.
        gpu=lambda wildcards, input: 0 if input.shards else PLAN.gpus,
        mem_mb=memory(2000),
        runtime=minutes(60, share=0.2),
    params:
        code=code("features.py"),
        network=ask(PLAN.network),
        threads=CONFIG.compute.threads,
        device=CONFIG.compute.device,
    script:
        "../workflow_scripts/features.py"
