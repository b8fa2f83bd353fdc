"""How large the networks are: parameters and floating point operations of one image, counted, not copied.

    python benchmarks/network_sizes.py [--size 224] [--classes 1000]

Each network of config/networks.yaml, with random weights. Parameters include a head for so many classes (1000: as
published). Operations are those of convolutions and matrix products in one forward pass, counted by
torch.utils.flop_counter; a multiplication and an addition are two of them.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from pocketscope.models import networks

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Count, and print a table and the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--classes", type=int, default=1000)
    options = parser.parse_args()
    rows = []
    for name, entry in yaml.safe_load((ROOT / "config/networks.yaml").read_text()).items():
        counter = FlopCounterMode(display=False)
        with torch.device("meta"):  # shapes without numbers: nothing is computed
            classifier = networks.build(entry | {"weights": "none"}, options.classes, ROOT, seed=0).eval()
            with torch.no_grad(), counter:
                classifier(torch.zeros(1, 3, options.size, options.size))
        parameters = sum(parameter.numel() for parameter in classifier.parameters())
        rows.append({"network": name, "name": entry["name"], "library": entry["library"]})
        rows[-1] |= {
            "million_parameters": round(parameters / 1e6, 2),
            "gflops": round(counter.get_total_flops() / 1e9, 3),
        }
        print(
            "| {network} | {library} `{name}` | {million_parameters} | {gflops} |".format(**rows[-1]), file=sys.stderr
        )
    print(json.dumps({"size": options.size, "classes": options.classes, "networks": rows}))


if __name__ == "__main__":
    main()
