"""Say what became of a split's unlabelled images under each method and round."""

import pyarrow as pa
from pocketscope import audit, job, packed, pseudo_labels, splits, tables
from pocketscope.files import whole

job.begin(snakemake)
source, params, made = snakemake.input, snakemake.params, snakemake.output
truth = tables.mapping(source.truth, splits.TRUTH, "image_id", "label")
classes = tables.notes(source.split)["classes"]
paths = tables.mapping(source.images, packed.IMAGES, "image_id", "paths")
counted, curves, proposals = [], [], {}
for path, (method, number) in zip(source.candidates, params.rounds, strict=True):
    proposed = tables.read(path, pseudo_labels.CANDIDATES)
    about = {"method": method, "round": number}
    counted.append(audit.classes(proposed, classes, truth, **about))
    curves.append(audit.coverage(proposed, truth, **about))
    proposals.setdefault(method, {})[number] = proposed
for path, (method, network) in zip(source.guesses, params.guessing_runs, strict=True):
    counted.append(audit.epochs(tables.read(path, pseudo_labels.GUESSES), classes, truth, method, network))
curves.append(audit.COVERAGE.empty_table())
tables.write(pa.concat_tables(counted), made.classes, audit.AUDIT)
tables.write(pa.concat_tables(curves), made.coverage, audit.COVERAGE)
for by_round, labels, path in zip(proposals.values(), source.labels, made.review, strict=True):
    with whole(path) as temporary:
        kept = audit.kept(by_round, tables.read(labels, pseudo_labels.LABELS))
        audit.review(kept, classes, paths).to_csv(temporary, index=False)
