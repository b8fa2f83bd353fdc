"""Count what a data set holds, and refuse what the configuration did not mean."""

import logging

from pocketscope.core import parquet
from pocketscope.data import checks, corrections, identities
from pocketscope.data.group_remarks import group_remarks
from pocketscope.data.label_remarks import label_remarks
from pocketscope.runtime import job
from pocketscope.tables.classes import CLASSES
from pocketscope.tables.images import IMAGES
from pocketscope.tables.source_labels import SKIPPED, SOURCE_LABELS

root = job.begin(snakemake)
source, params = snakemake.input, snakemake.params
about = ["image_id", "paths", "sha256", "group", "single_colour", "further_pages", "damage"]
images, notes = parquet.read(source.images, IMAGES, columns=about), parquet.notes(source.images)
labels = parquet.read(source.labels, SOURCE_LABELS)
skipped = parquet.read(source.skipped, SKIPPED)
given = corrections.read(params.labels, params.table, root, images, labels)
classes, counted = checks.check_dataset(
    images, given.source, skipped, given.learnt, given.exam, given.renamed, **params.expected
)
counted["remarks"] += label_remarks(classes, skipped, notes) + identities.remarks(notes)
counted["remarks"] += group_remarks(images, labels, notes)
for remark in counted["remarks"]:
    logging.warning("%s", remark)
parquet.write(classes, snakemake.output.classes, CLASSES, notes=counted)
