"""What teachers say of unlabelled images, and what is believed of it."""


rule predict:
    input:
        images=packed("images"),
        split=f"{SPLIT}/split.parquet",
        model=f"{RUN}/model.safetensors",
    output:
        predictions=f"{RUN}/predictions.parquet",
    log:
        f"{LOGS}/predict/{{dataset}}.{{split}}.{{labelset}}.{{network}}.log",
    conda:
        "../envs/environment.yaml"
    threads: CONFIG.compute.threads
    resources:
        gpu=gpus(),
        mem_mb=memory(2000),
        runtime=minutes(60, share=0.2),
    params:
        code=code("predict.py"),
        views=lambda wildcards: views_of(wildcards.dataset, CONFIG.views),
        strengths=configuration.plain(CONFIG.view_strengths),
        threads=CONFIG.compute.threads,
        device=CONFIG.compute.device,
    script:
        "../workflow_scripts/predict.py"


# Without a validation part, labelled images that a teacher has not seen are those of a fold that it was trained without.
rule leave_out:
    input:
        split=f"{SPLIT}/split.parquet",
        labels=f"{SPLIT}/human/labels.parquet",
    output:
        labels=f"{SPLIT}/human.f{{fold}}/labels.parquet",
    log:
        f"{LOGS}/leave_out/{{dataset}}.{{split}}.f{{fold}}.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=code("leave_out.py"),
        folds=CONFIG.crossfit_folds,
        seed=lambda wildcards: seed_of_folds(wildcards),
    script:
        "../workflow_scripts/leave_out.py"


rule join_folds:
    input:
        predictions=[f"{SPLIT}/human.f{fold}/{{network}}/predictions.parquet" for fold in FOLDS],
        labels=[f"{SPLIT}/human.f{fold}/labels.parquet" for fold in FOLDS],
    output:
        predictions=f"{SPLIT}/human/{{network}}/out_of_fold.full.parquet",
    log:
        f"{LOGS}/join_folds/{{dataset}}.{{split}}.{{network}}.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        code=code("join_folds.py"),
    script:
        "../workflow_scripts/join_folds.py"


rule cross_fit:
    input:
        images=packed("images"),
        split=f"{SPLIT}/split.parquet",
        labels=f"{SPLIT}/human/labels.parquet",
    output:
        predictions=f"{SPLIT}/human/{{network}}/out_of_fold.frozen.parquet",
    log:
        f"{LOGS}/cross_fit/{{dataset}}.{{split}}.{{network}}.log",
    conda:
        "../envs/environment.yaml"
    threads: CONFIG.compute.threads
    resources:
        gpu=gpus(),
        mem_mb=memory(4000),
        runtime=minutes(60),
    params:
        code=code("cross_fit.py"),
        network=network_entry,
        views=lambda wildcards: views_of(wildcards.dataset, CONFIG.views),
        strengths=configuration.plain(CONFIG.view_strengths),
        folds=CONFIG.crossfit_folds,
        seed=lambda wildcards: seed_of_folds(wildcards),
        threads=CONFIG.compute.threads,
        device=CONFIG.compute.device,
    script:
        "../workflow_scripts/cross_fit.py"


rule pseudo_label:
    input:
        unpack(what_teachers_say),
        split=f"{SPLIT}/split.parquet",
        labels=lambda wildcards: f"{SPLIT.format(**wildcards)}/{labels_before(wildcards)}/labels.parquet",
    output:
        labels=f"{SPLIT}/{{method}}.r{{round}}/labels.parquet",
        candidates=f"{SPLIT}/{{method}}.r{{round}}/candidates.parquet",
        teachers=f"{SPLIT}/{{method}}.r{{round}}/teachers.parquet",
    log:
        f"{LOGS}/pseudo_label/{{dataset}}.{{split}}.{{method}}.r{{round}}.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        code=code("pseudo_label.py"),
        teachers=lambda wildcards: [name for name, _ in teachers_of(wildcards)],
        method=lambda wildcards: labelling_of(wildcards.method),
        views=views_of_method,
    script:
        "../workflow_scripts/pseudo_label.py"


# The networks that label are results too: the best of them, by labelled images that it has not seen, is a row.
rule choose:
    input:
        unpack(what_candidates_say),
        models=lambda wildcards: runs_of_candidates(wildcards, "model.fp32.onnx"),
        histories=lambda wildcards: runs_of_candidates(wildcards, "history.parquet"),
        split=f"{SPLIT}/split.parquet",
    output:
        onnx=f"{SPLIT}/{{labelset}}/{configuration.BEST_TEACHER}/model.fp32.onnx",
        history=f"{SPLIT}/{{labelset}}/{configuration.BEST_TEACHER}/history.parquet",
    log:
        f"{LOGS}/choose/{{dataset}}.{{split}}.{{labelset}}.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=code("choose.py"),
    script:
        "../workflow_scripts/choose.py"


rule audit:
    input:
        candidates=lambda wildcards: candidates_of_split(wildcards),
        guesses=lambda wildcards: guesses_of_split(wildcards),
        labels=[f"{SPLIT}/{method}.r{CONFIG.methods[method].rounds}/labels.parquet" for method in TEACHERS_LABELS],
        images=packed("images"),
        split=f"{SPLIT}/split.parquet",
        truth=f"{SPLIT}/truth.parquet",
    output:
        classes=f"{SPLIT}/audit/classes.parquet",
        coverage=f"{SPLIT}/audit/coverage.parquet",
        review=[f"{SPLIT}/audit/review.{method}.csv" for method in TEACHERS_LABELS],
    log:
        f"{LOGS}/audit/{{dataset}}.{{split}}.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        code=code("audit.py"),
        rounds=automatic_rounds(),
        guessing_runs=guessing_runs(),
    script:
        "../workflow_scripts/audit.py"
