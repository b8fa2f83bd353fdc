"""The folder of a shipped model, as exports read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pocketscope.core.errors import InputError
from pocketscope.exports.kinds import PRECISIONS
from pocketscope.inference import onnx_model
from pocketscope.inference.onnx_model import Shipped


class Model(NamedTuple):
    """A model file: its precision, where it is, and the file opened, in a session of one thread."""

    precision: str
    path: Path
    shipped: Shipped


@dataclass(frozen=True)
class ShipFolder:
    """A folder with the files that `snakemake ship` makes of a data set.

    folder
        Where it is.
    models
        The model files that there are, by precision: `int8` and `fp32`, or one of them.
    card
        The model card; None where there is none.
    """

    folder: Path
    models: Mapping[str, Path]
    card: Path | None

    @classmethod
    def open(cls, folder: Path) -> "ShipFolder":
        """Look into a folder.

        Raises
        ------
        pocketscope.core.errors.InputError
            There is no such folder, or no model file in it.
        """
        folder = Path(folder)
        if folder.is_file():
            raise InputError(f"{folder} is a file; give the folder that holds the model files, {folder.parent}")
        if not folder.is_dir():
            raise InputError(
                f"{folder}: there is no such folder; give the `ship/DATASET` folder of a study's results "
                "(`snakemake ship` makes it)"
            )
        models = {name: folder / f"model.{name}.onnx" for name in PRECISIONS}
        models = {name: path for name, path in models.items() if path.is_file()}
        if not models:
            raise InputError(
                f"{folder}: neither model.int8.onnx nor model.fp32.onnx is in it; give the `ship/DATASET` folder of a "
                "study's results"
            )
        card = folder / "README.md"
        return cls(folder, models, card if card.is_file() else None)

    @property
    def name(self) -> str:
        """The data set's name, which is the folder's."""
        return self.folder.resolve().name

    def model(self, precision: str | None = None) -> Model:
        """Open a model file: of a precision; else the one that says it is recommended, else the first there is.

        Raises
        ------
        pocketscope.core.errors.InputError
            The folder has none of this precision, or the file is cut short or another project's.
        """
        if precision is not None and precision not in self.models:
            raise InputError(f"{self.folder}: there is no model.{precision}.onnx; it has {', '.join(self.models)}")
        wanted = self.models if precision is None else (precision,)
        found = [Model(name, self.models[name], onnx_model.open_model(self.models[name], threads=1)) for name in wanted]
        return next((model for model in found if model.shipped.about.get("recommended")), found[0])
