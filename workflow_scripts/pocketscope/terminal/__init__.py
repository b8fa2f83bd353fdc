"""What a run shows while it runs: lines and a status for people, events for programs, and how much time is left.

It follows what Snakemake logs (the package `snakemake_logger_plugin_pocketscope` hands it on, `rules/hooks.smk` joins
the two) and reads the logs of jobs. No result depends on it, and nothing here imports Snakemake.
"""
