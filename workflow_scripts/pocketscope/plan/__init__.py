"""What a configuration asks for: which runs there are, where their files lie, and what each job needs.

Plain Python, without Snakemake: the rules ask it by their wildcards, and anything else that wants to know a path, a
label set or a candidate of a study asks it too, so that no path is written twice. Nothing here reads an image, a table
or a result; what depends on results (which candidate is recommended) is asked for by the rules.
"""
