"""Packages with searchers, made and installed while a test runs."""

import sys
import textwrap
from pathlib import Path

from benchmarks.digits201 import benchmark
from harness import runner, store
from harness.report import page
from searchers import plugins
from support.planned import plan_for

HEAD = """
from collections import *
import numpy as np
from searchers.base import Searcher, Settings, Step
from searchers.random_search import RandomSearch
"""


class Site:
    """A folder on the path, into which distributions are installed."""

    def __init__(self, folder):
        self.folder = folder

    def install(self, distribution, modules, points, version="1.0", record=True, group="searchers"):
        """`modules` is path -> text; `points` name -> "module:Class", of the entry-point group harness.`group`."""
        for path, text in modules.items():
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(HEAD + textwrap.dedent(text))
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        for old in self.folder.glob(f"{distribution.replace('-', '_')}-*.dist-info"):
            for file in old.iterdir():
                file.unlink()
            old.rmdir()
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        lines = "".join(f"{name} = {value}\n" for name, value in points.items())
        (info / "entry_points.txt").write_text(f"[harness.{group}]\n{lines}")
        if record:
            (info / "RECORD").write_text("".join(f"{path},,\n" for path in modules))
        self.forget(modules)

    def forget(self, modules):
        """As another process would see it."""
        plugins.origin.cache_clear()
        tops = {Path(path).parts[0].removesuffix(".py") for path in modules}
        for name in [name for name in sys.modules if name.partition(".")[0] in tops]:
            del sys.modules[name]

    def mine(self, text, name="mine", version="1.0"):
        """One searcher, class Mine of module mine_plugin."""
        self.install("mine-plugin", {"mine_plugin.py": text}, {name: "mine_plugin:Mine"}, version)


GOOD = """
class Mine(RandomSearch):
    name = "mine"
"""


def made(tmp_path, text="mine", **changes):
    """The record of a run of a plug-in, and its folder."""
    plan = plan_for(benchmark.open_digits201(), "digits201", text)._replace(**changes)
    folder = store.run_folder(tmp_path / "c", plan.label, 0)
    return runner.run(plan, folder), folder


def no_report(monkeypatch):
    """It takes longer than the runs."""
    for name in ("write_files", "show"):
        monkeypatch.setattr(page, name, lambda results, out: None)
