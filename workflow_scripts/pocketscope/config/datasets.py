"""Data sets and their splits, as a configuration gives them."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from pocketscope.config.base import Model, Share, each_once
from pocketscope.core.group_rules import DICOM_KEYS, FOLDERS, GROUP, expression
from pocketscope.core.messages import did_you_mean
from pocketscope.core.stack_pages import WORDS

Symmetry = Literal["horizontal_flip", "vertical_flip", "quarter_turn"]


def _known_page(page: Any) -> Any:
    if page not in WORDS:
        raise ValueError(f"'{page}' is neither the number of a page nor one of {', '.join(WORDS)}")
    return page


def _form_of_page(page: Any) -> str:
    return "[word]" if isinstance(page, str) else "[number]"


Page = Annotated[
    Annotated[Literal[WORDS], BeforeValidator(_known_page), Tag("[word]")]
    | Annotated[int, Field(ge=0), Tag("[number]")],
    Discriminator(_form_of_page),
]


class GroupTable(Model):
    """A table that says which images belong together."""

    table: str = Field(description="A CSV or Parquet table with one row per image.")
    path: str | None = Field(None, description="Its column of the images' paths. Default: path.")
    group: str | None = Field(None, description="Its column of the groups. Default: group.")


def _known_group(group: str) -> str:
    if GROUP in group:
        expression(group)
    elif group not in (*FOLDERS, *DICOM_KEYS):
        raise ValueError(
            f"'{group}' is neither {' nor '.join(FOLDERS)}, nor one of {', '.join(DICOM_KEYS)}, nor a pattern with "
            f"<group>{did_you_mean(group, (*FOLDERS, *DICOM_KEYS), '')}"
        )
    return group


def _form(group: Any) -> str:
    return "[table]" if isinstance(group, dict | GroupTable) else "[name]"


Group = Annotated[
    Annotated[str, AfterValidator(_known_group), Tag("[name]")] | Annotated[GroupTable, Tag("[table]")],
    Discriminator(_form),
]


def _address(link: str) -> str:
    if not link.startswith(("https://", "http://", "10.")):
        raise ValueError(f"'{link}' is neither an address (https://...) nor a DOI (10....)")
    return link


class DigitsSource(Model):
    """The 1,797 images of handwritten digits, 8 x 8 pixels, that scikit-learn carries."""

    kind: Literal["digits"]


class FolderSource(Model):
    """A folder with one sub-folder per class, one of unlabelled images, or both."""

    kind: Literal["folder"]
    path: str | None = Field(
        None,
        description="The folder of class folders; a relative path is relative to the folder of the Snakefile. Left out "
        "where all labels come from a journal.",
    )
    unlabelled: str | None = Field(None, description="A folder of unlabelled images.")
    test: str | None = Field(None, description="A folder with one sub-folder per class; its images are the test set.")
    group: Group | None = Field(
        None,
        description="What belongs together (patient, slide, plate): folder, the folder inside the class; "
        "folder_above, the folder around the class folders; PatientID, StudyInstanceUID or SeriesInstanceUID of DICOM "
        "files; a pattern of names such as <group>_s#; or a table.",
    )

    @model_validator(mode="after")
    def _some_folder(self) -> "FolderSource":
        if self.path is None and self.unlabelled is None:
            raise ValueError("names no folder; give 'path', a folder of class folders, or 'unlabelled'")
        if self.path is None and self.test is not None:
            raise ValueError("'test' has class folders, but 'path' names none to learn from; name both")
        return self


class Columns(Model):
    """The names of a table's columns, where they are not path, label, group and role."""

    path: str | None = None
    label: str | None = None
    group: str | None = None
    role: str | None = None


class TableSource(Model):
    """A CSV or Parquet table with one row per image."""

    kind: Literal["table"]
    path: str = Field(description="The table; a relative path is relative to the folder of the Snakefile.")
    test: str | None = Field(None, description="A second table; its images are the test set.")
    images: str | None = Field(
        None,
        description="The folder that paths in the tables are relative to. Default: each table's own folder; that of "
        "annotations/train.json is images/train.",
    )
    columns: Columns | None = Field(
        None, description="Names of the columns, where they differ from the default; group and role are optional."
    )
    outside: bool = Field(False, description="Whether paths may point outside the folder of images.")
    group: Group | None = Field(
        None,
        description="What belongs together, where no column says so: PatientID, StudyInstanceUID or SeriesInstanceUID "
        "of DICOM files; a pattern of names such as <group>_s#; or another table.",
    )

    @model_validator(mode="after")
    def _one_group(self) -> "TableSource":
        if self.group in FOLDERS:
            raise ValueError("a table has no class folders; name the folder by a pattern such as '<group>/*'")
        if self.group and self.columns and self.columns.group:
            raise ValueError("'group' and 'columns.group' both name the groups; leave one out")
        return self


class ParquetSource(Model):
    """Parquet files as Hugging Face writes image data sets."""

    kind: Literal["parquet"]
    path: str = Field(description="A file, a folder or a pattern.")
    image: str | None = Field(None, description="Column of the images. Default: image.")
    label: str | None = Field(None, description="Column of the labels. Default: label.")
    group: str | None = Field(None, description="Column of the group, such as patient, slide or plate.")
    test: str | None = Field(None, description="A file, a folder or a pattern; its images are the test set.")


class MedmnistSource(Model):
    """A set of MedMNIST, which the medmnist package downloads; its own test set is kept."""

    kind: Literal["medmnist"]
    name: str = Field(description="Name of the data set, such as bloodmnist.")
    size: Literal[28, 64, 128, 224] = Field(28, description="Side of the images, in pixels.")
    path: str | None = Field(None, description="The .npz file, if it has already been downloaded.")


class Expected(Model):
    """What a data set should hold, so that a study on another version of it does not pass unnoticed."""

    images: int | None = Field(None, ge=1, description="Number of image files, copies included.")
    classes: int | dict[str, int] | None = Field(
        None, description="Number of classes; or the classes, each with its number of image files."
    )


class Dataset(Model):
    """One set of images."""

    source: Annotated[
        DigitsSource | FolderSource | TableSource | ParquetSource | MedmnistSource, Field(discriminator="kind")
    ]
    classes: Annotated[list[str], AfterValidator(each_once)] | None = Field(
        None, description="The classes to keep. Default: all.", min_length=2
    )
    page: Page = Field(
        0,
        description="What is the image of a TIFF file with several pages, or a DICOM file with several frames: the "
        "number of a page, counted from 0; middle; maximum_projection, minimum_projection or mean_projection of all "
        "pages; or channels, two or three grey pages as red, green and blue.",
    )
    image_size: int = Field(
        224, ge=16, le=1024, description="Side of the square images that every network gets, in pixels."
    )
    resize: Literal["stretch", "crop", "pad"] = Field(
        "stretch", description="How an image that is not square is made square."
    )
    positive: str | None = Field(
        None, description="With two classes, the class whose F1 is reported. Default: the rarer class."
    )
    symmetries: Annotated[list[Symmetry], AfterValidator(each_once)] = Field(
        default=["horizontal_flip", "vertical_flip"],
        description="Flips and rotations that do not change the class of an image. Augmentation and "
        "teachers' views use no "
        "others.",
    )
    max_skipped_share: float = Field(0.1, ge=0, le=1, description="Stop if a larger share of the files cannot be read.")
    expect: Expected | None = Field(None, description="What the data set should contain; anything else is an error.")
    licence: str | None = Field(
        None,
        description="Licence of the images, such as CC BY 4.0; model cards and the report name it. Default: that of "
        "digits and of MedMNIST's sets is known.",
    )
    link: Annotated[str, AfterValidator(_address)] | None = Field(
        None,
        description="Where the images are published: an address (https://...) or a DOI (10....); the model card and "
        "the package for the BioImage Model Zoo name it. Default: that of digits and of MedMNIST's sets is known.",
    )
    labels: str | None = Field(
        None,
        description="The labels that people gave: a journal (.sqlite), to which `pocketscope label` appends, or a "
        "table with the columns path and label, such as answers.csv with its column label filled in. Default: "
        "labels/{data set}.sqlite, if it exists.",
    )


class Split(Model):
    """Which images are tested on, labelled and unlabelled."""

    labelled: Annotated[list[Annotated[int, Field(ge=1)] | Literal["all"]], AfterValidator(each_once)] = Field(
        default=[25],
        min_length=1,
        description="Numbers of labelled images per class, validation set included; each number is a split.",
    )
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], AfterValidator(each_once)] = Field(default=[0], min_length=1)
    evaluation: Literal["holdout", "crossvalidation"] = Field(
        "holdout",
        description="holdout: one part of the images is the test set; crossvalidation: each labelled image "
        "is tested once.",
    )
    folds: int = Field(5, ge=2, le=20, description="Number of folds of the cross-validation.")
    test_share: Share = 0.25
    test_seed: int = Field(
        0,
        ge=0,
        description="Seed that draws the test set, or the folds. They are the same for every number of "
        "labelled images and every seed.",
    )
    validation_share: Share = Field(
        0.2, description="Share of the labelled images in the validation set, which chooses the best epoch."
    )
    min_validation: int = Field(
        50,
        ge=1,
        description="There is a validation set if more than half of the classes have at least this many "
        "labelled images.",
    )
    group_near_duplicates: bool = Field(
        False, description="Whether nearly equal images are one group: none is tested on while another is learnt from."
    )
    strict: bool = Field(
        False, description="Whether a class with fewer labelled images than requested is an error instead of a warning."
    )
