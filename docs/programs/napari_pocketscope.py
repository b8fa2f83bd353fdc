"""A widget for napari that classifies a layer by `pocketscope classify --json`; needs napari, numpy and Pillow.

In napari's console, or in a script that opens a viewer:

    from napari_pocketscope import widget
    viewer.window.add_dock_widget(widget())

One process stays open for each model, so that only the first answer waits for it to load. The command `pocketscope` may
live in another environment than napari: give its path.
"""

import json
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


class Classifier:
    """A process of `pocketscope classify MODEL --json -` that is kept open."""

    def __init__(self, model: Path, command: str = "pocketscope") -> None:
        self.process = subprocess.Popen(
            [command, "classify", str(model), "--json", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            bufsize=1,
        )

    def of_file(self, path: Path) -> dict[str, Any]:
        """Return the answer to a file, as docs/classify.md describes it."""
        self.process.stdin.write(json.dumps({"path": str(path)}) + "\n")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"pocketscope has ended, exit code {self.process.wait()}")
        answer = json.loads(line)
        if answer["problem"]:
            raise ValueError(answer["problem"])
        return answer

    def of_pixels(self, pixels: np.ndarray) -> dict[str, Any]:
        """Return the answer to grey or RGB pixels of 8 or 16 bits, as they are stored, whatever contrast is shown."""
        if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim not in (2, 3):
            raise ValueError(f"{pixels.dtype} in {pixels.ndim} dimensions: a model takes 8 or 16 bits, grey or RGB")
        if pixels.ndim == 3 and (pixels.dtype != np.uint8 or pixels.shape[2] not in (3, 4)):
            raise ValueError("three dimensions are RGB of 8 bits; of a stack give one slice")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "layer.png"
            Image.fromarray(pixels).save(path)
            return self.of_file(path)


@cache
def classifier(model: Path, command: str) -> Classifier:
    """Return the process of a model, started once."""
    return Classifier(model, command)


def shown(answer: dict[str, Any]) -> str:
    """Return an answer as a person reads it."""
    text = f"{answer['class']}: {100 * answer['probability']:.1f} %"
    if answer["unlike"] and answer["unlike"] > 1:
        return f"{text}, a guess: unlike the images that the model has learnt"
    return text if answer["reliable"] is None else f"{text}, {'reliable' if answer['reliable'] else 'not sure'}"


def widget() -> Any:
    """Return a widget with the layer, the model and a button."""
    from magicgui import magicgui
    from napari import Viewer
    from napari.layers import Image as Layer
    from napari.utils.notifications import show_info

    @magicgui(call_button="Classify", model={"filter": "*.onnx"}, answer={"widget_type": "Label"})
    def classify(viewer: Viewer, layer: Layer, model: Path, command: str = "pocketscope", answer: str = "") -> None:
        pixels = np.asarray(layer.data)
        stack = pixels.ndim - 2 - layer.rgb
        if stack > 0:  # the slice that is shown
            pixels = pixels[viewer.dims.current_step[:stack]]
        said = shown(classifier(model, command).of_pixels(pixels))
        classify.answer.value = said
        show_info(said)

    return classify
