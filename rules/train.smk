"""Every training run is a triple (split, label set, network): base model, teacher, student and upper bound alike."""


rule train:
    input:
        unpack(ask(PLAN.previous_run)),
        images=packed("images"),
        split=SPLIT.roles,
        labels=ask(PLAN.labels_of),
    output:
        model=RUN.weights,
        onnx=RUN.onnx("fp32"),
        history=RUN.history,
        timings=RUN.timings,
    log:
        LAYOUT.log("train", "{dataset}", "{split}", "{label_set}", "{network}"),
    wildcard_constraints:
        label_set=PLAN.trained_label_sets,
        network=any_of(NETWORKS),
    conda:
        "../envs/environment.yaml"
    threads: CONFIG.compute.threads
    resources:
        gpu=PLAN.gpus,
        mem_mb=memory_of_training,
        runtime=minutes(240),
    params:
        code=code("train.py"),
        network=ask(PLAN.network),
        training=ask(PLAN.training),
        symmetries=setting("symmetries"),
        seed=ask(PLAN.seed_of, "train"),
        threads=CONFIG.compute.threads,
        device=CONFIG.compute.device,
        train_dtype=ask(PLAN.train_dtype),
    script:
        "../workflow_scripts/train.py"


# Labelled and unlabelled images at once.
rule train_consistency:
    input:
        unpack(ask(PLAN.warm_start)),
        images=packed("images"),
        split=SPLIT.roles,
        labels=ask(PLAN.labels_of),
    output:
        model=RUN.weights,
        onnx=RUN.onnx("fp32"),
        history=RUN.history,
        timings=RUN.timings,
        online_pseudo_labels=RUN.online_pseudo_labels,
    log:
        LAYOUT.log("train_consistency", "{dataset}", "{split}", "{label_set}", "{network}"),
    wildcard_constraints:
        label_set=any_of(PLAN.consistency),
        network=any_of(NETWORKS),
    conda:
        "../envs/environment.yaml"
    threads: CONFIG.compute.threads
    resources:
        gpu=PLAN.gpus,
        mem_mb=memory_of_training,
        runtime=minutes(240),
    params:
        code=code("train_consistency.py"),
        network=ask(PLAN.network),
        training=ask(PLAN.training),
        method=ask(PLAN.consistency_method),
        symmetries=setting("symmetries"),
        seed=ask(PLAN.seed_of, "train"),
        threads=CONFIG.compute.threads,
        device=CONFIG.compute.device,
        train_dtype=ask(PLAN.train_dtype),
    script:
        "../workflow_scripts/train_consistency.py"
