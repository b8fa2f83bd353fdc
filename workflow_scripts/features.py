"""Let a pretrained network, as it is, see every image of a data set once."""

import numpy as np
import pyarrow.parquet as pq

from pocketscope.core import parquet
from pocketscope.models import linear_head, networks
from pocketscope.runtime import devices, job
from pocketscope.tables.features import FEATURES, features_table
from pocketscope.tables.images import load_in_parts

root = job.begin(snakemake)
params = snakemake.params
device = devices.prepare(params.device, params.threads, snakemake.threads)
identities = pq.read_table(snakemake.input.images, columns=["image_id"])["image_id"].to_pylist()
network = networks.build(params.network, 2, root, seed=0).to(device)  # its head is not asked
parts = load_in_parts(snakemake.input.images, identities)
found = np.concatenate([linear_head.features(network, part, device).astype(np.float32) for part in parts if len(part)])
parquet.write(features_table(identities, found), snakemake.output[0], FEATURES)
