"""Model files that ship."""


rule quantize:
    input:
        images=packed("images"),
        labels=SPLIT + "/{labelset}/labels.parquet",
        model=RUN + "/model.fp32.onnx",
    output:
        model=RUN + "/model.int8.onnx",
    params:
        code=code("quantize.py"),
        seed=seed_of("quantize"),
    log:
        LOGS + "/quantize/{dataset}.{split}.{labelset}.{network}.log",
    resources:
        mem_mb=2000,
        runtime=30,
    conda:
        "../envs/environment.yaml"
    script:
        "../workflow_scripts/quantize.py"
