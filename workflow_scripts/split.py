"""Part a data set into test, labelled, validation and unlabelled images."""

from pocketscope.core import parquet
from pocketscope.data import checks, corrections, splitting
from pocketscope.runtime import job
from pocketscope.tables.classes import CLASSES
from pocketscope.tables.images import IMAGES
from pocketscope.tables.label_set import LABEL_SET, human_labels
from pocketscope.tables.near_duplicates import PAIRS
from pocketscope.tables.source_labels import SKIPPED, SOURCE_LABELS
from pocketscope.tables.split import SPLIT, TRUTH, columns, images_with

root = job.begin(snakemake)
source, params, made = snakemake.input, snakemake.params, snakemake.output
about = ["image_id", "paths", "sha256", "group", "role", "single_colour", "further_pages", "damage"]
images = parquet.read(source.images, IMAGES, columns=about)
labels = parquet.read(source.labels, SOURCE_LABELS)
given = corrections.read(params.labels, params.table, root, images, labels)
skipped = parquet.read(source.skipped, SKIPPED)
classes, _ = checks.check_dataset(
    images, given.source, skipped, given.learnt, given.exam, given.renamed, **params.expected
)
if params.pinned:
    pinned = parquet.read(params.pinned, CLASSES)["label"].to_pylist()
    checks.compare_with_pinned(classes["label"].to_pylist(), pinned)
tables = [parquet.read(path, PAIRS) for path in source.get("near", [])]
near = [pair for table in tables for pair in zip(*columns(table, "image_id", "other"), strict=True)]
split, truth, notes = splitting.assign(
    images, given.source, corrected=given.learnt, exam=given.exam, near=near, **params.drawn
)
notes |= {"renamed": given.renamed} if given.renamed else {}
parquet.write(split, made.split, SPLIT, notes=notes)
parquet.write(truth, made.truth, TRUTH)
human = human_labels(*images_with(split, "labelled"))
parquet.write(human, made.labels, LABEL_SET)
