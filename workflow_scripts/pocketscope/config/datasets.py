"""Data sets and their splits, as a configuration gives them."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pocketscope.config.base import Model, Share, each_once

Symmetry = Literal["horizontal_flip", "vertical_flip", "quarter_turn"]


class DigitsSource(Model):
    """The 1,797 images of handwritten digits, 8 x 8 pixels, that scikit-learn carries."""

    kind: Literal["digits"]


class FolderSource(Model):
    """A folder with one sub-folder per class."""

    kind: Literal["folder"]
    path: str = Field(description="The folder; a relative path starts at the folder of the Snakefile.")
    unlabelled: str | None = Field(None, description="A folder of images that nobody has labelled.")
    test: str | None = Field(None, description="A folder, one sub-folder per class, whose images are the test set.")


class Columns(Model):
    """The names of a table's columns, where they are not path, label, group and role."""

    path: str | None = None
    label: str | None = None
    group: str | None = None
    role: str | None = None


class TableSource(Model):
    """A CSV or Parquet table with one row per image."""

    kind: Literal["table"]
    path: str = Field(description="The table; a relative path starts at the folder of the Snakefile.")
    images: str | None = Field(None, description="The folder that the table's paths start from; else the table's own.")
    columns: Columns | None = Field(
        None, description="The columns' names, where they are others; group, role: optional."
    )
    outside: bool = Field(False, description="Whether paths may lead out of the folder of images.")


class ParquetSource(Model):
    """Parquet files as Hugging Face writes image data sets."""

    kind: Literal["parquet"]
    path: str = Field(description="A file, a folder or a pattern.")
    image: str | None = Field(None, description="The images' column. Default: image.")
    label: str | None = Field(None, description="The labels' column. Default: label.")
    group: str | None = Field(None, description="The column of patient, slide or plate.")
    test: str | None = Field(None, description="A file, a folder or a pattern of images that are the test set.")


class MedmnistSource(Model):
    """A set of MedMNIST, which the medmnist package downloads; its own test set is kept."""

    kind: Literal["medmnist"]
    name: str = Field(description="The set, such as bloodmnist.")
    size: Literal[28, 64, 128, 224] = Field(28, description="Side of the images, in pixels.")
    path: str | None = Field(None, description="The .npz file, where it has been downloaded already.")


class Expected(Model):
    """What a data set should hold, so that a study on another version of it does not pass unnoticed."""

    images: int | None = Field(None, ge=1, description="Image files, copies included.")
    classes: int | dict[str, int] | None = Field(
        None, description="How many classes; or the classes, each with its number of image files."
    )


class Dataset(Model):
    """One set of images."""

    source: Annotated[
        DigitsSource | FolderSource | TableSource | ParquetSource | MedmnistSource, Field(discriminator="kind")
    ]
    classes: Annotated[list[str], AfterValidator(each_once)] | None = Field(
        None, description="The classes to keep; all where none are named.", min_length=2
    )
    page: int = Field(0, ge=0, description="Which page of a TIFF, or frame of a DICOM file, is the image.")
    image_size: int = Field(224, ge=16, le=1024, description="Side of the square that every network sees, in pixels.")
    resize: Literal["stretch", "crop", "pad"] = Field("stretch", description="How an oblong image becomes a square.")
    positive: str | None = Field(
        None, description="Two classes: the one whose F1 is reported; the rarer one where none is named."
    )
    symmetries: Annotated[list[Symmetry], AfterValidator(each_once)] = Field(
        default=["horizontal_flip", "vertical_flip"],
        description="Flips and turns that leave an image's class what it was: augmentation and teachers' views use no "
        "others.",
    )
    max_skipped_share: float = Field(
        0.1, ge=0, le=1, description="Stop where a larger share of the files cannot be read."
    )
    expect: Expected | None = Field(None, description="What should be there; anything else is an error.")
    corrections: str | None = Field(
        None, description="A table of path and label, such as answers.csv with its column label filled in."
    )


class Split(Model):
    """Which images are tested on, labelled and unlabelled."""

    labelled: Annotated[list[Annotated[int, Field(ge=1)] | Literal["all"]], AfterValidator(each_once)] = Field(
        default=[25], min_length=1, description="Labelled images per class, validation set included; each is a split."
    )
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], AfterValidator(each_once)] = Field(default=[0], min_length=1)
    evaluation: Literal["holdout", "crossvalidation"] = Field(
        "holdout",
        description="holdout: one part of the images is tested on; crossvalidation: each labelled image once.",
    )
    folds: int = Field(5, ge=2, le=20, description="Parts of a cross-validation; each is trained without.")
    test_share: Share = 0.25
    test_seed: int = Field(
        0, ge=0, description="Draws the test set, or the folds, which are equal for every k and every seed."
    )
    validation_share: Share = Field(0.2, description="Share of the labelled images that choose the best epoch.")
    min_validation: int = Field(
        50,
        ge=1,
        description="There is a validation set where more than half of the classes have so many labelled images.",
    )
    strict: bool = Field(False, description="A class with fewer images than asked for is an error, not a warning.")
