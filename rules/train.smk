"""Every training run is a triple (split, label set, network): base model, teacher, student and upper bound alike."""


rule train:
    input:
        unpack(previous_run),
        images=packed("images"),
        split=SPLIT + "/split.parquet",
        labels=SPLIT + "/{labelset}/labels.parquet",
    output:
        model=RUN + "/model.safetensors",
        onnx=RUN + "/model.fp32.onnx",
        history=RUN + "/history.parquet",
        timings=RUN + "/timings.parquet",
    log:
        LOGS + "/train/{dataset}.{split}.{labelset}.{network}.log",
    conda:
        "../envs/environment.yaml"
    threads: CONFIG.compute.threads
    resources:
        gpu=gpus,
        mem_mb=4000,
        runtime=240,
    params:
        code=code("train.py"),
        network=network_entry,
        training=configuration.plain(CONFIG.training),
        augmentation=configuration.plain(CONFIG.augmentation),
        symmetries=dataset_setting("symmetries"),
        seed=seed_of("train"),
        threads=CONFIG.compute.threads,
        device=CONFIG.compute.device,
    script:
        "../workflow_scripts/train.py"
