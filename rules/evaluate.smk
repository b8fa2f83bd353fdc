"""How good the files are that would ship, on images that nothing has seen that made them."""


rule evaluate:
    input:
        images=packed("images"),
        split=f"{SPLIT}/split.parquet",
        model=f"{RUN}/model.{{precision}}.onnx",
    output:
        predictions=f"{RUN}/test.{{precision}}.parquet",
    log:
        f"{LOGS}/evaluate/{{dataset}}.{{split}}.{{labelset}}.{{network}}.{{precision}}.log",
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
        predictions=[path_of(row, "test") for row in rows()],
        truths=[f"{RUNS}/{dataset}/{split}/truth.parquet" for dataset, split in all_splits()],
        classes=[CLASSES.format(dataset=dataset) for dataset in CONFIG.datasets],
    output:
        scores=f"{STUDY}/scores.parquet",
        csv=f"{STUDY}/scores.csv",
    log:
        f"{LOGS}/scores.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=code("scores.py"),
        rows=rows(),
        splits=all_splits(),
        datasets=list(CONFIG.datasets),
    script:
        "../workflow_scripts/scores.py"
