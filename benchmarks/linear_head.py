"""F1 of a linear head on frozen features by how the strength of its penalty is chosen, with few labels.

python benchmarks/linear_head.py DATA --work /tmp/order

Labels are drawn as many of each class, or at random as a folder's images come; F1 is of an exam that was drawn first.
Ways: by cross-validation always; C = 1 where a class has few images (`linear_head.strength`); C = 1 always. Prints a
table and one JSON object: what the second way gains over the first. The features are those of label_order.py.
"""

import json
import warnings

import label_order
import numpy as np
from sklearn.metrics import f1_score

from pocketscope.models import linear_head

PER_CLASS = (3, 5, 10, 25)
WAYS = ("cross-validation", "C = 1 where few", "C = 1")


def main() -> None:
    """Fit and score; print the table and one JSON object."""
    options = label_order.parser_of(__doc__).parse_args()
    warnings.filterwarnings("ignore")
    options.work.mkdir(parents=True, exist_ok=True)
    print("| data set | labels drawn | per class |", " | ".join(WAYS), "|\n" + "| --- " * (3 + len(WAYS)) + "|")
    gains: dict[str, list[float]] = {"random": [], "as many of each": []}
    for name in options.datasets:
        label_order.features_of(name, options)
        kept = np.load(options.work / f"{name}-{options.size}.npz")
        features, labels = kept["features"].astype(float), np.unique(kept["truth"], return_inverse=True)[1]
        for drawn, found in gains.items():
            for number in PER_CLASS:
                scores = [scored(features, labels, drawn, number, draw) for draw in range(options.draws)]
                if not (scores := [one for one in scores if one]):
                    continue
                found += [one[1] - one[0] for one in scores]
                cells = " | ".join(f"{mean:.1f}" for mean in np.mean(scores, axis=0))
                print(f"| {name} | {drawn} | {number} | {cells} |", flush=True)
    print(json.dumps({"gain_f1": {drawn: round(float(np.mean(found)), 2) for drawn, found in gains.items()}}))


def scored(features: np.ndarray, labels: np.ndarray, drawn: str, number: int, draw: int) -> list[float] | None:
    """Return the F1 of each way, in points; None where there are too few images."""
    classes = labels.max() + 1
    pool, exam = label_order.parted(len(labels), draw)
    pool = np.random.default_rng(draw + 100).permutation(pool)
    if drawn == "random":
        now = pool[: number * classes]
    else:
        now = np.concatenate([pool[labels[pool] == one][:number] for one in range(classes)])
    if len(now) < number * classes or (np.bincount(labels[now]) > 1).sum() < 2:
        return None
    mean, scale = features[now].mean(axis=0), features[now].std()
    learnt, asked, given = (features[now] - mean) / scale, (features[exam] - mean) / scale, labels[now]
    few, linear_head.FEW = linear_head.FEW, 1
    held_out = np.bincount(given)[given] > 1
    strengths = [linear_head.strength(learnt[held_out], given[held_out])]
    linear_head.FEW = few
    strengths += [linear_head.strength(learnt, given), 1.0]
    f1 = {}
    for c in set(strengths):
        answers = linear_head._regression(c).fit(learnt, given).predict(asked)
        f1[c] = 100 * f1_score(labels[exam], answers, average="macro", labels=range(classes), zero_division=0)
    return [f1[c] for c in strengths]


if __name__ == "__main__":
    main()
