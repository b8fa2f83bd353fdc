"""Every training run is a triple (split, label set, network): base model, teacher, student and upper bound alike."""


rule train:
    input:
        unpack(previous_run),
        images=packed("images"),
        split=f"{SPLIT}/split.parquet",
        labels=labels_of,
    output:
        model=f"{RUN}/model.safetensors",
        onnx=f"{RUN}/model.fp32.onnx",
        history=f"{RUN}/history.parquet",
        timings=f"{RUN}/timings.parquet",
    log:
        f"{LOGS}/train/{{dataset}}.{{split}}.{{labelset}}.{{network}}.log",
    wildcard_constraints:
        labelset=LABEL_SETS,
        network=any_of(NETWORKS),
    conda:
        "../envs/environment.yaml"
    threads: CONFIG.compute.threads
    resources:
        gpu=gpus(),
        mem_mb=memory_of_training,
        runtime=minutes(240),
    params:
        code=code("train.py"),
        network=network_entry,
        training=training_of,
        symmetries=dataset_setting("symmetries"),
        seed=seed_of("train"),
        threads=CONFIG.compute.threads,
        device=CONFIG.compute.device,
        arithmetic=arithmetic_of,
    script:
        "../workflow_scripts/train.py"


# Labelled and unlabelled images at once.
rule train_consistency:
    input:
        unpack(warm_start),
        images=packed("images"),
        split=f"{SPLIT}/split.parquet",
        labels=labels_of,
    output:
        model=f"{RUN}/model.safetensors",
        onnx=f"{RUN}/model.fp32.onnx",
        history=f"{RUN}/history.parquet",
        timings=f"{RUN}/timings.parquet",
        guesses=f"{RUN}/guesses.parquet",
    log:
        f"{LOGS}/train_consistency/{{dataset}}.{{split}}.{{labelset}}.{{network}}.log",
    wildcard_constraints:
        labelset=any_of(CONSISTENCY),
        network=any_of(NETWORKS),
    conda:
        "../envs/environment.yaml"
    threads: CONFIG.compute.threads
    resources:
        gpu=gpus(),
        mem_mb=memory_of_training,
        runtime=minutes(240),
    params:
        code=code("train_consistency.py"),
        network=network_entry,
        training=training_of,
        method=consistency_method,
        symmetries=dataset_setting("symmetries"),
        seed=seed_of("train"),
        threads=CONFIG.compute.threads,
        device=CONFIG.compute.device,
        arithmetic=arithmetic_of,
    script:
        "../workflow_scripts/train_consistency.py"
