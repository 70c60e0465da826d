"""Folders of JPEGs: which files and classes are found in the official layouts, and what is said of other ones."""

import os
import shutil

import pytest
from support.photographs import CLASSES, write_imagenet, write_jpeg, write_tiny_imagenet

from benchmarks.errors import UserError
from benchmarks.image_folders import check, folder_of

FIRST, SECOND, THIRD = sorted(CLASSES)


def names(files):
    return [os.fsdecode(name) for name in files.names]


def test_tiny_imagenet_counts_classes_as_wnids_does_and_takes_them_in_turn(tmp_path):
    write_tiny_imagenet(tmp_path / "tiny-imagenet-200", train=2)
    shutil.rmtree(tmp_path / f"tiny-imagenet-200/train/{CLASSES[1]}")
    write_jpeg(tmp_path / f"tiny-imagenet-200/train/{CLASSES[1]}/images/only.jpg")
    (tmp_path / f"tiny-imagenet-200/train/{CLASSES[1]}/images/.hidden.JPEG").touch()
    (tmp_path / f"tiny-imagenet-200/train/{CLASSES[1]}/n01443537_boxes.txt").touch()
    found = folder_of("tiny-imagenet", [tmp_path / "elsewhere", tmp_path])
    a, b, c = CLASSES
    assert found.classes == CLASSES
    assert names(found.train) == [
        *(f"train/{a}/images/{a}_0.JPEG", f"train/{b}/images/only.jpg", f"train/{c}/images/{c}_0.JPEG"),
        *(f"train/{a}/images/{a}_1.JPEG", f"train/{c}/images/{c}_1.JPEG"),
    ]
    assert found.train.labels.tolist() == [0, 1, 2, 0, 2]
    assert names(found.test) == [f"val/images/val_{k}.JPEG" for k in range(6)]
    assert found.test.labels.tolist() == [0, 1, 2] * 2
    assert found.train.path(1) == tmp_path / f"tiny-imagenet-200/train/{b}/images/only.jpg"
    assert names(found.train.start(2)) == names(found.train)[:2]
    assert len(found.train.start(None)) == 5
    assert folder_of("tiny-imagenet", [tmp_path / "tiny-imagenet-200"]).root == found.root


def test_imagenet_counts_classes_by_name(tmp_path):
    write_imagenet(tmp_path / "imagenet")
    found = folder_of("imagenet", [tmp_path])
    assert found.classes == (FIRST, SECOND, THIRD)
    assert (len(found.train), len(found.test)) == (9, 6)
    start = (FIRST, 0), (SECOND, 0), (THIRD, 0), (FIRST, 1)
    assert names(found.train)[:4] == [f"train/{name}/{name}_{k}.JPEG" for name, k in start]
    for files in (found.train, found.test):
        assert [name.split("/")[1] for name in names(files)] == [found.classes[k] for k in files.labels]


def test_kaggle_s_imagenet_has_its_validation_images_in_one_folder_and_a_list(tmp_path):
    write_imagenet(tmp_path)
    lines = ["ImageId,PredictionString\n"]
    for name in (THIRD, FIRST, SECOND):
        for image in sorted((tmp_path / "val" / name).iterdir()):
            image.rename(tmp_path / "val" / image.name)
            lines.append(f"{image.stem},{name} 85 1 499 272 {name} 1 2 3 4 \n")
        (tmp_path / "val" / name).rmdir()
    (tmp_path / "LOC_val_solution.csv").write_text("".join(lines))
    found = folder_of("imagenet", [tmp_path])
    assert names(found.test) == [f"val/ILSVRC2012_val_{k:08d}.JPEG" for k in range(6)]
    assert found.test.labels.tolist() == [0, 1, 2] * 2
    (tmp_path / "LOC_val_solution.csv").write_text("id,class\n")
    with pytest.raises(UserError, match=r"LOC_val_solution.csv: expected the columns ImageId,PredictionString"):
        folder_of("imagenet", [tmp_path])


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def empty(path):
    remove(path)
    path.mkdir()


def flatten(path):
    for folder in list(path.iterdir()):
        for image in list(folder.iterdir()):
            image.rename(path / image.name)
        folder.rmdir()


def annotate(line):
    return lambda path: path.write_text(path.read_text() + line)


TINY_FAULTS = {
    "no list of classes": ("wnids.txt", remove, "^tiny-imagenet: no wnids.txt in .* or .*/tiny-imagenet-200; put tiny"),
    "a class twice": ("wnids.txt", annotate(f"\n{FIRST}\n"), "wnids.txt: expected a class a line, each once"),
    "an empty list": ("wnids.txt", lambda path: path.write_text("\n"), "wnids.txt: expected a class a line"),
    "no text": ("wnids.txt", lambda path: path.write_bytes(b"\xff\xfe"), "wnids.txt: no text"),
    "no class folder": (f"train/{FIRST}", remove, f"train: no folder {FIRST}/images, which wnids.txt names; unpack"),
    "no training images at all": ("train", empty, "/images \\(and 2 more\\), which wnids.txt names; unpack"),
    "an empty class": (f"train/{FIRST}/images", empty, f"train/{FIRST}/images: no image of the class .*; unpack"),
    "no validation images": ("val/images", remove, "val/images: No such file or directory; expected a folder"),
    "no annotations": ("val/val_annotations.txt", remove, "val_annotations.txt: No such file or directory; unpack"),
    "an image without a line": ("val/images/more.JPEG", write_jpeg, "no class in val_annotations.txt for more.JPEG"),
    "a line without an image": ("val/images/val_2.JPEG", remove, "no image in .*/val/images for val_2.JPEG"),
    "an odd line": ("val/val_annotations.txt", annotate("val_9.JPEG n01\n"), "line 7 is 'val_9.JPEG n01'; expected"),
    "a class that is not in train": (
        "val/val_annotations.txt",
        lambda path: path.write_text(path.read_text().replace(FIRST, "n00000001")),
        "/val: class n00000001 is not in train; both must have the same classes: unpack",
    ),
    "a class that is only in train": (
        "val/val_annotations.txt",
        lambda path: path.write_text(path.read_text().replace(FIRST, SECOND)),
        f"/val: class {FIRST} of train is missing; both must",
    ),
}  # fmt: skip

IMAGENET_FAULTS = {
    "no training images": ("train", remove, "^imagenet: no train in .* or .*/imagenet; put ILSVRC2012 of https"),
    "no class folders": ("train", flatten, r"train: 9 images are in no class folder; expected train/<class>/\*.JPEG$"),
    "an empty folder": ("train", empty, "train: no class folder; expected train/<class>"),
    "an empty class": (f"train/{FIRST}", empty, f"train/{FIRST}: no image of the class"),
    "no validation images": ("val", remove, "val: No such file or directory; expected a folder of the official layout"),
    "a flat folder": ("val", flatten, "val: 6 images are in no class folder; .*valprep.sh .* or put Kaggle's LOC_val_"),
    "a loose image": ("val/loose.JPEG", write_jpeg, "val: 1 images are in no class folder"),
    "a class that is not in train": (f"train/{FIRST}", remove, f"/val: class {FIRST} is not in train; both must"),
    "classes that are only in train": (
        "val",
        lambda path: [remove(path / name) for name in (FIRST, THIRD)],
        rf"/val: class {FIRST} \(and 1 more\) of train is missing",
    ),
}


@pytest.mark.parametrize(
    ("write", "dataset", "where", "change", "message"),
    [(write_tiny_imagenet, "tiny-imagenet", *fault) for fault in TINY_FAULTS.values()]
    + [(write_imagenet, "imagenet", *fault) for fault in IMAGENET_FAULTS.values()],
    ids=[*TINY_FAULTS, *IMAGENET_FAULTS],
)
def test_another_layout_is_one_clear_line(tmp_path, write, dataset, where, change, message):
    write(tmp_path, train=3 if dataset == "imagenet" else 1)
    folder_of(dataset, [tmp_path])
    change(tmp_path / where)
    with pytest.raises(UserError, match=message) as error:
        folder_of(dataset, [tmp_path])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("dataset", "archive", "message"),
    [
        ("tiny-imagenet", "tiny-imagenet-40.tar", r"-40.tar is not unpacked; unpack it \(tar -xf, or unzip\)"),
        ("tiny-imagenet", "tiny-imagenet-200.zip", r"tiny-imagenet-200.zip is not unpacked; unpack it"),
        ("imagenet", "imagenet/ILSVRC2012_img_train.tar", r"img_train.tar is not unpacked; unpack the training"),
        ("imagenet", "imagenet/train/n01440764.tar", r"n01440764.tar is not unpacked; unpack each into a fold"),
    ],
)  # fmt: skip
def test_an_archive_is_not_taken_but_named(tmp_path, dataset, archive, message):
    (tmp_path / archive).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / archive).touch()
    with pytest.raises(UserError, match=message):
        folder_of(dataset, [tmp_path])


def test_without_a_data_folder_the_option_is_named():
    for dataset in ("tiny-imagenet", "imagenet"):
        with pytest.raises(UserError, match=f"no folder with {dataset} images given; use --data DIR"):
            folder_of(dataset, [])


def test_doctor_and_data_info_say_what_is_there(harness, tmp_path):
    write_tiny_imagenet(tmp_path / "tiny-imagenet-200")
    write_imagenet(tmp_path / "imagenet")
    tiny = f"tiny-imagenet in {tmp_path}/tiny-imagenet-200: 3 classes, 9 training and 6 validation images"
    large = f"imagenet in {tmp_path}/imagenet: 3 classes, 9 training and 6 validation images"
    assert harness("data", "info", tmp_path) == (0, f"{tiny}\n{large}\n", "")
    assert harness("data", "info", tmp_path / "imagenet") == (0, f"{large}\n", "")
    assert check([tmp_path]) == [(True, tiny), (True, large)]
    shutil.rmtree(tmp_path / "imagenet/val")
    assert check([tmp_path])[1][0] is False
    assert check([tmp_path / "imagenet/train"]) == []
