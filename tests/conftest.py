"""Fixtures that several test files share: third-party data, found beside the project or not at all."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from support.plugin import Site

from benchmarks.nb201.table import Table
from benchmarks.nb201.table_file import load_table
from benchmarks.processes import STOPPING
from harness import cli
from searchers import plugins

for ignored in (signal.SIGINT, signal.SIGHUP):  # by nohup, or by a shell without job control: children would inherit it
    if signal.getsignal(ignored) is signal.SIG_IGN:
        signal.signal(ignored, signal.default_int_handler if ignored == signal.SIGINT else signal.SIG_DFL)
torch.set_num_threads(1)  # as runs do; several test processes share the cores


def pytest_configure(config):
    config.addinivalue_line("markers", "case(*numbers): public reports whose expected behaviour the test checks")


CIFAR10_FILES = [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch", "batches.meta"]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of third-party data: $HARNESS_SHARED, or `shared` beside the project."""
    folder = Path(os.environ.get("HARNESS_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    if not folder.is_dir():
        pytest.skip(f"no third-party data: {folder} does not exist; HARNESS_SHARED names another folder")
    return folder


@pytest.fixture(scope="session")
def cifar10_root(shared: Path) -> Path:
    """A folder with the official cifar-10-batches-py; written once and kept between test runs."""
    pytest.importorskip("PIL", reason="Pillow unpacks the CIFAR-10 images")
    tool = shared / "tools" / "cifar10_official.py"
    if not tool.is_file():
        pytest.skip(f"no CIFAR-10: {tool} does not exist")
    root = Path(tempfile.gettempdir()) / f"harness-tests-{getpass.getuser()}"
    target = root / "cifar-10-batches-py"
    if all((target / name).is_file() for name in CIFAR10_FILES):
        return root
    # written elsewhere and renamed, so that a test run beside this one never reads half a file
    root.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as fresh:
        subprocess.run([sys.executable, str(tool), fresh], check=True, capture_output=True)
        shutil.rmtree(target, ignore_errors=True)
        try:
            (Path(fresh) / target.name).rename(target)
        except OSError:  # the other run was first
            assert target.is_dir()
    return root


@pytest.fixture(scope="session")
def table(shared):
    return shared / "data/nb201/nb201.csv.gz"


@pytest.fixture(scope="session")
def published(table: Path) -> Table:
    """The CSV of published values."""
    if not table.is_file():
        pytest.skip(f"no CSV of published values at {table}")
    return load_table(table)


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a second has room for two versions of a file
    before = set(sys.modules)
    yield Site(folder)
    for name in set(sys.modules) - before:
        if str(folder) in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]
    plugins.origin.cache_clear()


@pytest.fixture
def harness(monkeypatch, capsys):
    """Run a command in this process: exit code, stdout, stderr."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["harness", *map(str, arguments)])
        code = 0
        handlers = [(number, signal.getsignal(number)) for number in STOPPING]
        try:
            cli.main()
        except SystemExit as exit_:
            code = exit_.code
        finally:
            for number, handler in handlers:  # a command leaves them as befits a process that ends
                signal.signal(number, handler)
        out = capsys.readouterr()
        return code, out.out, out.err

    return call
