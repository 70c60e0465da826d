"""Images for training from scratch: what an epoch has, what is cut out, what is read of which folder."""

import tarfile
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from support.photographs import CLASSES, write_imagenet, write_jpeg, write_tiny_imagenet

from benchmarks import evaluation_images, jpegs
from benchmarks.base import Recipe
from benchmarks.errors import UserError
from benchmarks.evaluation_images import FileImages, MemoryImages, classes, constants, cut_out, load
from benchmarks.image_folders import folder_of
from benchmarks.images import CropAndFlip, Images, checksum, normalise


def recipe(resolution, images=None, cutout=0):
    return Recipe(
        name="test", channels=4, cells=2, resolution=resolution, images=images, epochs=1, batch_size=4, cutout=cutout
    )


def numbered(count=11, size=8, augmentation=None, cutout=0):
    """Images of one level each, their number."""
    pixels = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, size, size).contiguous()
    return MemoryImages(Images(pixels, torch.arange(count), (0.0,) * 3, (1.0,) * 3, augmentation), count, cutout)


@pytest.fixture
def noisy():
    pixels = torch.from_numpy(np.random.default_rng(0).integers(1, 256, size=(11, 3, 8, 8), dtype=np.uint8))
    return MemoryImages(Images(pixels, torch.arange(11), (10.0,) * 3, (2.0,) * 3, CropAndFlip(2)), 11, cutout=4)


@pytest.fixture(params=["memory", "files"])
def either(request, noisy, tmp_path):
    if request.param == "memory":
        return noisy
    write_imagenet(tmp_path)
    return FileImages(folder_of("imagenet", [tmp_path]).train, 3, 16, workers=0)


def equal(a, b):
    return len(a) == len(b) and all(
        torch.equal(x, z) and torch.equal(y, w) for (x, y), (z, w) in zip(a, b, strict=True)
    )


# ------------------------------------------------------------------------------------------- epochs


def test_an_epoch_has_whole_batches_of_images_that_differ():
    images = numbered()
    batches = list(images.batches(4, seed=0, epoch=0))
    assert [tuple(x.shape) for x, _ in batches] == [(4, 3, 8, 8)] * 2
    assert all(torch.equal(x[:, 1, 2, 3], y.float()) for x, y in batches)
    first = [y.tolist() for _, y in batches]
    assert len({*first[0], *first[1]}) == 8
    assert [y.tolist() for _, y in images.batches(4, seed=0, epoch=1)] != first


def test_an_epoch_is_repeated_bit_by_bit_and_no_other_one_is_like_it(either):
    state = torch.get_rng_state()
    once = list(either.batches(4, seed=3, epoch=5))
    assert equal(once, list(either.batches(4, seed=3, epoch=5)))
    for seed, epoch in ((3, 6), (4, 5), (5, 3)):
        assert not equal(once, list(either.batches(4, seed, epoch)))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_parts_of_ranks_are_the_whole(either):
    whole = list(either.batches(6, seed=1, epoch=2))
    parts = [list(either.batches(6, 1, 2, rank, 3)) for rank in range(3)]
    for k, (x, y) in enumerate(whole):
        assert torch.equal(torch.cat([part[k][0] for part in parts]), x)
        assert torch.equal(torch.cat([part[k][1] for part in parts]), y)
        assert len(parts[1][k][1]) == 2


def test_a_size_that_does_not_go_is_said(either):
    with pytest.raises(UserError, match="a batch of 7 images has no 2 equal parts; take another batch size"):
        next(either.batches(7, 0, 0, 0, 2))
    with pytest.raises(UserError, match=f"a batch of 12 images, and there are {len(either)} to train on; take"):
        next(either.batches(12, 0, 0))


def test_views_are_all_images_in_order_as_they_are(noisy):
    views = list(noisy.views(4))
    assert [len(y) for _, y in views] == [4, 4, 3]
    assert torch.cat([y for _, y in views]).tolist() == list(range(11))
    assert torch.equal(torch.cat([x for x, _ in views]), (noisy.images.pixels.float() - 10) / 2)


def test_batches_are_cropped_mirrored_and_cut_out(noisy):
    """Each image is a crop of its own bordered one, or of its mirror image, with a hole of zeros."""
    for x, y in noisy.batches(4, 0, 0):
        for view, number in zip(x, y, strict=True):
            whole = torch.nn.functional.pad(noisy.images.pixels[number], (2, 2, 2, 2)).float().sub(10).div(2)
            holes = (view == 0).all(0)
            assert 4 <= holes.sum() <= 16
            assert any(
                torch.equal(torch.where(holes, 0.0, side[:, i : i + 8, j : j + 8]), view)
                for side in (whole, whole.flip(2))
                for i in range(5)
                for j in range(5)
            )


def test_cutout_by_hand():
    x = torch.ones(3, 2, 4, 4)
    out = cut_out(x, torch.tensor([[0, 0], [2, 3], [1, 2]]), 2)
    assert out[0, 1].tolist() == [[0, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]
    assert out[1, 0].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
    assert out[2, 0].tolist() == [[1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1], [1, 1, 1, 1]]
    assert x.min() == 1


def test_cutout_is_that_of_devries_and_taylor():
    centres = torch.randint(32, (50, 2), generator=torch.Generator().manual_seed(0))
    out = cut_out(torch.ones(50, 1, 32, 32), centres, 16)
    for mask, (y, x) in zip(out[:, 0].numpy(), centres.tolist(), strict=True):
        expected = np.ones((32, 32))
        expected[np.clip(y - 8, 0, 32) : np.clip(y + 8, 0, 32), np.clip(x - 8, 0, 32) : np.clip(x + 8, 0, 32)] = 0
        assert np.array_equal(mask, expected)


def test_the_centre_of_cutout_is_anywhere():
    images = numbered(200, size=8, cutout=2)
    images = MemoryImages(images.images.subset(range(100, 200)), 200, cutout=2)
    covered = sum((x == 0).all(1).sum(0) for epoch in range(20) for x, _ in images.batches(100, 0, epoch))
    # 2,000 images: an inner pixel is covered by 4 of 64 centres, one of the last row and column by 1, of the first by 4
    assert covered[4, 4] == pytest.approx(125, abs=45)
    assert covered[7, 7] == pytest.approx(31, abs=25)
    assert covered[0, 0] == pytest.approx(125, abs=45)


def test_constants_are_numpys():
    pixels = torch.from_numpy(np.random.default_rng(0).integers(256, size=(5, 3, 4, 6), dtype=np.uint8))
    mean, std = constants(pixels)
    assert mean == pytest.approx(pixels.numpy().mean((0, 2, 3)), rel=1e-12)
    assert std == pytest.approx(pixels.numpy().std((0, 2, 3)), rel=1e-12)


# -------------------------------------------------------------------------------------------- CIFAR


def test_cifar10_is_all_of_the_official_images(cifar10_root):
    train, test = load("cifar10", [cifar10_root], recipe(32, cutout=16))
    assert (train.classes, train.cutout, test.cutout, train.images.augmentation) == (10, 16, 0, CropAndFlip(4))
    assert train.images.labels.bincount().tolist() == [5_000] * 10
    assert test.images.labels.bincount().tolist() == [1_000] * 10
    # the frog and the cat of every tutorial, normalised
    x, y = next(train.views(2))
    assert (y[0].item(), x[0, 0, 0, 0].item()) == (6, pytest.approx((59 - 125.3) / 63.0))
    x, y = next(test.views(2))
    assert (y[0].item(), x[0, 2, 0, 0].item()) == (3, pytest.approx((49 - 113.9) / 66.7))


@pytest.fixture
def few(monkeypatch):
    """For the official images: 20 and 10 of noise."""
    evaluation_images._in_memory.cache_clear()
    parts = []
    for count in (20, 10):
        pixels = torch.from_numpy(np.random.default_rng(count).integers(256, size=(count, 3, 32, 32), dtype=np.uint8))
        parts.append(Images(pixels, torch.arange(count) % 10, (125.0,) * 3, (60.0,) * 3, CropAndFlip(4)))
    monkeypatch.setattr(evaluation_images.images, "training_and_test_images", lambda dataset, place: tuple(parts))
    yield parts
    evaluation_images._in_memory.cache_clear()


def test_a_recipe_may_want_the_start_of_them_and_smaller_ones(few, tmp_path):
    train, test = load("cifar100", [tmp_path], recipe(32))
    assert (len(train), len(test), train.classes) == (20, 10, 100)
    train, test = load("cifar100", [tmp_path], recipe(16, images=7))
    assert checksum(train.images) == checksum(few[0].subset(range(7)).reduced())
    assert checksum(test.images) == checksum(few[1].reduced())
    assert train.images.augmentation == CropAndFlip(2)
    assert len(load("cifar100", [tmp_path], recipe(8, images=50))[0]) == 20
    with pytest.raises(UserError, match="cifar100: images of 32 pixels a side are reduced to 16, …; not to 24"):
        load("cifar100", [tmp_path], recipe(24))


@pytest.mark.parametrize("target", ["cifar10", "cifar100"])
def test_missing_batches_are_named_and_so_is_the_command(target, tmp_path):
    missing = {"cifar10": "data_batch_1, .*, test_batch", "cifar100": "train, test"}[target]
    with pytest.raises(UserError, match=f"{target}: {missing} not found in .*; `harness data fetch {target}`"):
        load(target, [tmp_path], recipe(32))
    with pytest.raises(UserError, match=f"no folder with {target} images given; use --data DIR, or harness data fetch"):
        load(target, [], recipe(32))


def test_targets_and_their_classes(tmp_path):
    assert (classes("cifar10", []), classes("cifar100", [])) == (10, 100)
    write_tiny_imagenet(tmp_path / "tiny-imagenet-200", 1, 1)
    assert classes("tiny-imagenet", [tmp_path]) == 3
    for call in (lambda: classes("imagnet", []), lambda: load("imagnet", [], recipe(32))):
        with pytest.raises(UserError, match="unknown data set 'imagnet'; did you mean 'imagenet'"):
            call()


# ------------------------------------------------------------------------------------ Tiny-ImageNet


@pytest.fixture
def tiny(tmp_path):
    evaluation_images._in_memory.cache_clear()
    write_tiny_imagenet(tmp_path)
    return tmp_path


def test_tiny_imagenet_is_decoded_as_pillow_does(tiny):
    train, test = load("tiny-imagenet", [tiny], recipe(64, cutout=8))
    files = folder_of("tiny-imagenet", [tiny])
    for part, chosen in ((train, files.train), (test, files.test)):
        expected = [np.asarray(Image.open(chosen.path(k))).transpose(2, 0, 1) for k in range(len(chosen))]
        assert np.array_equal(part.images.pixels.numpy(), np.stack(expected))
        assert part.images.labels.tolist() == chosen.labels.tolist()
    everything = train.images.pixels.numpy()
    assert train.images.mean == test.images.mean == pytest.approx(everything.mean((0, 2, 3)))
    assert train.images.std == test.images.std == pytest.approx(everything.std((0, 2, 3)))
    assert (train.classes, test.classes, train.cutout, train.notes, test.notes) == (3, 3, 8, [], [])
    assert train.images.augmentation == CropAndFlip(8)
    few, _ = load("tiny-imagenet", [tiny], recipe(32, images=4))
    assert checksum(few.images) == checksum(train.images.reduced().subset(range(4)))
    assert few.images.labels.tolist() == [0, 1, 2, 0]


def test_grey_images_are_converted_and_counted(tiny):
    grey = write_jpeg(tiny / f"train/{CLASSES[1]}/images/{CLASSES[1]}_0.JPEG", seed=5, mode="L")
    write_jpeg(tiny / "val/images/val_3.JPEG", seed=6, mode="L")
    write_jpeg(tiny / "val/images/val_4.JPEG", seed=7, mode="CMYK")
    train, test = load("tiny-imagenet", [tiny], recipe(64))
    assert np.array_equal(train.images.pixels[1].numpy(), grey.transpose(2, 0, 1))
    assert (grey[..., 0] == grey[..., 2]).all()
    assert train.notes == ["train: of 9 images 1 grey were converted to RGB"]
    assert test.notes == ["val: of 6 images 1 CMYK, 1 grey were converted to RGB"]


def truncate(path):
    path.write_bytes(path.read_bytes()[:-200])


def test_broken_training_images_are_left_out_and_named_broken_test_images_are_an_error(tiny):
    folder = tiny / f"train/{CLASSES[0]}/images"
    truncate(folder / f"{CLASSES[0]}_1.JPEG")
    (folder / f"{CLASSES[0]}_2.JPEG").write_text("no image")
    write_jpeg(tiny / f"train/{CLASSES[2]}/images/{CLASSES[2]}_0.JPEG", size=(32, 48))
    train, _ = load("tiny-imagenet", [tiny], recipe(64))
    assert (len(train), train.images.labels.tolist()) == (6, [0, 1, 1, 2, 1, 2])
    reasons = [note.split(" is broken ")[1] for note in train.notes]
    assert reasons[0] == "(it has 32×48 pixels, not 64×64) and was left out"
    assert reasons[1].startswith("(image file is truncated")
    assert reasons[2] == "(no JPEG) and was left out"
    assert train.notes[2].startswith(f"train: {folder}/{CLASSES[0]}_2.JPEG is broken")
    evaluation_images._in_memory.cache_clear()
    truncate(tiny / "val/images/val_4.JPEG")
    with pytest.raises(UserError, match=r"val_4.JPEG: a broken image \(image file is truncated.*\); unpack") as error:
        load("tiny-imagenet", [tiny], recipe(64))
    assert "\n" not in str(error.value)


def test_four_real_classes_of_tiny_imagenet(shared, tmp_path):
    archive = shared / "data/tiny-imagenet-40.tar"
    if not archive.is_file():
        pytest.skip(f"no Tiny-ImageNet at {archive}")
    with tarfile.open(archive) as tar:
        text = {name: tar.extractfile(f"tiny-imagenet-200/{name}").read().decode().splitlines()
                for name in ("wnids.txt", "val/val_annotations.txt")}  # fmt: skip
        chosen = text["wnids.txt"][3::10]
        lines = [line for line in text["val/val_annotations.txt"] if line.split("\t")[1] in chosen]
        images = {line.split("\t")[0] for line in lines}
        wanted = [m for m in tar if m.isfile() and m.name.endswith(".JPEG")
                  and (m.name.split("/")[2] in chosen or m.name.split("/")[-1] in images)]  # fmt: skip
        tar.extractall(tmp_path, wanted, filter="data")
    root = tmp_path / "tiny-imagenet-200"
    (root / "wnids.txt").write_text("\n".join(chosen))
    (root / "val/val_annotations.txt").write_text("\n".join(lines))
    train, test = load("tiny-imagenet", [tmp_path], recipe(32))
    assert train.images.pixels.shape == (1_000, 3, 32, 32)
    assert train.images.labels.bincount().tolist() == [250] * 4
    assert test.images.labels.bincount().tolist() == [50] * 4
    modes = Counter(Image.open(path).mode for path in (root / "train").rglob("*.JPEG"))
    assert train.notes == [f"train: of 1,000 images {modes['L']} grey were converted to RGB"]
    assert not list(tmp_path.rglob("*cache*"))


# ----------------------------------------------------------------------------------------- ImageNet


@pytest.fixture
def files(tmp_path):
    write_imagenet(tmp_path)
    return folder_of("imagenet", [tmp_path])


def test_imagenet_streams_views_of_the_recipe_s_size(files):
    train, test = load("imagenet", [files.root], recipe(28, images=8))
    assert (len(train), len(test), train.classes, test.classes) == (8, 6, 3, 3)
    (x, y), (x2, _) = train.batches(4, 0, 0)
    assert (x.shape, x2.shape, y.dtype) == ((4, 3, 28, 28), (4, 3, 28, 28), torch.int64)
    (x, y), (x2, y2) = test.views(4)
    assert [*y.tolist(), *y2.tolist()] == files.test.labels.tolist()
    assert x2.shape == (2, 3, 28, 28)
    image = Image.open(files.test.path(1)).resize((int(32 * 60 / 45), 32), Image.Resampling.BILINEAR)
    middle = torch.from_numpy(np.asarray(image)[2:30, 7:35].copy()).permute(2, 0, 1)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    assert torch.allclose(x[1], (middle / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1), atol=1e-5)


def test_rows_are_normalised_as_images_are():
    pixels = torch.from_numpy(np.random.default_rng(0).integers(256, size=(2, 5, 7, 3), dtype=np.uint8))
    x = evaluation_images._normalise_rows(pixels)
    expected = normalise(pixels.permute(0, 3, 1, 2), evaluation_images.MEAN, evaluation_images.STD)
    assert torch.equal(x, expected)
    assert x.is_contiguous(memory_format=torch.channels_last)


def test_the_number_of_workers_does_not_matter(files):
    streams = [FileImages(files.train, 3, 16, workers=workers) for workers in (0, 1, 2)]
    alone, *others = [[*images.batches(4, 7, 1), *images.views(5)] for images in streams]
    assert len(alone) == 2 + 2
    for stream in others:
        assert equal(stream, alone)


def test_a_broken_file_s_place_is_taken_by_the_next_and_a_test_image_must_be_whole(files):
    truncate(files.train.path(2))
    write_jpeg(files.train.path(4), (60, 45), seed=9, mode="L")
    images = FileImages(files.train, 3, 16, workers=2)
    ((_, labels),) = images.batches(9, 0, 0)
    assert labels.bincount().tolist() == [4, 3, 2]  # for number 2, of class 2, number 3, of class 0
    list(images.batches(9, 0, 1))  # what was seen before is not counted again
    assert len(images.notes) == 2
    assert images.notes[0] == "train: of 9 images 1 grey were converted to RGB"
    assert images.notes[1].startswith(f"train: {files.train.path(2)} is broken (image file is truncated")
    strict = FileImages(files.train, 3, 16, strict=True, workers=2)
    with pytest.raises(UserError, match=r"_0.JPEG: a broken image \(image file is truncated.*\); unpack") as error:
        list(strict.views(4))
    assert "\n" not in str(error.value)


def test_many_broken_files_or_one_that_cannot_be_read_are_errors(files, monkeypatch):
    monkeypatch.setattr(jpegs, "PATIENCE", 3)
    for number in (3, 4, 5):
        truncate(files.train.path(number))
    images = FileImages(files.train, 3, 16, workers=0)
    with pytest.raises(UserError, match=r"a broken image \(.*\), and 2 more near it; unpack the data set again"):
        list(images.batches(9, 0, 0))
    files.train.path(3).unlink()
    with pytest.raises(UserError, match=r"_1.JPEG: No such file or directory; check the file, or unpack"):
        list(images.batches(9, 0, 0))
