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


# What a model can claim that has seen every labelled image: the folds are trained by the rules that train all others.
rule reliability:
    input:
        unpack(shown_by),
        images=packed("images"),
        split=LAYOUT.split("{dataset}", "ship").roles,
    output:
        LAYOUT.shipped("{dataset}", "reliability.json"),
    log:
        LAYOUT.log("reliability", "{dataset}"),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        code=code("reliability.py"),
        share=CONFIG.ship.reliable,
    script:
        "../workflow_scripts/reliability.py"


# Which candidate ships is known when the study is done, unless the configuration names it: the inputs follow from the
# recommendation. The network is trained by the rules that train all others, on the split `ship`.
rule answer:
    input:
        unpack(what_ships),
        reliability=LAYOUT.shipped("{dataset}", "reliability.json"),
        images=packed("images"),
        source_labels=packed("labels"),
        classes=LAYOUT.classes("{dataset}"),
        split=LAYOUT.split("{dataset}", "ship").roles,
    output:
        fp32=LAYOUT.shipped("{dataset}", "model.fp32.onnx"),
        int8=LAYOUT.shipped("{dataset}", "model.int8.onnx"),
        answers=LAYOUT.shipped("{dataset}", "answers.parquet"),
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
        study=lambda wildcards: CONFIG.study,
        dataset=lambda wildcards: wildcards.dataset,
        data_licence=lambda wildcards: licence_of(PLAN.dataset(wildcards.dataset)),
        data_link=lambda wildcards: link_of(PLAN.dataset(wildcards.dataset)),
        # Known with the inputs, which say of a change; not recorded.
        candidate=lambda wildcards, input: shipped_candidate(wildcards.dataset),
        labels=lambda wildcards, input: tables_of_labels(wildcards),
    script:
        "../workflow_scripts/answer.py"


# Images that came since the snapshot: the model that ships answers them, and nothing is trained.
rule answer_new:
    input:
        models=[LAYOUT.shipped("{dataset}", f"model.{precision}.onnx") for precision in ("fp32", "int8")],
        images=lambda wildcards: PLAN.packed_new(wildcards.dataset),
        source_labels=lambda wildcards: PLAN.packed_new(wildcards.dataset, "labels"),
    output:
        answers=LAYOUT.shipped("{dataset}", "answers.new.parquet"),
    log:
        LAYOUT.log("answer_new", "{dataset}"),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60, share=0.1),
    params:
        code=code("answer_new.py"),
        said=lambda wildcards: LABELS.get(wildcards.dataset),
        labels=lambda wildcards, input: tables_of_labels(wildcards),
    script:
        "../workflow_scripts/answer_new.py"


# The two forms of the answers that people open say where the files are on this machine. They are rules of their own, so
# that a checkout elsewhere writes other paths and computes nothing; and the table does not wait for the page's images.
rule answers_table:
    input:
        answers=answers_of,
    output:
        LAYOUT.shipped("{dataset}", "answers.csv"),
    log:
        LAYOUT.log("answers_table", "{dataset}"),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=code("answers_table.py"),
        top=top_of_files,
    script:
        "../workflow_scripts/answers_table.py"


rule answers_page:
    input:
        answers=answers_of,
        images=images_of_answers,
        classes=LAYOUT.classes("{dataset}"),
    output:
        LAYOUT.shipped("{dataset}", "answers.html"),
    log:
        LAYOUT.log("answers_page", "{dataset}"),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=minutes(30, share=0.02),
    params:
        code=code("answers_page.py"),
        template=digest_of_value((SCRIPTS / "pocketscope/deploy/templates/answers.html").read_text(encoding="utf-8")),
        title=lambda wildcards: f"{CONFIG.study}, {wildcards.dataset}",
        top=top_of_files,
    script:
        "../workflow_scripts/answers_page.py"


# A target: models that are trained on every label, and their answers; and the page of the study that chose them. The
# models do not wait for the page.
rule ship:
    input:
        [LAYOUT.shipped(dataset, f"answers.{form}") for dataset in CONFIG.datasets for form in ("csv", "html")],
        LAYOUT.report if CONFIG.ship.candidate is None else [],
    localrule: True
