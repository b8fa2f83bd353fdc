"""What teachers say of unlabelled images, and what is believed of it."""


rule predict:
    input:
        images=packed("images"),
        split=f"{SPLIT}/split.parquet",
        model=f"{RUN}/model.safetensors",
    output:
        predictions=f"{RUN}/unlabelled.parquet",
    log:
        f"{LOGS}/predict/{{dataset}}.{{split}}.{{labelset}}.{{network}}.log",
    conda:
        "../envs/environment.yaml"
    threads: CONFIG.compute.threads
    resources:
        gpu=gpus,
        mem_mb=4000,
        runtime=120,
    params:
        code=code("predict.py"),
        views=lambda wildcards: views_of(wildcards.dataset, CONFIG.views),
        threads=CONFIG.compute.threads,
        device=CONFIG.compute.device,
    script:
        "../workflow_scripts/predict.py"


rule pseudo_label:
    input:
        predictions=teachers_predictions,
        labels=lambda wildcards: f"{SPLIT.format(**wildcards)}/{labels_before(wildcards)}/labels.parquet",
    output:
        labels=f"{SPLIT}/{{method}}.r{{round}}/labels.parquet",
    log:
        f"{LOGS}/pseudo_label/{{dataset}}.{{split}}.{{method}}.r{{round}}.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("pseudo_label.py"),
        views=lambda wildcards: views_of(wildcards.dataset, CONFIG.methods[wildcards.method].views),
        how=lambda wildcards: CONFIG.methods[wildcards.method].vote,
        threshold=lambda wildcards: CONFIG.methods[wildcards.method].threshold,
    script:
        "../workflow_scripts/pseudo_label.py"
