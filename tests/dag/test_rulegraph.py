"""The README's picture of the rules is that of the workflow."""

import re

from helpers import ROOT, snakemake


def test_the_readmes_graph_is_the_workflows(tmp_path):
    printed = snakemake(
        "--rulegraph", "mermaid-js", config=ROOT / "config" / "config.yaml", results=tmp_path / "results"
    ).stdout
    names = dict(re.findall(r"(id\d+)\[(\w+)\]", printed))
    edges = {(names[a], names[b]) for a, b in re.findall(r"(id\d+) --> (id\d+)", printed)}
    drawn = set()
    block = re.search(r"```mermaid\nflowchart TB\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    for line in block.splitlines():
        sources, target = line.strip().split(" --> ")
        drawn |= {(source, target) for source in sources.split(" & ")}
    assert drawn == edges
