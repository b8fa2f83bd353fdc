"""Which differences hold, and a page that people read."""


rule compare:
    input:
        scores=f"{STUDY}/scores.parquet",
    output:
        expand(
            f"{STUDY}/statistics/{{table}}.{{ending}}",
            table=["groups", "omnibus", "pairs", "skipped"],
            ending=["parquet", "csv"],
        ),
    log:
        f"{LOGS}/compare.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=minutes(30),
    params:
        code=code("compare.py"),
        statistics=configuration.plain(CONFIG.statistics),
        families={name: network.family for name, network in sorted(NETWORKS.items())},
        bounds=BOUNDS,
    script:
        "../workflow_scripts/compare.py"


# A checkpoint for the sake of `ship` alone: only when the recommendation is there is it known what will be trained.
checkpoint report:
    input:
        scores=f"{STUDY}/scores.parquet",
        predictions=[path_of(row, "test") for row in rows()],
        timings=timings(),
        histories=sorted({history_of(row) for row in rows()}),
        labels=[path for path, *_ in automatic_label_sets()],
        audits=audits(),
        coverages=audits("coverage"),
        splits=[f"{RUNS}/{dataset}/{split}/split.parquet" for dataset, split in all_splits()],
        truths=[f"{RUNS}/{dataset}/{split}/truth.parquet" for dataset, split in all_splits()],
        images=[f"datasets/{name}/images.parquet" for name in PACKED],
        classes=expand(CLASSES, dataset=CONFIG.datasets),
        near_duplicates=[f"{STUDY}/near_duplicates/{dataset}.parquet" for dataset in CONFIG.datasets],
    output:
        page=report(f"{STUDY}/report/index.html", caption="../captions/report.rst", category="Page"),
        recommendation=f"{STUDY}/report/recommendation.json",
        figures=report(
            directory(f"{STUDY}/report/figures"),
            patterns=["{figure}.svg"],
            caption="../captions/figure.rst",
            category="Figures",
        ),
    log:
        f"{LOGS}/report.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
    params:
        code=code("report.py"),
        template=configuration.digest((SCRIPTS / "pocketscope/templates/report.html").read_text(encoding="utf-8")),
        statistics=configuration.plain(CONFIG.statistics),
        families={name: network.family for name, network in sorted(NETWORKS.items())},
        bounds=BOUNDS,
        rows=rows(),
        splits=all_splits(),
        label_sets=[about for _, *about in automatic_label_sets()],
        datasets=list(CONFIG.datasets),
        config=digest_of_study(),
    script:
        "../workflow_scripts/report.py"
