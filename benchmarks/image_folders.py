"""Image data sets that are folders of JPEGs in their official layouts: which files there are, and their classes.

ImageNet (ILSVRC2012): `train/<class>/*.JPEG` and `val/<class>/*.JPEG`; classes count in the order of their names.
Tiny-ImageNet: `wnids.txt` with the classes in order, `train/<class>/images/*.JPEG`, `val/images/*.JPEG` and
`val/val_annotations.txt`. Any number of classes. The validation images are the ones that cells are tested on, since
those of the official tests have no public labels. No image is opened here.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.errors import UserError, quoted
from benchmarks.files import read_at_most

SUFFIXES = (".jpeg", ".jpg")
KAGGLE = "LOC_val_solution.csv"  # the classes of the validation images, in Kaggle's copy of ImageNet


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Labelled image files, one of each class in turn: a start of them has equal classes, as far as they reach.

    part: train or val. names: bytes (N,), paths below `root`; one array, because forked processes would copy a list as
    they read it. labels: int64 (N,), from 0.
    """

    root: Path
    part: str
    names: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def path(self, number: int) -> Path:
        return self.root / os.fsdecode(self.names[number])

    def start(self, count: int | None) -> ImageFiles:
        """The first `count` files, or all."""
        return replace(self, names=self.names[:count], labels=self.labels[:count])


class ImageFolder(NamedTuple):
    """A data set in a folder."""

    root: Path
    classes: tuple[str, ...]
    train: ImageFiles
    test: ImageFiles


class Layout(NamedTuple):
    """Where a data set is looked for, and how its folder is read."""

    folder: str  # below a data folder, which may also be that folder itself
    marker: str  # what only such a folder has
    archives: tuple[str, ...]  # patterns
    origin: str
    unpacking: str
    read: Callable[[Path], ImageFolder]
    without: tuple[str, ...] = ()  # what such a folder does not have


# -------------------------------------------------------------------------------------------- where


def are_in(dataset: str, place: Path) -> bool:
    """Whether a data folder has this data set, rightly laid out or not."""
    return _folder(dataset, place) is not None


def folder_of(dataset: str, places: Sequence[Path]) -> ImageFolder:
    """The files of a data set in the first of the data folders that has it.

    UserError where none has, and for a wrong layout: a class that is missing, empty or in `val` alone, an image
    without a class.
    """
    for place in places:
        if (folder := _folder(dataset, place)) is not None:
            return LAYOUTS[dataset].read(folder)
    raise UserError(_advice(dataset, places))


def check(places: Sequence[Path]) -> list[tuple[bool, str]]:
    """What `doctor` says of the folders of images that there are: lines, and whether each is sound."""
    lines = []
    for dataset in LAYOUTS:
        if any(are_in(dataset, place) for place in places):
            try:
                lines.append((True, _describe(dataset, folder_of(dataset, places))))
            except UserError as error:
                lines.append((False, str(error)))
    return lines


def info(path: Path) -> str | None:
    """What `data info` says of a folder: a line for each data set in it, None without one; UserError as `folder_of`."""
    datasets = [dataset for dataset in LAYOUTS if are_in(dataset, path)]
    return "\n".join(_describe(dataset, folder_of(dataset, [path])) for dataset in datasets) or None


def _describe(dataset: str, found: ImageFolder) -> str:
    """A data set's folder in one line."""
    return (
        f"{dataset} in {found.root}: {len(found.classes):,} classes, {len(found.train):,} training and "
        f"{len(found.test):,} validation images"
    )


def _folder(dataset: str, place: Path) -> Path | None:
    layout = LAYOUTS[dataset]
    for folder in (place / layout.folder, place):
        if os.path.exists(folder / layout.marker) and not any(os.path.exists(folder / name) for name in layout.without):
            return folder
    return None


def _advice(dataset: str, places: Sequence[Path]) -> str:
    layout = LAYOUTS[dataset]
    if not places:
        return f"no folder with {dataset} images given; use --data DIR, and put {layout.origin} there"
    folders = [folder for place in places for folder in (place, place / layout.folder)]
    archives = (path for folder in folders for pattern in layout.archives for path in sorted(folder.glob(pattern)))
    if (archive := next(archives, None)) is not None:
        return f"{dataset}: {archive} is not unpacked; {layout.unpacking} in {archive.parent}"
    return f"{dataset}: no {layout.marker} in {' or '.join(map(str, folders))}; put {layout.origin} there"


# ------------------------------------------------------------------------------------------ layouts


def _read_imagenet(root: Path) -> ImageFolder:
    train = dict(_class_folders(root, "train"))
    names = sorted(train)
    test = _flat_validation(root) or dict(_class_folders(root, "val"))
    return _folder_with(root, names, train, test)


def _class_folders(root: Path, part: str) -> Iterator[tuple[str, list[str]]]:
    """Each class folder and the paths of its images."""
    folders, loose = _entries(root / part)
    if not folders and (tars := sorted((root / part).glob("n*.tar"))):
        raise UserError(f"{root / part}: {tars[0].name} is not unpacked; unpack each into a folder of its name")
    if loose or not folders:
        fault = f"{len(loose):,} images are in no class folder" if loose else "no class folder"
        advice = f"expected {part}/<class>/*.JPEG"
        if part == "val":
            advice += (
                "; run valprep.sh of github.com/soumith/imagenetloader.torch there, which moves the official images "
                f"into such folders, or put Kaggle's {KAGGLE} beside it"
            )
        raise UserError(f"{root / part}: {fault}; {advice}")
    for name in folders:
        yield name, [f"{part}/{name}/{image}" for image in _images(root / part / name)]


def _flat_validation(root: Path) -> dict[str, list[str]] | None:
    """Classes of validation images that are in one folder, by Kaggle's list; None where that is not the layout."""
    folders, images = _entries(root / "val")
    if folders or not images or not (root / KAGGLE).is_file():
        return None
    rows = csv.DictReader(_lines(root / KAGGLE))
    if not {"ImageId", "PredictionString"} <= set(rows.fieldnames or ()):
        raise UserError(f"{root / KAGGLE}: expected the columns ImageId,PredictionString, as Kaggle has them")
    wnids = {f"{row['ImageId']}.JPEG": (row["PredictionString"] or "").partition(" ")[0] for row in rows}
    return _by_class(root, "val", root / KAGGLE, wnids, images)


def _read_tiny(root: Path) -> ImageFolder:
    names = [line.strip() for line in _lines(root / "wnids.txt") if line.strip()]
    if not names or len(set(names)) < len(names):
        raise UserError(f"{root / 'wnids.txt'}: expected a class a line, each once; unpack the data set again")
    absent = [name for name in names if not (root / "train" / name / "images").is_dir()]
    if absent:
        raise UserError(
            f"{root / 'train'}: no folder {absent[0]}/images{_more(absent)}, which wnids.txt names; unpack the data "
            "set again, or take the class out of wnids.txt and val_annotations.txt"
        )
    train = {
        name: [f"train/{name}/images/{image}" for image in _images(root / "train" / name / "images")] for name in names
    }
    annotations, wnids = root / "val/val_annotations.txt", {}
    for number, line in enumerate(_lines(annotations), 1):
        image, _, rest = line.partition("\t")
        if not rest:
            raise UserError(f"{annotations}: line {number} is {quoted(line)}; expected an image, a tab and its class")
        wnids[image] = rest.partition("\t")[0].strip()
    test = _by_class(root, "val/images", annotations, wnids, _entries(root / "val/images")[1])
    return _folder_with(root, names, train, test)


LAYOUTS = {
    "tiny-imagenet": Layout(
        folder="tiny-imagenet-200",
        marker="wnids.txt",
        archives=("tiny-imagenet*.tar*", "tiny-imagenet*.zip"),
        origin="tiny-imagenet-200.zip of http://cs231n.stanford.edu, unpacked,",
        unpacking="unpack it (tar -xf, or unzip)",
        read=_read_tiny,
    ),
    "imagenet": Layout(
        folder="imagenet",
        marker="train",
        archives=("ILSVRC2012_img_*.tar",),
        origin="ILSVRC2012 of https://image-net.org (train/<class>/*.JPEG and val/<class>/*.JPEG)",
        unpacking="unpack the training images as train/<class>/*.JPEG and the others as val/<class>/*.JPEG",
        read=_read_imagenet,
        without=("wnids.txt",),
    ),
}


# -------------------------------------------------------------------------------------------- parts


def _entries(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the folders and of the JPEGs in a folder, sorted; hidden ones and other files left out."""
    try:
        with os.scandir(folder) as found:
            entries = [(entry.name, entry.is_dir()) for entry in found if not entry.name.startswith(".")]
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}; expected a folder of the official layout") from None
    folders = sorted(name for name, is_folder in entries if is_folder)
    return folders, sorted(name for name, is_folder in entries if not is_folder and name.lower().endswith(SUFFIXES))


def _images(folder: Path) -> list[str]:
    """The JPEGs of a class; UserError where there are none."""
    images = _entries(folder)[1]
    if not images:
        raise UserError(f"{folder}: no image of the class (*.JPEG); unpack it again")
    return images


def _by_class(
    root: Path, part: str, source: Path, classes: dict[str, str], images: Sequence[str]
) -> dict[str, list[str]]:
    """Paths of images by class. `source` names the class of each image: of no other ones, and of all."""
    for what, names in (
        (f"no image in {root / part}", sorted(set(classes) - set(images))),
        (f"no class in {source.name}", sorted(set(images) - set(classes))),
    ):
        if names:
            raise UserError(f"{source}: {what} for {names[0]}{_more(names)}; unpack the data set again")
    by_class: dict[str, list[str]] = {}
    for image in images:
        by_class.setdefault(classes[image], []).append(f"{part}/{image}")
    return by_class


def _folder_with(
    root: Path, classes: Sequence[str], train: dict[str, list[str]], test: dict[str, list[str]]
) -> ImageFolder:
    """UserError where both parts have not the same classes."""
    for what, names in (
        ("is not in train", sorted(test.keys() - train.keys())),
        ("of train is missing", sorted(train.keys() - test.keys())),
    ):
        if names:
            raise UserError(
                f"{root / 'val'}: class {names[0]}{_more(names)} {what}; both must have the same classes: unpack the "
                "data set again, or take it out of the other part too"
            )
    parts = _in_turn(root, "train", classes, train), _in_turn(root, "val", classes, test)
    return ImageFolder(root, tuple(classes), *parts)


def _in_turn(root: Path, part: str, classes: Sequence[str], by_class: dict[str, list[str]]) -> ImageFiles:
    rounds = zip_longest(*(by_class[name] for name in classes))
    pairs = [(image, label) for turn in rounds for label, image in enumerate(turn) if image is not None]
    names, labels = zip(*pairs, strict=True)
    return ImageFiles(root, part, np.array([os.fsencode(name) for name in names]), np.array(labels, dtype=np.int64))


def _lines(path: Path) -> list[str]:
    try:
        return read_at_most(path, 64).decode("utf-8").splitlines()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; unpack the data set again") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: no text; unpack the data set again") from None


def _more(names: Sequence[str]) -> str:
    return f" (and {len(names) - 1:,} more)" if len(names) > 1 else ""
