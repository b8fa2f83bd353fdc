"""What teachers predict of unlabelled images, and which of these predictions become pseudo-labels."""


rule predict:
    input:
        images=packed("images"),
        split=SPLIT.roles,
        model=RUN.weights,
    output:
        predictions=RUN.predictions,
    log:
        LAYOUT.log("predict", "{dataset}", "{split}", "{label_set}", "{network}"),
    conda:
        "../envs/environment.yaml"
    threads: CONFIG.compute.threads
    resources:
        gpu=PLAN.gpus,
        mem_mb=memory(2000),
        runtime=minutes(60, share=0.2),
    params:
        code=code("predict.py"),
        views=lambda wildcards: PLAN.views_of(wildcards.dataset),
        strengths=plain(CONFIG.view_strengths),
        threads=CONFIG.compute.threads,
        device=CONFIG.compute.device,
    script:
        "../workflow_scripts/predict.py"


# Without a validation set, labelled images that a teacher has not seen are those of a fold that it was trained without.
rule leave_out:
    input:
        split=SPLIT.roles,
        labels=SPLIT.labels("human"),
    output:
        labels=SPLIT.labels("human.f{fold}"),
    log:
        LAYOUT.log("leave_out", "{dataset}", "{split}", "f{fold}"),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=code("leave_out.py"),
        folds=CONFIG.crossfit_folds,
        seed=ask(PLAN.seed_of_folds),
    script:
        "../workflow_scripts/leave_out.py"


rule join_folds:
    input:
        predictions=[
            LAYOUT.run("{dataset}", "{split}", f"human.f{fold}", "{network}").predictions for fold in PLAN.folds
        ],
        labels=[SPLIT.labels(f"human.f{fold}") for fold in PLAN.folds],
    output:
        predictions=LAYOUT.run("{dataset}", "{split}", "human", "{network}").out_of_fold("full"),
    log:
        LAYOUT.log("join_folds", "{dataset}", "{split}", "{network}"),
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
        split=SPLIT.roles,
        labels=SPLIT.labels("human"),
    output:
        predictions=LAYOUT.run("{dataset}", "{split}", "human", "{network}").out_of_fold("frozen"),
    log:
        LAYOUT.log("cross_fit", "{dataset}", "{split}", "{network}"),
    conda:
        "../envs/environment.yaml"
    threads: CONFIG.compute.threads
    resources:
        gpu=PLAN.gpus,
        mem_mb=memory(4000),
        runtime=minutes(60),
    params:
        code=code("cross_fit.py"),
        network=ask(PLAN.network),
        views=lambda wildcards: PLAN.views_of(wildcards.dataset),
        strengths=plain(CONFIG.view_strengths),
        folds=CONFIG.crossfit_folds,
        seed=ask(PLAN.seed_of_folds),
        threads=CONFIG.compute.threads,
        device=CONFIG.compute.device,
    script:
        "../workflow_scripts/cross_fit.py"


# Where a method asks for it: a change in what calibrates makes no label again that rests on no calibration.
rule calibrate:
    input:
        unpack(ask(PLAN.calibrated_by)),
        split=SPLIT.roles,
    output:
        teachers=SPLIT.teachers("{method}.r{round}"),
    log:
        LAYOUT.log("calibrate", "{dataset}", "{split}", "{method}.r{round}"),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        code=code("calibrate.py"),
        teachers=lambda wildcards: [name for name, _ in PLAN.teachers(wildcards.method, wildcards["round"])],
        views=lambda wildcards: PLAN.views_of(wildcards.dataset, wildcards.method),
        temperatures=lambda wildcards: CONFIG.methods[wildcards.method].calibration == "temperature",
        drop_views=lambda wildcards: CONFIG.methods[wildcards.method].views == "auto",
    script:
        "../workflow_scripts/calibrate.py"


rule pseudo_label:
    input:
        unpack(ask(PLAN.votes)),
        split=SPLIT.roles,
        labels=lambda wildcards: LAYOUT.split(wildcards.dataset, wildcards.split).labels(
            PLAN.labels_before(wildcards.method, wildcards["round"])
        ),
    output:
        labels=SPLIT.labels("{method}.r{round}"),
        proposals=SPLIT.proposals("{method}.r{round}"),
    log:
        LAYOUT.log("pseudo_label", "{dataset}", "{split}", "{method}.r{round}"),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        code=code("pseudo_label.py"),
        teachers=lambda wildcards: [name for name, _ in PLAN.teachers(wildcards.method, wildcards["round"])],
        method=ask(PLAN.labelling),
        views=lambda wildcards: PLAN.views_of(wildcards.dataset, wildcards.method),
    script:
        "../workflow_scripts/pseudo_label.py"


# The networks that label are results too: the best of them, by labelled images that it has not seen, is a candidate.
rule choose:
    input:
        unpack(ask(PLAN.choice)),
        split=SPLIT.roles,
    output:
        onnx=LAYOUT.run("{dataset}", "{split}", "{label_set}", BEST_TEACHER).onnx("fp32"),
        history=LAYOUT.run("{dataset}", "{split}", "{label_set}", BEST_TEACHER).history,
    log:
        LAYOUT.log("choose", "{dataset}", "{split}", "{label_set}"),
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
        unpack(ask(PLAN.audited)),
        images=packed("images"),
        split=SPLIT.roles,
        truth=SPLIT.truth,
    output:
        classes=SPLIT.audit("classes"),
        coverage=SPLIT.audit("coverage"),
        review=[SPLIT.review(method) for method in PLAN.distilling],
    log:
        LAYOUT.log("audit", "{dataset}", "{split}"),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        code=code("audit.py"),
        rounds=PLAN.rounds(),
        consistency_runs=PLAN.consistency_runs(),
    script:
        "../workflow_scripts/audit.py"
