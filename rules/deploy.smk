"""Model files that ship, and answers for images that nobody labelled."""


rule quantize:
    input:
        images=packed("images"),
        labels=ask(PLAN.labels_of),
        model=RUN.onnx("fp32"),
    output:
        model=RUN.onnx("int8"),
    log:
        LAYOUT.log("quantize", "{dataset}", "{split}", "{label_set}", "{network}"),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        code=code("quantize.py"),
        seed=ask(PLAN.seed_of, "quantize"),
    script:
        "../workflow_scripts/quantize.py"


# Which candidate ships is known when the study is done, unless the configuration names it: the inputs follow from the
# recommendation. The network is trained by the rules that train all others, on the split `ship`.
rule answer:
    input:
        unpack(what_ships),
        images=packed("images"),
        classes=LAYOUT.classes("{dataset}"),
        split=LAYOUT.split("{dataset}", "ship").roles,
    output:
        model=LAYOUT.shipped("{dataset}", "model.onnx"),
        int8=LAYOUT.shipped("{dataset}", "model.int8.onnx"),
        answers=LAYOUT.shipped("{dataset}", "answers.csv"),
        card=LAYOUT.shipped("{dataset}", "README.md"),
    log:
        LAYOUT.log("answer", "{dataset}"),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60, share=0.1),
    params:
        code=code("answer.py"),
        template=digest_of_value((SCRIPTS / "pocketscope/deploy/templates/card.md").read_text(encoding="utf-8")),
        dataset=lambda wildcards: wildcards.dataset,
        candidate=plain(CONFIG.ship)["candidate"],
        reliable=CONFIG.ship.reliable,
    script:
        "../workflow_scripts/answer.py"


# A target: models that are trained on every label, and their answers; and the page of the study that chose them. The
# models do not wait for the page.
rule ship:
    input:
        [LAYOUT.shipped(dataset, "answers.csv") for dataset in CONFIG.datasets],
        LAYOUT.report if CONFIG.ship.candidate is None else [],
    localrule: True
