"""How good the files are that would ship, on images that nothing has seen that made them; and how fast and large."""


rule evaluate:
    input:
        images=packed("images"),
        split=SPLIT.roles,
        model=RUN.onnx("{precision}"),
    output:
        predictions=RUN.test("{precision}"),
    log:
        LAYOUT.log("evaluate", "{dataset}", "{split}", "{label_set}", "{network}", "{precision}"),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=minutes(20, share=0.02),
    params:
        code=code("evaluate.py"),
    script:
        "../workflow_scripts/evaluate.py"


rule scores:
    input:
        predictions=PLAN.test_predictions(),
        truths=[LAYOUT.split(*where).truth for where in PLAN.all_splits()],
        classes=[LAYOUT.classes(dataset) for dataset in CONFIG.datasets],
    output:
        scores=LAYOUT.scores(),
        csv=LAYOUT.scores("csv"),
    log:
        LAYOUT.log("scores"),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=code("scores.py"),
        candidates=PLAN.candidates,
        splits=PLAN.all_splits(),
        datasets=list(CONFIG.datasets),
    script:
        "../workflow_scripts/scores.py"


# Alone on the machine: it asks for all cores, and a cluster's node for itself.
rule time_inference:
    input:
        unpack(ask(PLAN.models_to_time)),
    output:
        LAYOUT.timing("{network}"),
    log:
        LAYOUT.log("time_inference", "{network}"),
    conda:
        "../envs/environment.yaml"
    threads: workflow.cores or 1
    resources:
        gpu=PLAN.gpus,
        mem_mb=memory(4000),
        runtime=minutes(60),
        slurm_extra="--exclusive",
    params:
        code=code("time_inference.py"),
        training=PLAN.training(""),
        train_dtypes=ask(PLAN.train_dtypes_to_time),
        precisions=ask(PLAN.precisions_to_time),
        threads=CONFIG.compute.threads,
        device=CONFIG.compute.device,
    script:
        "../workflow_scripts/time_inference.py"
