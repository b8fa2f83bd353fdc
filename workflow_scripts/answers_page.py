"""Show the answers as a page of thumbnails."""

from pocketscope.core import parquet
from pocketscope.deploy import answers_page, thumbnails
from pocketscope.runtime import job
from pocketscope.tables.answers import joined
from pocketscope.tables.classes import CLASSES

job.begin(snakemake)
source, params = snakemake.input, snakemake.params
answers = joined(source.answers)
answers_page.write_page(
    snakemake.output[0],
    thumbnails.shown(answers, source.images, params.top),
    parquet.read(source.classes, CLASSES)["label"].to_pylist(),
    title=params.title,
    total=len(answers),
)
