"""Let a pretrained network, as it is, see every image of a data set once: what shards have of it is not seen again."""

import pyarrow.parquet as pq

from pocketscope.models import networks, pretrained
from pocketscope.runtime import devices, job
from pocketscope.tables import features
from pocketscope.tables.images import read_images

root = job.begin(snakemake)
params, images = snakemake.params, snakemake.input.images
identities = pq.read_table(images, columns=["image_id"])["image_id"].to_pylist()
known = features.Shards(snakemake.input.get("shards", []))
found = (known[identity] for identity in identities)
if missing := [identity for identity in identities if identity not in known]:
    device = devices.prepare(params.device, params.threads, snakemake.threads)
    network = networks.build(params.network, 2, root, seed=0).to(device)  # its head is not asked
    seen = pretrained.features(network, read_images(images, missing), len(missing), device)
    found = (known[identity] if identity in known else next(seen)[1] for identity in identities)
features.write(snakemake.output[0], zip(identities, found, strict=True))
