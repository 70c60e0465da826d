"""Images: loading the official files, augmentation, and batches that resume exactly.

Expected values are worked by hand, known from elsewhere, or computed the slow way; data sets that cannot be
shipped are replaced by small ones in the official format, with their own md5 sums.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import pickle
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.whole_images import TrainTest, load

from benchmarks import images as im
from benchmarks import safe_pickle
from benchmarks.errors import UserError
from benchmarks.nb201 import splits
from benchmarks.nb201.splits import official_split

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
]


@pytest.fixture(scope="module")
def cifar10(cifar10_root: Path) -> TrainTest:
    return load("cifar10", cifar10_root)


def generator(seed: int, device: str = "cpu") -> torch.Generator:
    return torch.Generator(device=device).manual_seed(seed)


def small_images(count: int = 10, size: int = 8) -> im.Images:
    pixels = torch.randint(256, (count, 3, size, size), generator=generator(0), dtype=torch.uint8)
    return im.Images(pixels, torch.arange(count), (120.0, 130.0, 110.0), (60.0, 61.0, 62.0), im.CropAndFlip(1))


def python2_pickle(batch: dict[str, Any]) -> bytes:
    """Protocol 2 with byte-string keys, as Python 2 wrote the official batches."""
    blob = pickle.dumps(batch, protocol=2)
    for key in batch:
        unicode_key = b"X" + struct.pack("<I", len(key)) + key.encode()
        assert blob.count(unicode_key) == 1
        blob = blob.replace(unicode_key, b"U" + bytes([len(key)]) + key.encode())
    return blob


def write_batches(dataset: str, folder: Path, labels: dict[str, list[int]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A small data set in the official format; every pixel of image i (counted over all files) is i modulo 256."""
    folder.mkdir(parents=True, exist_ok=True)
    size, key = im.SOURCES[dataset].size, im.SOURCES[dataset].labels
    sums, number = {}, 0
    for name, values in labels.items():
        levels = (np.arange(number, number + len(values)) % 256).astype(np.uint8)
        number += len(values)
        blob = python2_pickle({"data": np.repeat(levels[:, None], 3 * size * size, axis=1), key: values})
        (folder / name).write_bytes(blob)
        sums[name] = hashlib.md5(blob).hexdigest()
    monkeypatch.setitem(im.MD5, dataset, sums)


def levels_of(images: im.Images) -> list[int]:
    """The image numbers of `write_batches`, read back from the pixels."""
    assert torch.equal(images.pixels, images.pixels[:, :1, :1, :1].expand_as(images.pixels))
    return images.pixels[:, 0, 0, 0].tolist()


def owns_its_memory(tensor: torch.Tensor) -> bool:
    return tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


def test_cifar10_is_the_official_one(cifar10: TrainTest) -> None:
    train, test = cifar10
    assert train.pixels.shape == (50_000, 3, 32, 32)
    assert test.pixels.shape == (10_000, 3, 32, 32)
    # the frog and the cat of every tutorial
    assert (train.labels[0].item(), train.pixels[0, :, 0, 0].tolist()) == (6, [59, 62, 63])
    assert (test.labels[0].item(), test.pixels[0, :, 0, 0].tolist()) == (3, [158, 112, 49])
    assert train.labels.bincount().tolist() == [5_000] * 10
    assert test.labels.bincount().tolist() == [1_000] * 10
    assert train.augmentation == im.CropAndFlip(4)


def test_cifar10_constants_are_those_of_the_images(cifar10: TrainTest) -> None:
    pixels = cifar10.train.pixels.numpy().transpose(1, 0, 2, 3).reshape(3, -1)
    assert pixels.mean(axis=1) == pytest.approx(cifar10.train.mean, abs=0.1)
    assert pixels[:, ::7].std(axis=1) == pytest.approx(cifar10.train.std, abs=0.2)


def test_root_may_be_the_folder_itself(cifar10_root: Path, cifar10: TrainTest) -> None:
    again = load("cifar10", cifar10_root / "cifar-10-batches-py")
    assert im.checksum(again.train) == im.checksum(cifar10.train)


def test_checksum_is_sha256_of_pixels_and_labels(cifar10: TrainTest) -> None:
    images = cifar10.test.subset([3, 1])
    blob = images.pixels.numpy().tobytes() + struct.pack("<2q", *images.labels.tolist())
    assert im.checksum(images) == hashlib.sha256(blob).hexdigest()
    assert im.checksum(cifar10.test.subset([1, 3])) != im.checksum(images)


def test_cifar100_reads_fine_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {"train": [99, 0, 42], "test": [7, 98]}
    write_batches("cifar100", tmp_path / "cifar-100-python", labels, monkeypatch)
    train, test = load("cifar100", tmp_path)
    assert (train.labels.tolist(), levels_of(train)) == ([99, 0, 42], [0, 1, 2])
    assert (test.labels.tolist(), levels_of(test)) == ([7, 98], [3, 4])
    assert (train.augmentation, train.mean) == (im.CropAndFlip(4), (129.3, 124.1, 112.4))


def test_imagenet16_keeps_the_first_120_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {f"train_data_batch_{k}": [k, 121, 120, 1000] for k in range(1, 11)} | {"val_data": [121, 1, 120]}
    write_batches("ImageNet16-120", tmp_path / "ImageNet16", labels, monkeypatch)
    train, test = load("ImageNet16-120", tmp_path)
    assert train.labels.tolist() == [label for k in range(10) for label in (k, 119)]
    assert levels_of(train) == [n for k in range(10) for n in (4 * k, 4 * k + 2)]
    assert (test.labels.tolist(), levels_of(test)) == ([0, 119], [41, 42])
    assert (train.augmentation, train.pixels.shape[1:]) == (im.CropAndFlip(2), (3, 16, 16))


@pytest.mark.case(39)
def test_wrong_folder_lists_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load("ImageNet16-120", tmp_path)
    message = str(error.value)
    assert all(f"train_data_batch_{k}" in message for k in range(1, 11))
    assert "val_data" in message
    assert str(tmp_path / "ImageNet16") in message
    assert "\n" not in message
    with pytest.raises(UserError, match=re.escape(str(tmp_path / "cifar-100-python"))):
        load("cifar100", tmp_path)


def test_incomplete_folder_lists_only_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {f"train_data_batch_{k}": [k] for k in range(1, 11)} | {"val_data": [1]}
    write_batches("ImageNet16-120", tmp_path, labels, monkeypatch)
    (tmp_path / "train_data_batch_4").unlink()
    (tmp_path / "train_data_batch_10").unlink()
    with pytest.raises(UserError, match=r"^ImageNet16-120: train_data_batch_4, train_data_batch_10 not found"):
        load("ImageNet16-120", tmp_path)


@pytest.mark.case(39)
def test_wrong_md5_names_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {f"train_data_batch_{k}": [k] for k in range(1, 11)} | {"val_data": [1]}
    write_batches("ImageNet16-120", tmp_path, labels, monkeypatch)
    with (tmp_path / "train_data_batch_7").open("ab") as file:
        file.write(b"x")
    with pytest.raises(UserError, match=r"train_data_batch_7 .*md5") as error:
        load("ImageNet16-120", tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.case(36)
def test_a_file_with_a_wrong_md5_is_not_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("train", "test"):
        (tmp_path / name).write_bytes(b"anything")
    monkeypatch.setattr(safe_pickle, "load", lambda *args, **more: pytest.fail("unpickled"))
    with pytest.raises(UserError, match="published 16019d7e3df5f24257cddd939b257f8d"):
        load("cifar100", tmp_path)


def test_unknown_names_are_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cifar10, cifar100, ImageNet16-120"):
        load("svhn", tmp_path)


# -------------------------------------------------------------------------------------------- splits


def test_cifar10_search_sees_the_halves_of_the_training_images(cifar10_root: Path, shared: Path) -> None:
    train, valid = im.search_images("cifar10", cifar10_root, official_split("cifar10"))
    # the same by the standard library alone
    labels: list[int] = []
    for k in range(1, 6):
        blob = (cifar10_root / "cifar-10-batches-py" / f"data_batch_{k}").read_bytes()
        labels += [blob[i + 1] for i in _label_positions(blob)]
    stored = json.loads((shared / "data" / "splits" / "cifar-split.txt").read_text())
    for images, part in ((train, "train"), (valid, "valid")):
        expected = [labels[int(i)] for i in stored[part][1]]
        assert images.labels.tolist() == expected
        assert images.labels.bincount().tolist() == [expected.count(label) for label in range(10)]
        assert owns_its_memory(images.pixels)
        assert owns_its_memory(images.labels)
    assert train.labels[0] == 6  # index 0 of the training images is the frog
    assert valid.labels[0] == 9  # index 1 a truck


def _label_positions(blob: bytes) -> list[int]:
    """Where `K<label>` stands in a CIFAR-10 pickle: 10,000 of them in lists of 1,000."""
    start = blob.index(b"labels")
    start = blob.index(b"(", start) + 1
    positions: list[int] = []
    while len(positions) < 10_000:
        positions += range(start, start + 2_000, 2)
        start += 2_000 + len(b"e(")
    return positions


def test_cifar100_search_holds_no_x_test_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {"train": list(range(20)), "test": [50, 51, 52, 53, 54, 55]}
    write_batches("cifar100", tmp_path / "cifar-100-python", labels, monkeypatch)
    train, valid = im.search_images("cifar100", tmp_path, ([0, 3, 4], [1, 2, 5]))
    assert levels_of(train) == list(range(20))
    assert (levels_of(valid), valid.labels.tolist()) == ([20, 23, 24], [50, 53, 54])
    assert all(owns_its_memory(t) for part in (train, valid) for t in (part.pixels, part.labels))


def test_imagenet16_search_splits_the_kept_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {f"train_data_batch_{k}": [k, 500] for k in range(1, 11)} | {"val_data": [300, 8, 9, 301, 10, 11]}
    write_batches("ImageNet16-120", tmp_path, labels, monkeypatch)
    train, valid = im.search_images("ImageNet16-120", tmp_path, ([1, 2], [0, 3]))
    assert train.labels.tolist() == list(range(10))
    assert valid.labels.tolist() == [8, 9]  # counted after the other classes are dropped


@pytest.mark.parametrize(
    ("dataset", "classes", "labels"),
    [
        ("cifar100", 100, {"train": [i % 100 for i in range(320)], "test": [i % 100 for i in range(640)]}),
        (
            "ImageNet16-120",
            120,
            {f"train_data_batch_{k}": [1 + (32 * k + i) % 120 for i in range(32)] for k in range(1, 11)}
            | {"val_data": [1 + i % 120 for i in range(640)]},
        ),
    ],
)
def test_a_supernet_is_searched_on_the_other_data_sets(
    harness: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: str, classes: int, labels: Any
) -> None:
    folder = {"cifar100": "cifar-100-python", "ImageNet16-120": "ImageNet16"}[dataset]
    write_batches(dataset, tmp_path / folder, labels, monkeypatch)
    halves = range(0, 640, 2), range(1, 640, 2)
    monkeypatch.setattr(splits, "official_split", lambda dataset: halves)
    arguments = ["--preset", "smoke", "--searchers", "gicso,darts", "--seeds", 1, "--workers", 1]
    arguments += ["--data", tmp_path, "--out", tmp_path / "out", "--search-dataset", dataset]
    code, _, err = harness("run", *arguments)
    assert code == 0, err
    paths = list((tmp_path / "out/runs").glob("*/seed-0/record.json"))
    assert len(paths) == 2
    for path in paths:
        record = json.loads(path.read_text())
        assert record["search_dataset"] == dataset
        assert {s["dataset"] for s in record["scores"]} == {"cifar10", "cifar100", "ImageNet16-120"}
        # an untrained network of the right head answers at random: ln(classes), not ln(10)
        line = json.loads((path.parent / "trace.jsonl").read_text().splitlines()[0])
        assert line["train_loss"] == pytest.approx(np.log(classes), abs=1)


def test_cifar10_search_does_not_open_the_test_batch(cifar10_root: Path, tmp_path: Path) -> None:
    for k in range(1, 6):
        (tmp_path / f"data_batch_{k}").symlink_to(cifar10_root / "cifar-10-batches-py" / f"data_batch_{k}")
    train, _ = im.search_images("cifar10", tmp_path, official_split("cifar10"))
    assert len(train) == 25_000
    with pytest.raises(UserError, match="cifar10: test_batch not found"):
        load("cifar10", tmp_path)


def test_reduced_is_the_mean_of_four_pixels_halves_up() -> None:
    image = torch.tensor([[0, 1, 255, 255], [2, 3, 255, 254], [1, 0, 10, 20], [0, 0, 30, 40]])
    images = im.Images(image.to(torch.uint8)[None, None], torch.tensor([0]), (1.0,), (1.0,), im.CropAndFlip(4))
    half = images.reduced()
    assert half.pixels[0, 0].tolist() == [[2, 255], [0, 25]]  # 1.5, 254.75, 0.25, 25
    assert (half.augmentation, half.reduced().augmentation) == (im.CropAndFlip(2), im.CropAndFlip(1))
    assert half.reduced().pixels.tolist() == [[[[71]]]]  # 70.5
    with pytest.raises(ValueError, match="even height and width"):
        half.reduced().reduced()


def test_subset_and_clone_are_copies() -> None:
    images = small_images()
    part, copy = images.subset([3, 3, 0]), images.clone()
    assert part.labels.tolist() == [3, 3, 0]
    assert torch.equal(part.pixels[2], images.pixels[0])
    assert owns_its_memory(part.pixels)
    part.pixels.zero_()
    copy.pixels.zero_()
    assert images.pixels.any()
    assert len(images.subset([])) == 0
    with pytest.raises((IndexError, RuntimeError)):
        images.subset([10])


def test_images_of_another_type_are_refused() -> None:
    images = small_images()
    with pytest.raises(ValueError, match="uint8"):
        im.Images(images.pixels.float(), images.labels, images.mean, images.std, None)
    with pytest.raises(ValueError, match=r"labels must be int64 \(10,\)"):
        im.Images(images.pixels, images.labels[:9], images.mean, images.std, None)


# All crops of [[1, 2], [3, 4]] in a border of one zero, worked by hand: top row of crops first.
CROPS = ["0001", "0012", "0020", "0103", "1234", "2040", "0300", "3400", "4000"]
MIRRORED_CROPS = ["0002", "0021", "0010", "0204", "2143", "1030", "0400", "4300", "3000"]


def test_crops_worked_by_hand_come_equally_often() -> None:
    expected = CROPS + MIRRORED_CROPS
    count = 1_000 * len(expected)
    pixels = torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8).expand(count, 1, 2, 2)
    out = im.CropAndFlip(1)(pixels, generator(5))
    assert (out.dtype, out.shape) == (torch.uint8, (count, 1, 2, 2))
    seen, often = out.view(count, 4).unique(dim=0, return_counts=True)
    found = {"".join(map(str, row)): n for row, n in zip(seen.tolist(), often.tolist(), strict=True)}
    assert sorted(found) == sorted(expected)
    assert all(abs(n - 1_000) < 160 for n in found.values())  # five standard deviations


def test_augmented_image_is_a_plain_crop_of_the_same_image(cifar10: TrainTest) -> None:
    pixels = cifar10.train.pixels[:24]
    out = im.CropAndFlip(4)(pixels, generator(1))
    chosen = set()
    for before, after in zip(pixels.numpy(), out.numpy(), strict=True):
        crops = {}
        for mirrored, row, column in itertools.product((False, True), range(9), range(9)):
            bordered = np.pad(before[:, :, ::-1] if mirrored else before, ((0, 0), (4, 4), (4, 4)))
            crops[bordered[:, row : row + 32, column : column + 32].tobytes()] = (mirrored, row, column)
        chosen.add(crops[after.tobytes()])  # all channels moved alike, or the key is not there
    assert len(chosen) > 15
    assert {mirrored for mirrored, _, _ in chosen} == {False, True}


def test_augmentation_leaves_its_input_and_the_global_generator_alone() -> None:
    images = small_images()
    before, state = images.pixels.clone(), torch.get_rng_state()
    im.CropAndFlip(1)(images.pixels, generator(0))
    assert torch.equal(images.pixels, before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("channels_last", [False, True])
def test_normalise(channels_last: bool) -> None:
    pixels = torch.tensor([0, 255, 125], dtype=torch.uint8).view(1, 3, 1, 1).expand(2, 3, 4, 5).contiguous()
    x = im.normalise(pixels, (100.0, 125.0, 120.0), (50.0, 65.0, 2.5), channels_last=channels_last)
    assert x.dtype == torch.float32
    assert x[1, :, 2, 3].tolist() == [-2.0, 2.0, 2.0]
    assert x.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    half = im.normalise(pixels, (100.0, 125.0, 120.0), (50.0, 65.0, 2.5), torch.bfloat16, channels_last)
    assert half.dtype == torch.bfloat16
    assert torch.equal(half.float(), x)


def test_normalise_is_totensor_then_normalize(cifar10: TrainTest) -> None:
    images = cifar10.train.subset(range(8))
    mean = np.array(images.mean)[:, None, None] / 255
    std = np.array(images.std)[:, None, None] / 255
    expected = (images.pixels.numpy() / 255 - mean) / std
    x = im.normalise(images.pixels, images.mean, images.std)
    np.testing.assert_allclose(x.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_a_pass_holds_every_image_once_in_its_own_order(device: str) -> None:
    images = small_images().to(device)
    batches = im.Batches(images, 4, generator(0, device), augmented=False)
    assert len(batches) == 3
    orders = []
    for _ in range(3):
        drawn = [batches.next() for _ in range(len(batches))]
        assert [len(y) for _, y in drawn] == [4, 4, 2]
        x, y = torch.cat([x for x, _ in drawn]), torch.cat([y for _, y in drawn])
        assert sorted(y.tolist()) == list(range(10))
        assert torch.equal(x, im.normalise(images.pixels[y], images.mean, images.std))  # label i is image i
        orders.append(y.tolist())
    assert orders[0] != orders[1] != orders[2]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("done", [0, 1, 3, 5])
def test_resumed_batches_are_bit_exact(done: int, device: str) -> None:
    images = small_images().to(device)
    batches = im.Batches(images, 4, generator(7, device))
    for _ in range(done):
        batches.next()
    file = io.BytesIO()
    torch.save(batches.state_dict(), file)
    rest = [batches.next() for _ in range(7)]
    file.seek(0)
    resumed = im.Batches(images, 4, generator(99, device))
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for x, y in rest:
        again_x, again_y = resumed.next()
        assert torch.equal(x, again_x)
        assert torch.equal(y, again_y)


def test_state_is_a_snapshot_and_of_one_set_of_images() -> None:
    images = small_images()
    batches = im.Batches(images, 4, generator(7))
    batches.next()
    state = batches.state_dict()
    first = batches.next()
    batches.load_state_dict(state)
    assert torch.equal(batches.next()[0], first[0])
    with pytest.raises(ValueError, match="the state is of 10 images, these are 9"):
        im.Batches(images.subset(range(9)), 4, generator(7)).load_state_dict(state)


def test_same_seed_same_batches_other_seed_others() -> None:
    a, b, c = (im.Batches(small_images(), 10, generator(seed)).next() for seed in (1, 1, 2))
    assert torch.equal(a[0], b[0])
    assert a[1].tolist() != c[1].tolist()


def test_batches_need_images_and_a_size() -> None:
    with pytest.raises(ValueError, match="batch size"):
        im.Batches(small_images(), 0, generator(0))
    with pytest.raises(ValueError, match="need images"):
        im.Batches(small_images().subset([]), 4, generator(0))
