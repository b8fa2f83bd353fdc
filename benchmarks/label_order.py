"""F1 after 5, 10 and 25 labels per class in the desk's order against a random one, and how often forecasts held.

python benchmarks/label_order.py DATA --work /tmp/order
python benchmarks/label_order.py DATA --work /tmp/order --forecast
"""

import argparse
import json
import warnings
from pathlib import Path

import cells
import numpy as np
from sklearn.metrics import f1_score

from pocketscope.core import parquet
from pocketscope.models import linear_head, networks
from pocketscope.suggest import forecast, head, order
from pocketscope.tables.images import load_images
from pocketscope.tables.source_labels import SOURCE_LABELS

DATASETS = ("bccd", "beepollen", "cellcycle", "cxr", "signdigits")
PER_CLASS = (5, 10, 25)
BATCH = 12
EXAM = 500  # images at most, a third of all at most, drawn before anything else
MORE = (10, 25)  # labels per class that are forecast
WAYS = ("random", "typical", "margin", "margin, diverse")


def parser_of(description: str) -> argparse.ArgumentParser:
    """Return a parser of where data sets are, and how many draws of them at which size are asked for."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("data", type=Path, help="a folder with one folder a data set")
    parser.add_argument("--work", type=Path, default=Path("/tmp/label_order"), help="features are kept here")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--size", type=int, default=64, help="pixels")
    parser.add_argument("--datasets", nargs="*", default=DATASETS)
    return parser


def main() -> None:
    """Run the draws and print tables and one JSON object."""
    parser = parser_of(__doc__)
    parser.add_argument("--forecast", action="store_true", help="measure forecasts in place of orders")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    options.work.mkdir(parents=True, exist_ok=True)
    (forecasts if options.forecast else orders)(options)


def orders(options: argparse.Namespace) -> None:
    """Compare orders, each on the same exams."""
    gains: dict[int, list[float]] = {number: [] for number in PER_CLASS}
    print(
        "| data set | order |",
        " | ".join(f"{number} per class" for number in PER_CLASS),
        "|\n| --- | --- |",
        "--- |" * 3,
    )
    for name in options.datasets:
        features, truth = features_of(name, options)
        classes = len(set(truth))
        scores = {way: np.full((options.draws, len(PER_CLASS)), np.nan) for way in WAYS}
        for draw in range(options.draws):
            pool, exam = parted(len(truth), draw)
            for way in WAYS:
                for labels, score in walked(features, truth, pool, exam, way, classes, draw):
                    scores[way][draw, [number * classes for number in PER_CLASS].index(labels)] = score
        for way in WAYS:
            print(
                f"| {name} | {way} |",
                " | ".join(f"{one:.1f}" for one in np.nanmean(scores[way], axis=0)),
                "|",
                flush=True,
            )
        for column, number in enumerate(PER_CLASS):
            found = scores["margin, diverse"][:, column] - scores["random"][:, column]
            gains[number] += [float(one) for one in found if not np.isnan(one)]
    rng = np.random.default_rng(0)
    found = {}
    for number, all_of in gains.items():
        means = rng.choice(all_of, (5000, len(all_of))).mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        found[str(number)] = {
            "gain_f1": round(float(np.mean(all_of)), 2),
            "low": round(float(low), 2),
            "high": round(float(high), 2),
        }
    print(json.dumps({"by_labels_per_class": found, "draws": options.draws}))


def forecasts(options: argparse.Namespace) -> None:
    """Count how often the interval of a forecast held what more labels brought."""
    held, all_of, rows = 0, 0, []
    for name in options.datasets:
        features, truth = features_of(name, options)
        classes = len(set(truth))
        for draw in range(options.draws):
            pool, exam = parted(len(truth), draw)
            chosen = np.random.default_rng(draw + 100).permutation(pool)
            for number in PER_CLASS:
                now = chosen[: number * classes]
                found = forecast.curve(features.wide[now], [str(truth[one]) for one in now], seed=draw)
                if found is None:
                    continue
                for more in MORE:
                    later = chosen[: (number + more) * classes]
                    if len(later) < (number + more) * classes:
                        continue
                    asked = forecast.forecast(found, len(now), more * classes)
                    gain = score(features, truth, later, exam, classes) - score(features, truth, now, exam, classes)
                    rows.append(
                        (
                            name,
                            number,
                            more,
                            asked.lower <= gain <= asked.upper,
                            asked.upper - asked.lower,
                            gain - asked.gain,
                        )
                    )
                    held += rows[-1][3]
                    all_of += 1
    print(
        "| data set | labels per class | more | forecasts | held, % | width, points | gain beyond forecast, points |\n"
        + "| --- " * 7
        + "|"
    )
    for key in dict.fromkeys(row[:3] for row in rows):
        mine = [row for row in rows if row[:3] == key]
        share, wide, beyond = (np.mean([row[column] for row in mine]) for column in (3, 4, 5))
        print("|", " | ".join(map(str, key)), f"| {len(mine)} | {100 * share:.0f} | {wide:.1f} | {beyond:+.1f} |")
    print(
        json.dumps(
            {
                "coverage": round(held / max(1, all_of), 3),
                "forecasts": all_of,
                "width": round(float(np.mean([row[4] for row in rows])), 1),
            }
        )
    )


def walked(features, truth, pool, exam, way, classes, draw):
    """Label by one order, a dozen at a time; yield number of labels and F1 where they are asked for."""
    budgets = [number * classes for number in PER_CLASS if number * classes <= len(pool) // 2]
    known: dict[str, str] = {}
    inside = head.Features([features.image_ids[one] for one in pool], features.wide[pool], features.narrow[pool])
    number_of = {identity: one for one, identity in zip(pool, inside.image_ids, strict=True)}
    shuffled = [inside.image_ids[one] for one in np.random.default_rng(draw + 100).permutation(len(pool))]
    while budgets and len(known) < budgets[-1]:
        count = min(BATCH, min(one for one in budgets if one > len(known)) - len(known))
        for identity in asked_next(inside, known, way, shuffled, count, draw):
            known[identity] = str(truth[number_of[identity]])
        if len(known) in budgets:
            yield len(known), score(features, truth, [number_of[one] for one in known], exam, classes)


def asked_next(inside, known, way, shuffled, count, draw):
    """Return which images an order asks for next."""
    if way == "random":
        return shuffled[len(known) : len(known) + count]
    if way == "margin, diverse":
        return head.to_label_next(inside, known, head.guess(inside, known), count=count, seed=draw)[:count]
    labelled = np.array([one in known for one in inside.image_ids])
    if way == "typical":
        chosen = order.typical(inside.narrow, labelled, count, seed=draw)
    else:
        guesses = head.guess(inside, known)
        if guesses is None:
            return [one for one in shuffled if one not in known][:count]
        chosen = order.between_classes(inside.narrow, labelled, guesses.probabilities, count, diverse=False)
    return [inside.image_ids[one] for one in chosen]


def score(features, truth, rows, exam, classes):
    """Return the macro F1, in points, of a head that learnt from some images, on the exam."""
    fitted = head.fit(features.wide[rows], [str(truth[one]) for one in rows])
    answers = fitted.predict(features.wide[exam])
    return 100 * f1_score(
        [str(truth[one]) for one in exam],
        answers,
        average="macro",
        labels=sorted(map(str, set(truth))),
        zero_division=0,
    )


def parted(images, draw):
    """Draw the exam; return the others, and the exam."""
    shuffled = np.random.default_rng(draw).permutation(images)
    exam = min(EXAM, images // 3)
    return np.sort(shuffled[exam:]), shuffled[:exam]


def features_of(name, options):
    """Return frozen features of a data set and the classes, computed once."""
    kept = options.work / f"{name}-{options.size}.npz"
    if not kept.exists():
        options.data = options.data.absolute()
        cells.DATASETS[name] = {"symmetries": [], "classes": None}
        images = cells.pack({"dataset": name, "size": options.size}, options)
        table = parquet.read(images.parent / "labels.parquet", SOURCE_LABELS)
        label_of = dict(zip(table["image_id"].to_pylist(), table["label"].to_pylist(), strict=True))
        identities = sorted(label_of)
        network = networks.build(cells.LITE["efficientnet_lite0"], 2, cells.ROOT, seed=0)
        found = linear_head.features(network, load_images(images, identities), cells.CPU).astype(np.float32)
        np.savez(kept, features=found, ids=identities, truth=[label_of[one] for one in identities])
    read = np.load(kept)
    return head.prepared(read["ids"].tolist(), read["features"]), read["truth"]


if __name__ == "__main__":
    main()
