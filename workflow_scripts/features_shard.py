"""Let a pretrained network, as it is, see the images of one shard of a data set."""

from pocketscope.models import networks, pretrained
from pocketscope.runtime import devices, job
from pocketscope.tables import features
from pocketscope.tables.shards import images_of

root = job.begin(snakemake)
params = snakemake.params
device = devices.prepare(params.device, params.threads, snakemake.threads)
network = networks.build(params.network, 2, root, seed=0).to(device)  # its head is not asked
total, images = images_of(snakemake.input[0])
features.write_shard(snakemake.output[0], pretrained.features(network, images, total, device))
