"""Model files that ship."""


rule quantize:
    input:
        images=packed("images"),
        labels=labels_of,
        model=f"{RUN}/model.fp32.onnx",
    output:
        model=f"{RUN}/model.int8.onnx",
    log:
        f"{LOGS}/quantize/{{dataset}}.{{split}}.{{labelset}}.{{network}}.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code("quantize.py"),
        seed=seed_of("quantize"),
    script:
        "../workflow_scripts/quantize.py"


# Alone on the machine: it asks for all cores, and a cluster's node for itself.
rule time_inference:
    input:
        unpack(models_to_time),
    output:
        f"{STUDY}/timing/{{network}}.parquet",
    log:
        f"{LOGS}/time_inference/{{network}}.log",
    conda:
        "../envs/environment.yaml"
    threads: workflow.cores or 1
    resources:
        gpu=gpus,
        mem_mb=4000,
        runtime=60,
        slurm_extra="--exclusive",
    params:
        code=code("time_inference.py"),
        training=configuration.plain(CONFIG.training),
        arithmetics=arithmetics_to_time,
        precisions=precisions_to_time,
        threads=CONFIG.compute.threads,
        device=CONFIG.compute.device,
    script:
        "../workflow_scripts/time_inference.py"
