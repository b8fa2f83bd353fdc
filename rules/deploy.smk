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
