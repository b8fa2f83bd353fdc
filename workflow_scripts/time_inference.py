"""Time a network's model files, alone on the machine."""

import pyarrow as pa

from pocketscope.core import parquet
from pocketscope.core.own_functions import loaded
from pocketscope.evaluation import timing
from pocketscope.runtime import devices, job
from pocketscope.tables.timing import TIMING

root = job.begin(snakemake)
params, source = snakemake.params, snakemake.input
device = devices.prepare(params.device, params.threads, snakemake.threads)
settings = loaded(params.training, root)
measured = []
for place, weights in enumerate(source.weights):
    train_dtype = devices.train_dtype(params.train_dtypes[place], device)
    step = timing.training_step(weights, settings=settings, device=device, train_dtype=train_dtype, root=root)
    shipped = {precision: source[precision][place] for precision in params.precisions}
    threads = sorted({1, snakemake.threads})
    measured.append(timing.measure(weights, shipped, threads=threads, training_step_ms=step, root=root))
parquet.write(pa.concat_tables(measured), snakemake.output[0], TIMING, notes=timing.versions(device))
