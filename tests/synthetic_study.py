"""A small study with known worth, all that a decision and its page can be given: for tests and for looking at."""

import io
import itertools

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.metrics import f1_score

from pocketscope.statistics import bootstrap, score_table

METHODS = {"supervised": 0.0, "plain": 0.35, "data": 0.5, "fixmatch": -0.5}
NETWORKS = {"resnet18": 1.5, "mobilenet_v2": 1.35, "squeezenet": 1.0}
PRECISIONS = {"fp32": 0.0, "int8": -0.03}
SIZES = {"resnet18": (44.7, 38.0), "mobilenet_v2": (8.9, 8.6), "squeezenet": (2.9, 11.2)}


def evidence(dataset: str, classes: list[str], splits: list[str], images: int = 240) -> bootstrap.Evidence:
    """Predictions of every method, network and precision whose errors agree, as real ones do."""
    rng = np.random.default_rng(len(dataset))
    truth = rng.choice(len(classes), images, p=np.linspace(2, 1, len(classes)) / np.linspace(2, 1, len(classes)).sum())
    ease = rng.normal(0, 1, images)
    ids = [f"{dataset}{i:04d}" for i in range(images)]
    predictions = {}
    for method, gain in METHODS.items():
        for network, ability in NETWORKS.items():
            for split in splits:
                logits = rng.normal(0, 0.6, (images, len(classes)))
                logits[np.arange(images), truth] += 1.2 * (ability + gain + ease) + 0.02 * len(split)
                for precision, loss in PRECISIONS.items():
                    shaken = 2 * (logits + rng.normal(0, 0.15, logits.shape) * (loss != 0))
                    p = np.exp(shaken) / np.exp(shaken).sum(axis=1, keepdims=True)
                    name = score_table.candidate_name(method, network, precision)
                    predictions[name, split] = pd.DataFrame({"image_id": ids, "probabilities": list(p)})
    labels = pd.DataFrame({"image_id": ids, "label": [classes[t] for t in truth]})
    return bootstrap.Evidence(predictions, labels, classes)


def scores(given: dict[str, bootstrap.Evidence]) -> pd.DataFrame:
    """The score table that the evidence gives."""
    rows = []
    keys = {score_table.candidate_name(*key): key for key in itertools.product(METHODS, NETWORKS, PRECISIONS)}
    for dataset, one in given.items():
        truth = one.truth["label"].map({name: i for i, name in enumerate(one.classes)}).to_numpy()
        for (name, split), frame in one.predictions.items():
            answers = np.stack(frame["probabilities"].to_numpy()).argmax(axis=1)
            rows.append((dataset, split, *keys[name], f1_score(truth, answers, average="macro")))
    return score_table.check_scores(pd.DataFrame(rows, columns=score_table.COLUMNS))


def costs() -> pd.DataFrame:
    """File size and latency of every network and precision."""
    rows = [(n, "fp32", size, ms) for n, (size, ms) in SIZES.items()]
    rows += [(n, "int8", size / 3.9, ms / 2.6) for n, (size, ms) in SIZES.items()]
    return pd.DataFrame(rows, columns=["network", "precision", "size_mb", "latency_ms"])


def timings() -> pd.DataFrame:
    """All that is timed of every network: three forms, one thread."""
    rows = []
    for network, (size, ms) in SIZES.items():
        for runtime, precision, mb, slow in (
            ("pytorch", "fp32", size, 2.2),
            ("onnxruntime", "fp32", size, 1.0),
            ("onnxruntime", "int8", size / 3.9, 1 / 2.6),
        ):
            rows.append(
                {"network": network, "runtime": runtime, "precision": precision, "image_size": 224, "threads": 1,
                 "latency_ms": slow * ms, "latency_p5_ms": 0.9 * slow * ms, "latency_p95_ms": 1.3 * slow * ms,
                 "images_per_second": 1200 / slow / ms, "memory_mb": 200.0 + mb, "file_mb": mb,
                 "parameters": int(250_000 * size), "flops": int(1e8 * ms),
                 "training_step_ms": 900.0 if runtime == "pytorch" else None}
            )  # fmt: skip
    return pd.DataFrame(rows)


def extras() -> dict:
    """Everything else that the page takes."""
    epochs = np.arange(1, 21)
    histories = pd.concat(
        [
            pd.DataFrame({"name": n, "epoch": epochs, "quantity": "training loss", "value": np.exp(-epochs / speed)})
            for n, speed in (("resnet18", 4), ("squeezenet", 7))
        ]
    )
    pseudo = pd.DataFrame(
        [
            ("cells", m, r, c, a)
            for m, r, c, a in (("plain", 1, 0.7, 0.93), ("data", 1, 0.62, 0.96), ("data", 2, 0.8, 0.94))
        ],
        columns=["dataset", "method", "round", "coverage", "accuracy"],
    )
    reached = np.linspace(0.01, 1, 100)
    curves = pd.concat(
        pd.DataFrame({"dataset": "cells", "method": m, "coverage": reached, "accuracy": 1 - drop * reached**2})
        for m, drop in (("plain", 0.14), ("data", 0.09))
    )
    rng = np.random.default_rng(0)
    examples = []
    for kind, sure in (("Correct and confident", 0.99), ("Wrong and confident", 0.97), ("Accepted and wrong", 0.9)):
        for _ in range(4):
            buffer = io.BytesIO()
            Image.fromarray(rng.integers(90, 255, (96, 96, 3), dtype=np.uint8)).save(buffer, "JPEG", quality=60)
            image = buffer.getvalue()
            examples.append(
                {"kind": kind, "image": image, "truth": "neutrophil", "answer": "basophil", "confidence": sure}
            )
    provenance = {"pocketscope": "0.1.0", "Device": "CPU, 2 cores", "Seed": "0", "Config digest": "3fa1c9"}
    return {
        "histories": histories,
        "pseudo_labels": pseudo,
        "pseudo_label_curves": curves,
        "examples": examples,
        "provenance": provenance,
        "timings": timings(),
    }
