"""Say what became of a split's unlabelled images under each method and round."""

import pyarrow as pa

from pocketscope.core import parquet
from pocketscope.core.files import whole
from pocketscope.distillation import audit
from pocketscope.runtime import job
from pocketscope.tables.audit import AUDIT, COVERAGE
from pocketscope.tables.images import IMAGES
from pocketscope.tables.label_set import LABEL_SET
from pocketscope.tables.online_pseudo_labels import ONLINE_PSEUDO_LABELS
from pocketscope.tables.proposals import PROPOSALS
from pocketscope.tables.split import TRUTH

job.begin(snakemake)
source, params, made = snakemake.input, snakemake.params, snakemake.output
truth = parquet.mapping(source.truth, TRUTH, "image_id", "label")
classes = parquet.notes(source.split)["classes"]
paths = parquet.mapping(source.images, IMAGES, "image_id", "paths")
counted, curves, proposals = [], [], {}
for path, (method, number) in zip(source.proposals, params.rounds, strict=True):
    proposed = parquet.read(path, PROPOSALS)
    about = {"method": method, "round": number}
    counted.append(audit.classes(proposed, classes, truth, **about))
    curves.append(audit.coverage(proposed, truth, **about))
    proposals.setdefault(method, {})[number] = proposed
for path, (method, network) in zip(source.online, params.consistency_runs, strict=True):
    counted.append(audit.epochs(parquet.read(path, ONLINE_PSEUDO_LABELS), classes, truth, method, network))
curves.append(COVERAGE.empty_table())
parquet.write(pa.concat_tables(counted), made.classes, AUDIT)
parquet.write(pa.concat_tables(curves), made.coverage, COVERAGE)
for by_round, labels, path in zip(proposals.values(), source.labels, made.review, strict=True):
    with whole(path) as temporary:
        kept = audit.kept(by_round, parquet.read(labels, LABEL_SET))
        audit.review(kept, classes, paths).to_csv(temporary, index=False)
