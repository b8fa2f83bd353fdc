"""A page that people read."""


# A checkpoint for the sake of `ship` alone: only when the recommendation is there is it known what will be trained.
checkpoint report:
    input:
        scores=LAYOUT.scores(),
        predictions=PLAN.test_predictions(),
        timings=PLAN.timings(),
        histories=PLAN.histories(),
        labels=[path for path, *_ in PLAN.pseudo_label_sets()],
        audits=PLAN.audits(),
        coverages=PLAN.audits("coverage"),
        splits=[LAYOUT.split(*where).roles for where in PLAN.all_splits()],
        truths=[LAYOUT.split(*where).truth for where in PLAN.all_splits()],
        images=[PLAN.packed(dataset) for dataset in CONFIG.datasets],
        classes=[LAYOUT.classes(dataset) for dataset in CONFIG.datasets],
        near_duplicates=[LAYOUT.near_duplicates(dataset) for dataset in CONFIG.datasets],
    output:
        page=report(LAYOUT.report, caption="../captions/report.rst", category="Page"),
        recommendation=f"{LAYOUT.study}/report/recommendation.json",
        figures=report(
            directory(LAYOUT.figures),
            patterns=["{figure}.svg"],
            caption="../captions/figure.rst",
            category="Figures",
        ),
    log:
        LAYOUT.log("report"),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
    params:
        code=code("report.py"),
        template=digest_of_value((SCRIPTS / "pocketscope/report/templates/report.html").read_text(encoding="utf-8")),
        statistics=plain(CONFIG.statistics),
        families=PLAN.families(),
        bounds=PLAN.upper_bounds,
        candidates=PLAN.candidates,
        splits=PLAN.all_splits(),
        label_sets=[about for _, *about in PLAN.pseudo_label_sets()],
        datasets=list(CONFIG.datasets),
        config=PLAN.digest(),
    script:
        "../workflow_scripts/report.py"
