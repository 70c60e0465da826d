"""Search images once per machine: mapped, checked, made anew where their sources changed."""

from __future__ import annotations

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from benchmarks import node_cache
from benchmarks.images import CropAndFlip, Images


def parts(seed):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (7, 3, 4, 4), generator=generator, dtype=torch.uint8)
    images = Images(pixels, torch.arange(7), (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), CropAndFlip(2))
    return images, images.subset([3, 1])


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "batch").write_bytes(b"a")
    return tmp_path / "batch"


def same(found, expected):
    return all(
        torch.equal(a.pixels, b.pixels) and torch.equal(a.labels, b.labels) and a.mean == b.mean and a.std == b.std
        and a.augmentation == b.augmentation
        for a, b in zip(found, expected, strict=True)
    )  # fmt: skip


def test_made_once_and_the_same_for_everybody(source, tmp_path):
    made = []

    def make():
        made.append(len(made))
        return parts(len(made))

    assert same(node_cache.cached("x-4-all", [source], make), parts(1))
    assert same(node_cache.cached("x-4-all", [source], make), parts(1))
    assert made == [0]
    (file,) = (tmp_path / "tmp").glob("*/x-4-all-*.pt")
    assert file.parent.stat().st_mode & 0o077 == 0
    data = bytearray(file.read_bytes())
    place = bytes(data).index(parts(1)[0].pixels.numpy().tobytes()[:20])
    data[place] ^= 1
    file.write_bytes(data)
    assert same(node_cache.cached("x-4-all", [source], make), parts(2))  # damaged: made anew
    os.utime(source, (1, 1))
    assert same(node_cache.cached("x-4-all", [source], make), parts(3))  # the source is another file
    assert len(list((tmp_path / "tmp").glob("*/*.pt"))) == 1  # the old one does not stay
    assert made == [0, 1, 2]


def test_a_folder_that_others_can_write_to_is_not_trusted(source, tmp_path):
    folder = tmp_path / "tmp" / f"harness-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    assert same(node_cache.cached("x", [source], lambda: parts(5)), parts(5))
    assert list(folder.iterdir()) == []


def test_of_many_that_come_at_once_one_makes_it(source):
    made = []

    def make():
        made.append(1)
        time.sleep(0.2)
        return parts(1)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: node_cache.cached("x-4-all", [source], make), range(4)))
    assert made == [1]
    assert all(same(one, parts(1)) for one in found)


def test_what_is_changed_in_a_process_stays_there(source):
    first = node_cache.cached("x", [source], lambda: parts(5))
    first[0].pixels.zero_()
    assert same(node_cache.cached("x", [source], lambda: parts(6)), parts(5))


def test_no_place_for_a_cache_is_no_error(source, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")
    assert same(node_cache.cached("x", [source], lambda: parts(5)), parts(5))
