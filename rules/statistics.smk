"""Which differences hold."""


rule compare:
    input:
        scores=LAYOUT.scores(),
    output:
        [
            LAYOUT.statistics(table, ending)
            for table in ("groups", "omnibus", "pairs", "skipped")
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
