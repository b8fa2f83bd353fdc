"""Which differences hold."""


rule compare:
    input:
        scores=LAYOUT.scores(),
    output:
        [
            LAYOUT.statistics(table, ending)
            for table in ("groups", "omnibus", "pairs", "skipped", "tests")
            for ending in ("parquet", "csv")
        ],
    log:
        LAYOUT.log("compare"),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=minutes(30),
    params:
        code=code("compare.py"),
        statistics=plain(CONFIG.statistics),
        families=PLAN.families(),
        bounds=PLAN.upper_bounds,
    script:
        "../workflow_scripts/compare.py"


# A checkpoint for the sake of `ship` alone: only when the recommendation is there is it known what will be trained.
checkpoint recommend:
    input:
        scores=LAYOUT.scores(),
        predictions=PLAN.test_predictions(),
        timings=PLAN.timings(),
        splits=[LAYOUT.split(*where).roles for where in PLAN.all_splits()],
        truths=[LAYOUT.split(*where).truth for where in PLAN.all_splits()],
    output:
        recommendation=LAYOUT.recommendation,
        tables=[LAYOUT.statistics(table) for table in ("differences", "gains", "costs", "reliable", "answers")],
        csv=[LAYOUT.statistics(table, "csv") for table in ("differences", "gains", "costs", "reliable")],
    log:
        LAYOUT.log("recommend"),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
    params:
        code=code("recommend.py"),
        statistics={key: plain(CONFIG.statistics)[key] for key in ("margin", "alpha", "controls")},
        bounds=PLAN.upper_bounds,
        candidates=PLAN.candidates,
        splits=PLAN.all_splits(),
        reliable=CONFIG.ship.reliable,
    script:
        "../workflow_scripts/recommend.py"
