"""The image data sets as they are published: their files with the sums of these, and what training takes of them.

Light, since commands ask it before torch is loaded; `images.py` reads the files.
"""

from __future__ import annotations

from typing import NamedTuple


class Source(NamedTuple):
    """An official data set on disk, and the constants that the reference code trains it with."""

    folder: str
    labels: str  # key of the labels in a batch
    first_label: int
    num_classes: int  # images with labels outside first_label..first_label + num_classes - 1 are dropped
    size: int  # height and width; the crop padding is an eighth of it
    mean: tuple[float, ...]  # units: 0-255; AutoDL-Projects, get_dataset_with_transform.py
    std: tuple[float, ...]
    origin: str


CIFAR = "the python version of https://www.cs.toronto.edu/~kriz/cifar.html"
DOWNSAMPLED = "the 16x16 batches that https://github.com/D-X-Y/NAS-Bench-201 names"
SOURCES = {
    "cifar10": Source("cifar-10-batches-py", "labels", 0, 10, 32, (125.3, 123.0, 113.9), (63.0, 62.1, 66.7), CIFAR),
    "cifar100": Source("cifar-100-python", "fine_labels", 0, 100, 32, (129.3, 124.1, 112.4), (68.2, 65.4, 70.4), CIFAR),
    "ImageNet16-120": Source(
        "ImageNet16", "labels", 1, 120, 16, (122.68, 116.66, 104.01), (63.22, 61.26, 65.09), DOWNSAMPLED
    ),
}

# Batch files and their sums as torchvision (CIFAR) and AutoDL-Projects (ImageNet16) publish them: training
# batches in the order that the official indices count in, then the one test batch.
MD5 = {
    "cifar10": {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
    "cifar100": {
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    },
    "ImageNet16-120": {
        "train_data_batch_1": "27846dcaa50de8e21a7d1a35f30f0e91",
        "train_data_batch_2": "c7254a054e0e795c69120a5727050e3f",
        "train_data_batch_3": "4333d3df2e5ffb114b05d2ffc19b1e87",
        "train_data_batch_4": "1620cdf193304f4a92677b695d70d10f",
        "train_data_batch_5": "348b3c2fdbb3940c4e9e834affd3b18d",
        "train_data_batch_6": "6e765307c242a1b3d7d5ef9139b48945",
        "train_data_batch_7": "564926d8cbf8fc4818ba23d2faac7564",
        "train_data_batch_8": "f4755871f718ccb653440b9dd0ebac66",
        "train_data_batch_9": "bb6dd660c38c58552125b1a92f86b5d4",
        "train_data_batch_10": "8f03f34ac4b42271a294f91bf480f29b",
        "val_data": "3410e3017fdaefba8d5073aaa65e4bd6",
    },
}


def advice(dataset: str) -> str:
    """How to get the files of a data set, for messages that name the place."""
    origin = SOURCES[dataset].origin
    command = f"`harness data fetch {dataset}` downloads it, or " if origin == CIFAR else ""
    return f"{command}put {origin} there"
