"""Which benchmark is chosen where none is named."""

import shutil
from pathlib import Path

import pytest

from benchmarks.errors import UserError
from benchmarks.nb201.benchmark import PRESETS, open_nb201
from benchmarks.registry import choose


def test_auto_takes_nb201_where_its_table_is_and_what_is_needed(harness, table, tmp_path, monkeypatch):
    """Imported cells and multi-trial searchers need no images; a supernet does."""
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    (tmp_path / "nb201.csv.gz").symlink_to(table)
    cells = tmp_path / "mine.csv"
    cells.write_text("seed,cell\n0,284\n")
    code, out, err = harness("import", "mine", cells, tmp_path / "new")
    assert code == 0
    assert err.startswith("benchmark nb201: chosen by auto: table found, and no images are needed")
    assert "cifar100 test" in out
    code, out, _ = harness("run", "--searchers", "random", "--seeds", 1, "--out", tmp_path / "out")
    assert (code, out.startswith("benchmark nb201 (chosen by auto: table found")) == (0, True)
    code, out, _ = harness(*["run", "--searchers", "random,darts", "--seeds", 1, "--preset", "smoke"],
                           *["--workers", 1, "--out", tmp_path / "third"])  # fmt: skip
    assert (code, "no cifar10 images; for nb201 give" in out) == (0, True)
    assert out.startswith("benchmark digits201")


def test_auto_looks_for_images_where_nb201_finds_them(table, tmp_path, monkeypatch):
    """Beside the table, and in the folder above it."""
    (tmp_path / "tables").mkdir()
    shutil.copy(table, tmp_path / "tables/nb201.csv.gz")
    assert choose(None, [tmp_path / "tables"], None, images=True)[0] == "digits201"
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py/data_batch_1").touch()
    assert choose(None, [tmp_path / "tables"], None, images=True)[0] == "nb201"
    monkeypatch.chdir(tmp_path / "tables")
    assert choose(None, [Path(".")], None, images=True)[0] == "nb201"
    with pytest.raises(UserError, match="data_batch_2"):  # there nb201 looks as well
        open_nb201("nb201.csv.gz", ["."]).search_data("cifar10", PRESETS["smoke"])
