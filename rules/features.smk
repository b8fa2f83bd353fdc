"""What pretrained networks see in images, as they are: for whoever labels, before anything is trained."""


rule features:
    input:
        images=LAYOUT.packed("{packed}", "images"),
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
        gpu=PLAN.gpus,
        mem_mb=memory(2000),
        runtime=minutes(60, share=0.2),
    params:
        code=code("features.py"),
        network=ask(PLAN.network),
        threads=CONFIG.compute.threads,
        device=CONFIG.compute.device,
    script:
        "../workflow_scripts/features.py"
