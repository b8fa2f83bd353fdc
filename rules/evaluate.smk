"""How good the files are that would ship, on images that no training, choice or calibration has seen."""


rule evaluate:
    input:
        images=packed("images"),
        split=f"{SPLIT}/split.parquet",
        truth=f"{SPLIT}/truth.parquet",
        model=f"{RUN}/model.{{precision}}.onnx",
    output:
        predictions=f"{RUN}/test.{{precision}}.parquet",
        scores=f"{RUN}/scores.{{precision}}.parquet",
    log:
        f"{LOGS}/evaluate/{{dataset}}.{{split}}.{{labelset}}.{{network}}.{{precision}}.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=minutes(20, share=0.02),
    params:
        code=code("evaluate.py"),
        positive=dataset_setting("positive"),
    script:
        "../workflow_scripts/evaluate.py"


rule scores:
    input:
        [path_of(row, "scores") for row in rows()],
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
    script:
        "../workflow_scripts/scores.py"
