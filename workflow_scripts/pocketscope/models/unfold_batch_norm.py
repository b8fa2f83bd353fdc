"""Make pretrained weights fit to be trained on, without changing what the network computes."""

import logging

import numpy as np
import torch
from torch import nn

from pocketscope.models import networks, tensors

log = logging.getLogger(__name__)


IMAGES = 256  # that statistics are estimated from


@torch.no_grad()
def prepare(classifier: networks.Classifier, images: np.ndarray, device: torch.device) -> None:
    """Give batch normalisation that was folded into the convolutions before it statistics of real images.

    A folded layer has mean 0 and variance 1, whatever comes in: trained as it stands it would normalise by the batch,
    which its network never did, and the network collapses. With the statistics of what comes in, and the weight and
    bias that undo them, the network computes what it did before, in evaluation mode to rounding, and trains like any
    other. One pass is enough, since no layer's output changes.

    Parameters
    ----------
    classifier
        Changed in place, and left in evaluation mode. Without folded layers nothing happens.
    images
        uint8 (N, H, W, 3): the first IMAGES of them are used.
    device
        Where the classifier is.
    """
    folded = [module for module in classifier.modules() if networks.is_folded(module)]
    if not folded:
        return
    log.info(
        "%d batch normalisation layers were folded into weights: their statistics are estimated again", len(folded)
    )
    sums = {module: torch.zeros(3, module.num_features, dtype=torch.float64, device=device) for module in folded}

    def watch(module: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        values = inputs[0].double().transpose(0, 1).flatten(1)
        counts = torch.full_like(values[:, 0], values.shape[1])
        sums[module] += torch.stack([counts, values.sum(1), values.square().sum(1)])

    hooks = [module.register_forward_pre_hook(watch) for module in folded]
    classifier.eval()
    for part in tensors.batches(tensors.to_tensor(images[:IMAGES], device), device):
        classifier.features(part)
    for hook in hooks:
        hook.remove()
    for module, (count, total, squares) in sums.items():
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=0)
        old_scale = module.weight.double() / (module.running_var.double() + module.eps).sqrt()
        module.bias.add_(old_scale * (mean - module.running_mean.double()))
        module.weight.copy_(old_scale * (variance + module.eps).sqrt())
        module.running_mean.copy_(mean)
        module.running_var.copy_(variance)
