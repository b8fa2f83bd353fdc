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
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        code=code("quantize.py"),
        seed=seed_of("quantize"),
    script:
        "../workflow_scripts/quantize.py"


# Which row ships is known when the study is done, unless the configuration names it: the inputs follow from the
# recommendation. The network is trained by the rules that train all others, on the split `ship`.
rule answer:
    input:
        unpack(row_that_ships),
        images=packed("images"),
        classes=CLASSES,
        split=f"{RUNS}/{{dataset}}/ship/split.parquet",
    output:
        model=f"{STUDY}/ship/{{dataset}}/model.onnx",
        int8=f"{STUDY}/ship/{{dataset}}/model.int8.onnx",
        answers=f"{STUDY}/ship/{{dataset}}/answers.csv",
        card=f"{STUDY}/ship/{{dataset}}/README.md",
    log:
        f"{LOGS}/answer/{{dataset}}.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60, share=0.1),
    params:
        code=code("answer.py"),
        template=configuration.digest((SCRIPTS / "pocketscope/templates/card.md").read_text(encoding="utf-8")),
        dataset=lambda wildcards: wildcards.dataset,
        row=configuration.plain(CONFIG.ship)["row"],
        sure=CONFIG.ship.sure,
    script:
        "../workflow_scripts/answer.py"


# A target: models that are trained on every label, and their answers.
rule ship:
    input:
        expand(f"{STUDY}/ship/{{dataset}}/answers.csv", dataset=CONFIG.datasets),
    localrule: True


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
        gpu=gpus(),
        mem_mb=memory(4000),
        runtime=minutes(60),
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
