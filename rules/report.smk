"""A page that people read: it draws what `compare` and `recommend` found."""


rule report:
    input:
        scores=LAYOUT.scores(),
        recommendation=LAYOUT.recommendation,
        compared=[LAYOUT.statistics(table) for table in ("groups", "omnibus", "pairs", "skipped", "tests")],
        decided=[LAYOUT.statistics(table) for table in ("differences", "gains", "costs", "reliable", "answers")],
        timings=PLAN.timings(),
        histories=PLAN.histories(),
        labels=[path for path, *_ in PLAN.pseudo_label_sets()],
        audits=PLAN.audits(),
        coverages=PLAN.audits("coverage"),
        truths=[LAYOUT.split(dataset, split).truth for _, dataset, split, *_ in PLAN.pseudo_label_sets()],
        roles=[LAYOUT.split(*where).roles for where in PLAN.all_splits()],
        images=[PLAN.packed(dataset) for dataset in CONFIG.datasets],
        classes=[LAYOUT.classes(dataset) for dataset in CONFIG.datasets],
        near_duplicates=[LAYOUT.near_duplicates(dataset) for dataset in CONFIG.datasets],
    output:
        page=report(LAYOUT.report, caption="../captions/report.rst", category="Page"),
        figures=report(
            directory(LAYOUT.figures),
            patterns=["{figure}.svg"],
            caption="../captions/figure.rst",
            category="Figures",
        ),
        tables=directory(LAYOUT.report_tables),
        cited=[LAYOUT.report_cited(file) for file in ("methods.tex", "references.bib")],
    log:
        LAYOUT.log("report"),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        code=code("report.py"),
        templates=digest_of_value(
            [path.read_text(encoding="utf-8") for path in sorted((SCRIPTS / "pocketscope/report/templates").iterdir())]
        ),
        protocol=CONFIG.statistics.protocol,
        bounds=PLAN.upper_bounds,
        splits=PLAN.all_splits(),
        label_sets=[about for _, *about in PLAN.pseudo_label_sets()],
        datasets=list(CONFIG.datasets),
        config=PLAN.digest(),
        settings=PLAN.settings()
        | {"licences": {dataset: licence_of(PLAN.dataset(dataset)) for dataset in CONFIG.datasets}},
    script:
        "../workflow_scripts/report.py"
