"""Searchers of other packages: a broken one costs a line, a changed one makes new runs, a mistake is named."""

import multiprocessing
import os
import re
import subprocess
import sys
import textwrap
from collections import OrderedDict, deque
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.planned import plan_for, plans_for

from benchmarks.base import NetworkSize
from benchmarks.digits201 import benchmark
from benchmarks.errors import UserError
from benchmarks.nb201 import space
from harness import campaign, options, runner, show, state, steps, store
from harness.executors import local
from harness.executors.base import ignore
from harness.report import notes, page
from harness.specs import parse_specs
from searchers import base, catalogue, plugins
from searchers.base import Budget, SearchTask, Step

ROOT = Path(__file__).parents[1]
SMOKE = ("--benchmark", "digits201", "--preset", "smoke", "--workers", 1)
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

    def install(self, distribution, modules, points, version="1.0", record=True):
        """`modules` is path -> text; `points` name -> "module:Class"."""
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
        (info / "entry_points.txt").write_text(f"[harness.searchers]\n{lines}")
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
        monkeypatch.setattr(page, name, lambda records, campaign, out: None)


# ------------------------------------------------------------------------------------------------- the README


def test_the_readme_s_searchers_run_to_the_end_through_the_registry(harness, site, tmp_path):
    text = (ROOT / "searchers" / "README.md").read_text(encoding="utf-8").partition("## A searcher of your own")[2]
    one_shot, multi_trial, test = re.findall("```python\n(.*?)```", text, re.DOTALL)
    points = dict(line.split(" = ") for line in re.search("```toml\n.*?\n(.*?)```", text, re.DOTALL)[1].splitlines())
    points = {name: value.strip('"') for name, value in points.items()}
    assert max(sum(bool(line.strip()) for line in code.splitlines()) for code in (one_shot, multi_trial)) <= 25
    files = {"my_package/late.py": one_shot, "my_package/walk.py": multi_trial, "my_package/__init__.py": ""}
    site.install("my-package", files, points)
    for path, code in files.items():  # as it stands there, without this file's imports
        (site.folder / path).write_text(code)
    listed = harness("list", "searchers")[1]
    assert "late-darts  (one-shot)" in listed
    assert "    ablation: no warm-up [warm_up=0.0]\n" in listed
    assert "walk  (multi-trial)" in listed
    records = {spec: made(tmp_path, spec)[0] for spec in ("late-darts", "walk")}
    assert [record["error"] for record in records.values()] == [None, None]
    assert records["late-darts"]["steps"] == 2
    assert records["late-darts"]["train_images"] > records["late-darts"]["steps"] * 320  # w's, and α's of one epoch
    assert records["walk"]["evaluations"] == records["walk"]["steps"] > 3
    assert {record["environment"]["plugin"] for record in records.values()} == {"my-package 1.0"}
    (site.folder / "test_walk.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_walk.py"]
    searched = os.pathsep.join([str(site.folder), *sys.path])
    asked = subprocess.run(
        command, cwd=site.folder, env=os.environ | {"PYTHONPATH": searched}, capture_output=True, text=True
    )
    assert asked.returncode == 0, asked.stdout
    assert re.search(r"\b[5-9] passed", asked.stdout), asked.stdout


# --------------------------------------------------------------------------------------------- broken packages

BROKEN = {
    "no module": ("nowhere:Mine", GOOD, "nowhere:Mine cannot be used: ModuleNotFoundError: No module named 'nowhere'"),
    "no class": ("mine_plugin:Nine", GOOD, "AttributeError: module 'mine_plugin' has no attribute 'Nine'"),
    "no class named": ("mine_plugin", GOOD, "no subclass of searchers.base.Searcher"),
    "not a searcher": ("mine_plugin:Mine", "class Mine: pass", "no subclass of searchers.base.Searcher"),
    "an error": ("mine_plugin:Mine", "1 / 0", "ZeroDivisionError: division by zero"),
    "an exit": ("mine_plugin:Mine", "raise SystemExit('bye')", "SystemExit: bye"),
    "no syntax": ("mine_plugin:Mine", "class", "SyntaxError"),
    "no methods": (
        "mine_plugin:Mine",
        "class Mine(Searcher):\n    name, kind = 'mine', 'multi-trial'\n    def step(self): return None",
        "class Mine lacks load_state_dict, state_dict",
    ),
    "no name": ("mine_plugin:Mine", "class Mine(RandomSearch): pass", "must have name = 'mine', as its entry point"),
    "no kind": (
        "mine_plugin:Mine",
        "class Mine(RandomSearch):\n    name, kind = 'mine', 'oneshot'",
        "class Mine must have kind = 'one-shot' or 'multi-trial'",
    ),
    "a required setting": (
        "mine_plugin:Mine",
        "class S(Settings):\n    x: int\nclass Mine(RandomSearch):\n    name, Config = 'mine', S",
        "its setting 'x' has no default",
    ),
    "no settings": (
        "mine_plugin:Mine",
        "class Mine(RandomSearch):\n    name, Config = 'mine', dict",
        "its Config must be a subclass of searchers.base.Settings",
    ),
    "an ablation of nothing": (
        "mine_plugin:Mine",
        "class Mine(RandomSearch):\n    name, ablations = 'mine', {'no x': {'x': 0}}",
        "its ablation 'no x' is no valid setting: searcher 'mine' has no setting 'x'",
    ),
}


@pytest.mark.parametrize(("name", "good"), [("a" * 55, True), ("a" * 56, False), ("-a", False), ("a b", False)])
def test_a_name_leaves_room_for_settings_in_a_folder_s(site, name, good):
    site.mine(f"class S(Settings):\n    x: int = 0\nclass Mine(RandomSearch):\n    name, Config = {name!r}, S", name)
    if good:
        (spec,) = parse_specs(f"{name}[x=1]")
        assert len(spec.label) == 64
    else:
        said = f"its name '{name}': as it names a folder, it has at most 55 letters, .* with room for 9 more"
        with pytest.raises(UserError, match=f"mine-plugin 1.0: {said}"):
            catalogue.find(name)


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_package_costs_one_line(harness, site, what):
    target, text, said = BROKEN[what]
    site.install("mine-plugin", {"mine_plugin.py": text}, {"mine": target})
    code, _, err = harness("run", "--searchers", "random,mine", "--seeds", 1)
    assert code == 2
    _, line = err.splitlines()  # the first says that the program is loading
    assert line.startswith("error: searcher 'mine' of mine-plugin 1.0: ")
    assert said in line
    found, wrong = catalogue.load_all()
    assert list(found) == list(base.SEARCHERS)
    assert wrong == [line.removeprefix("error: ")]


def test_the_lists_name_what_is_broken_and_keep_the_others(harness, site):
    site.install("mine-plugin", {"mine_plugin.py": "import nowhere"}, {"mine": "mine_plugin:Mine"})
    site.install("good-plugin", {"good_plugin.py": GOOD.replace('"mine"', '"good"')}, {"good": "good_plugin:Mine"})
    code, out, _ = harness("list", "searchers")
    assert code == 0
    assert "good  (multi-trial)" in out
    assert "gicso  (one-shot)" in out
    assert out.splitlines()[-1].startswith("not usable: searcher 'mine' of mine-plugin 1.0: ")
    code, _, err = harness("ablate", "random", "--seeds", 1)
    assert code == 2
    assert "declares no ablations (those that do: evolution," in err


def test_a_name_that_is_taken_is_said(harness, site, tmp_path, monkeypatch):
    no_report(monkeypatch)
    twice = {"a": "taken_plugin:Mine"}
    site.install("first", {"taken_plugin.py": GOOD.replace('"mine"', '"a"')}, twice | {"random": "taken_plugin:Mine"})
    site.install("second", {}, twice)
    with pytest.raises(UserError, match=r"^searcher 'a' is registered by first 1.0 and second 1.0: uninstall one"):
        catalogue.find("a")
    said = "searcher 'random': this program's own is used; first 1.0 registers that name too"
    assert said in show.searchers()
    arguments = ("run", *SMOKE, "--seeds", 1, "--out", tmp_path / "c", "--searchers")
    assert said in harness(*arguments, "random")[2]
    assert said not in harness(*arguments, "evolution")[2]


def test_settings_of_any_type_are_listed(site):
    site.mine("""
        from pydantic import Field
        class S(Settings):
            sizes: list[int] = Field(default_factory=lambda: [1, 2])
            rate: float | None = None
        class Mine(RandomSearch):
            name, Config = "mine", S
    """)
    assert "    sizes=[1, 2]\n    rate=null" in show.searchers()


# --------------------------------------------------------------------------------------------------- its code


def test_the_digest_is_of_all_modules_and_the_same_in_an_editable_installation(site, tmp_path, monkeypatch):
    files = {"pack/__init__.py": "", "pack/mine.py": GOOD, "pack_core.py": "RATE = 1", "pack/data.txt": "x"}
    site.install("pack-plugin", files, {"mine": "pack.mine:Mine"})
    whole = plugins.origin("mine")
    modules = {path: site.folder / path for path in files if path.endswith(".py")}
    assert whole == ("pack-plugin 1.0", plugins.digest(modules))
    (site.folder / "pack-plugin-1.0.dist-info").exists()
    source = tmp_path / "source"
    source.mkdir()
    for path in ("pack", "pack_core.py"):
        (site.folder / path).rename(source / path)
    info = next(site.folder.glob("*.dist-info"))
    (info / "RECORD").write_text("__editable__.pack.pth,,\n__editable___pack_finder.py,,\n")
    (site.folder / "__editable___pack_finder.py").write_text("MAPPING = {}")
    (info / "top_level.txt").write_text("pack\npack_core\n")
    monkeypatch.syspath_prepend(str(source))
    site.forget(files)
    assert plugins.origin("mine") == whole
    (source / "pack_core.py").write_text("RATE = 2")
    site.forget(files)
    assert plugins.origin("mine").source != whole.source


def test_the_code_of_a_single_module_and_below_a_namespace_is_found(site):
    site.mine(GOOD)
    assert plugins.origin("mine").source == plugins.digest({"mine_plugin.py": site.folder / "mine_plugin.py"})
    files = {"company/search/mine.py": GOOD.replace('"mine"', '"theirs"'), "company/search/__init__.py": ""}
    site.install("company-search", files, {"theirs": "company.search.mine:Mine"}, record=False)
    (site.folder / "company/other.py").write_text("of another distribution")
    assert plugins.origin("theirs").source == plugins.digest({path: site.folder / path for path in files})
    assert plugins.origin("random") == ("", "")


def test_a_changed_package_makes_its_runs_new_ones(harness, site, tmp_path, monkeypatch):
    no_report(monkeypatch)
    out = tmp_path / "c"
    command = ("run", *SMOKE, "--searchers", "random,mine", "--out", out, "--seeds")
    site.mine(GOOD)
    assert harness(*command, 3)[0] == 0
    first = {(r["searcher"], r["seed"]): r for r in store.load_records(out)[0]}
    assert "6 runs, 6 done, 0 to do" in harness(*command, 3)[2]
    site.mine(GOOD + "    def step(self):\n        return super().step() and None\n", version="1.1")
    old, new = first["mine", 0]["environment"]["plugin_source"], plugins.origin("mine").source
    code, _, err = harness(*command, 2)
    line = f"made with other code of mine: mine-plugin 1.0 (source {old}), now mine-plugin 1.1 (source {new})"
    assert f"{out / 'runs/mine/seed-0'}: {line}; set aside, the run is made anew" in err
    assert code == 1  # the new one ends at once
    records, wrong = store.load_records(out)
    assert [(r["searcher"], r["seed"], r["status"]) for r in records] == [
        *(("random", seed, "done") for seed in range(3)),
        *(("mine", seed, "failed") for seed in range(2)),
    ]
    assert list(wrong.values()) == [
        f"{out / 'runs/mine/seed-2'}: made with other code than today's mine-plugin 1.1; left out"
    ]
    assert {r["key"] for r in records if r["searcher"] == "random"} == {first["random", s]["key"] for s in range(3)}
    assert len(list((out / "aside").iterdir())) == 2


def test_a_version_alone_makes_no_new_runs(site):
    site.mine(GOOD)
    bench = benchmark.open_digits201()
    key = plan_for(bench, "digits201", "mine").key
    site.mine(GOOD, version="2.0")
    assert plan_for(bench, "digits201", "mine").key == key


def test_keys_of_our_own_searchers_are_those_of_old(site):
    """As the committed campaign of digits201 has them, made before packages had a part in keys."""
    folder = ROOT / "results/reference/digits201-small"
    planned = plans_for(benchmark.open_digits201(), "digits201", "darts,random", [0, 1], "small")
    assert [store.load_record(store.run_folder(folder, p.label, p.seed))["key"] for p in planned] == [
        plan.key for plan in planned
    ]


def test_code_that_differs_from_the_plan_s_fails_the_run(site, tmp_path):
    site.mine(GOOD)
    record, _ = made(tmp_path, plugin_source="0" * 12)
    assert record["error"] == (
        "mine-plugin 1.0: other code here than where the run was planned; give the same command again"
    )


def test_comparisons_name_the_packages(site, harness, tmp_path, monkeypatch):
    """Where the code of a package alone differs."""
    no_report(monkeypatch)
    for name, version in (("a", "1.0"), ("b", "1.1")):
        site.mine(GOOD + f"    version = {version!r}\n", version=version)
        assert harness("run", *SMOKE, "--searchers", "mine", "--seeds", 1, "--out", tmp_path / name)[0] == 0
    code, out, _ = harness("compare", tmp_path / "a", tmp_path / "b")
    assert code == 0
    line = next(line for line in out.splitlines() if line.startswith("  revisions of what made the runs: "))
    assert re.search(r"mine-plugin 1\.0 \(source \w{12}\) \| .*mine-plugin 1\.1 \(source \w{12}\)$", line)
    assert "hardware" not in out


def test_reports_name_the_packages_and_warn_of_several_versions():
    def record(source, version="1.0"):
        environment = {"harness": "0.1.0", "git": "abc", "plugin": f"my-package {version}", "plugin_source": source}
        return {"status": "done", "environment": environment}

    assert notes.revisions([record("aaa")]) == ["abc", "my-package 1.0 (source aaa)"]
    assert notes._revisions([record("aaa"), record("bbb", "1.1")]) == {
        "the program": ["abc"],
        "my-package": ["my-package 1.0 (source aaa)", "my-package 1.1 (source bbb)"],
    }


# ---------------------------------------------------------------------------------------------------- mistakes

STEPS = {
    "(1, 2)": "step() gave (1, 2); it gives a searchers.base.Step, or None when finished",
    "Step((1, 2, 3))": "Step.cell is (1, 2, 3); it must be a tuple of 6 whole numbers from 0 to 4",
    "Step((0, 1, 2, 3, 4, 5))": "Step.cell is (0, 1, 2, 3, 4, 5); it must be a tuple",
    "Step((0.0,) * 6)": "Step.cell is (0.0, 0.0, 0.0, 0.0, 0.0, 0.0); it must be a tuple",
    "Step('421211')": "Step.cell is '421211'; it must be a tuple",
    "Step(7)": "Step.cell is 7; it must be a tuple",
    "Step((0,) * 6, np.zeros((5, 6)))": "Step.alphas is a ndarray of shape (5, 6); it must be None or an array of 6",
    "Step((0,) * 6, 'x')": "Step.alphas is 'x'; it must be None or an array of 6 edges × 5 operations",
    "Step((0,) * 6, None, 3)": "Step.metrics is 3; it must be a dict",
    "Step((0,) * 6, None, {'loss': None})": "Step.metrics['loss'] is None; it must be a number, a string or a list",
    "Step((0,) * 6, None, {'loss': {}})": "Step.metrics['loss'] is <dict>; it must be a number, a string or a list",
    "Step((0,) * 6, None, {'loss': 1j})": "Step.metrics['loss'] is <complex>; it must be a number",
    "Step((0,) * 6, None, {'losses': np.zeros((2, 2))})": "Step.metrics['losses'] is [[0.0, 0.0], [0.0, 0.0]]; it must",
    "Step((0,) * 6, None, {1: 2})": "Step.metrics[1]: the name of a metric must be a string",
    "Step((0,) * 6, None, {'step': 2})": "Step.metrics['step']: each line of the trace has a 'step' of its own",
    "Step((0,) * 6, None, {'phase': 2})": "Step.metrics['phase'] is 2; it must be a string",
    "Step((0,) * 6, None, {'queried': 15625})": "Step.metrics['queried'] is 15625; it must be the index or string",
    "Step((0,) * 6, None, {'train_loss': 'x'})": "Step.metrics['train_loss'] is 'x'; it must be a number",
}


@pytest.mark.parametrize("code", STEPS)
def test_what_a_step_must_be_is_said(code):
    with pytest.raises(UserError) as error:
        steps.checked(eval(code, {"Step": Step, "np": np}), space)
    assert str(error.value).startswith(STEPS[code])


def test_numbers_of_numpy_are_taken_in_a_step():
    metrics = {
        "a": np.float32(0.5),
        "b": np.arange(2),
        "c": (1, np.float16(2.5)),
        "d": "x",
        "e": float("nan"),
        "f": np.bool_(True),
    }
    step = steps.checked(Step(np.array([4, 2, 1, 2, 1, 1]), np.zeros((6, 5), np.float32).tolist(), metrics), space)
    assert step.cell == (4, 2, 1, 2, 1, 1)
    assert {type(op) for op in step.cell} == {int}
    assert step.alphas.shape == (6, 5)
    assert str(step.metrics) == "{'a': 0.5, 'b': [0, 1], 'c': [1, 2.5], 'd': 'x', 'e': nan, 'f': True}"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return Step([5] * 6)", "Step.cell is [5, 5, 5, 5, 5, 5]; it must be a tuple of 6 whole numbers"),
        ("return None", "mine ended without an answer: its first step() gave None"),
        ("return Step((0,) * 6)", "step() must give None when the search is over: 1,000 steps in a row have queried"),
        ("raise SystemExit('enough')", "step() raised SystemExit('enough'): a searcher must not end the process"),
        ("raise SystemExit(3)", "step() raised SystemExit(3): a searcher must not end the process"),
        ("raise GeneratorExit", "step() raised GeneratorExit(): a searcher must not end the process"),
        ("assert not self.task", "AssertionError without a message"),
    ],
)
def test_a_mistake_fails_its_run_in_one_line(site, tmp_path, body, said):
    site.mine(f"class Mine(RandomSearch):\n    name = 'mine'\n    def step(self):\n        {body}\n")
    record, folder = made(tmp_path)
    assert record["status"] == "failed"
    assert record["error"].startswith(said)
    assert (folder / "error.txt").is_file()
    assert record["environment"]["plugin"] == "mine-plugin 1.0"


def test_a_step_that_asks_the_proxy_for_ever_is_ended(monkeypatch):
    monkeypatch.setattr(base, "REFUSALS", 50)
    task = SearchTask(0, "d", space, NetworkSize(2, 1, 1, 10), Budget(0, 10.0))
    task.low_fidelity = lambda cell: (50.0, 4.0)
    assert [task.proxy((0,) * 6) for _ in range(51)] == [(50.0, 4.0), (50.0, 4.0), *[None] * 49]
    with pytest.raises(UserError, match="step.. must give None when the budget, 10 simulated seconds, is spent"):
        task.proxy((0,) * 6)


def test_a_one_shot_search_makes_a_step_an_epoch():
    limit = steps.Limit("one-shot", SearchTask(0, "d", space, NetworkSize(2, 1, 1, 10), Budget(3)))
    for number in (1, 2, 3):
        limit.check(number)
    with pytest.raises(UserError, match="must give None after 3 steps: a step is an epoch"):
        limit.check(4)


def test_a_query_now_and_then_is_enough():
    task = SearchTask(0, "d", space, NetworkSize(2, 1, 1, 10), Budget(0, 1e9))
    limit = steps.Limit("multi-trial", task)
    for number in range(1, 4 * steps.IDLE):
        task.simulated_seconds += number % (steps.IDLE - 1) == 0
        limit.check(number)


def test_a_one_shot_searcher_without_reference_epochs_cannot_have_the_preset_paper(site):
    site.mine("from searchers.darts import DARTS\nclass Mine(DARTS):\n    name, reference_epochs = 'mine', 0\n")
    bench = benchmark.open_digits201()
    preset = options.resolve_preset(bench, "smoke") | {"name": "paper", "epochs": 0}
    setting = options.Setting(bench, None, (), "digits201", preset, "fp32", "cpu", 1)
    with pytest.raises(UserError, match="'mine' has no reference_epochs, which --preset paper"):
        campaign.plans(setting, parse_specs("mine"), [0])


def test_an_exit_of_slurm_s_or_ray_s_is_no_failure():
    handler = {"__name__": "submitit.core.job_environment"}
    exec("def leave():\n    raise SystemExit(-1)", handler)
    with pytest.raises(SystemExit) as error:
        handler["leave"]()
    assert runner._told_to_leave(error.value)
    with pytest.raises(SystemExit) as error:
        raise SystemExit
    assert not runner._told_to_leave(error.value)


# ------------------------------------------------------------------------------------------------------- state

NUMBERS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.integers(0, 4).map(np.int8),
    st.floats(width=32, allow_nan=False).map(np.float32),
    st.booleans().map(np.bool_),
    st.lists(st.floats(allow_nan=False), max_size=4).map(np.array),
    st.just(np.zeros((0, 3), np.int64)),
    st.just(np.array(["ab", "c"])),
    st.just(np.array(2.5)),
)
KEYS = st.one_of(st.text(max_size=3), st.integers(), st.tuples(st.integers(0, 4), st.integers(0, 4)))
VALUES = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.lists(inner, max_size=3).map(lambda items: deque(items, 5)),
        st.frozensets(KEYS, max_size=3),
        st.sets(KEYS, max_size=3),
        st.dictionaries(KEYS, inner, max_size=3),
        st.dictionaries(KEYS, inner, max_size=3).map(OrderedDict),
    ),
    max_leaves=12,
)


def same(a, b):
    """Equal in type and value, all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple, deque)):
        return len(a) == len(b) and all(map(same, a, b)) and getattr(a, "maxlen", 0) == getattr(b, "maxlen", 0)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b) and b.flags.writeable
    return a == b


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_a_state_comes_back_from_a_checkpoint_as_it_was(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "state.pt"
    kept, types = state.plain(value)
    path.write_bytes(store.checkpoint_bytes({"searcher": kept, "types": types}))
    read = store.read_checkpoint(path)
    assert same(value, state.restored(read["searcher"], read["types"]))


def test_a_state_of_tensors_and_plain_values_is_kept_itself():
    net = torch.nn.BatchNorm2d(2).state_dict()
    value = {"net": net, "epoch": 3, "population": [(0.5, [1, 2])]}
    kept, types = state.plain(value)
    assert kept is value
    assert types == {}
    value["rate"] = np.float32(0.1)
    kept, types = state.plain(value)
    assert kept["net"] is net  # with its _metadata
    assert types == {("rate",): ("number", "<f4")}


def test_members_and_keys_of_numpy_are_found_again():
    cell = tuple(np.arange(3))
    kept, types = state.plain({"seen": {cell}, "known": {cell: np.float64(1.5), np.int64(7): 2}})
    value = state.restored(kept, types)
    assert value["known"][cell] == value["known"][0, 1, 2] == 1.5
    assert value["known"][7] == 2
    assert cell in value["seen"]


CYCLE: list = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"rng": np.random.default_rng(0)}, "state_dict()['rng'] is a numpy.random._generator.Generator, which a"),
        ({"a": [1, {"b": object()}]}, "state_dict()['a'][1]['b'] is a object, which a checkpoint cannot hold"),
        ({"f": len}, "state_dict()['f'] is a builtin_function_or_method"),
        ({"o": np.array([{}])}, "state_dict()['o'] is an array of object"),
        ({"k": {frozenset(): 1}}, "state_dict()['k'] has a key or member that is a frozenset"),
        ({"c": CYCLE}, "state_dict() is nested too deep for a checkpoint, or holds itself"),
        (None, "state_dict() gave a NoneType; a checkpoint needs a dict"),
    ],
)
def test_a_state_that_cannot_be_kept_is_refused_by_its_key(value, said):
    with pytest.raises(UserError) as error:
        state.plain(value)
    assert str(error.value).startswith(said)


def test_a_state_that_cannot_be_kept_fails_the_first_step(site, tmp_path):
    site.mine(GOOD + "    def state_dict(self):\n        return {'counts': defaultdict(int)}\n")
    record, folder = made(tmp_path)
    assert record["error"].startswith("state_dict()['counts'] is a collections.defaultdict, which a checkpoint cannot")
    assert (folder / "trace.jsonl").read_text() == ""  # nothing was searched in vain


COUNTING = """
class Mine(RandomSearch):
    name = "mine"
    def __init__(self, task, config):
        super().__init__(task, config)
        self.last, self.total, self.seen = deque(maxlen=3), np.float32(0), set()
    def step(self):
        step = super().step()
        if step is not None:
            self.last.append(np.float32(step.metrics["accuracy"]))
            self.total += self.last[-1] / np.float32(3)
            self.seen.add(step.cell)
            return Step(step.cell, None, {"total": self.total, "last": list(self.last), "seen": len(self.seen)})
    def state_dict(self):
        return {"super": super().state_dict(), "last": self.last, "total": self.total, "seen": self.seen}
    def load_state_dict(self, state):
        super().load_state_dict(state["super"])
        self.last, self.total, self.seen = state["last"], state["total"], state["seen"]
"""


def test_a_search_with_numpy_s_numbers_and_deques_goes_on_where_it_was(site, tmp_path, monkeypatch):
    site.mine(COUNTING)
    plan = plan_for(benchmark.open_digits201(), "digits201", "mine")
    monkeypatch.setattr(runner, "SNAPSHOT_SECONDS", 0)
    whole, stopped = (store.run_folder(tmp_path / name, "mine", 0) for name in ("whole", "stopped"))
    assert runner.run(plan, whole)["error"] is None

    def stop(state, step, task, ours=runner.trace_line):
        if state.steps == 3:
            raise KeyboardInterrupt
        return ours(state, step, task)

    with monkeypatch.context() as patch:
        patch.setattr(runner, "trace_line", stop)
        with pytest.raises(KeyboardInterrupt):
            runner.run(plan, stopped)
    assert (stopped / "checkpoint.pt").exists()
    heard = []
    record = runner.run(plan, stopped, heard.append)
    assert not any("note" in event for event in heard)
    assert "notes" not in record

    def lines(folder):
        return [{k: v for k, v in line.items() if k != "search_seconds"} for line in store.read_trace(folder)]

    assert lines(whole / "trace.jsonl") == lines(stopped / "trace.jsonl")


def test_a_run_that_begins_anew_says_so_also_in_its_record(site, tmp_path):
    """Where progress does not reach: on Ray and Slurm."""
    site.mine(GOOD)
    plan = plan_for(benchmark.open_digits201(), "digits201", "mine")
    folder = store.run_folder(tmp_path / "c", "mine", 0)
    folder.mkdir(parents=True)
    older = {"plugin": "mine-plugin 0.9", "plugin_source": "0" * 12}
    (folder / "checkpoint.pt").write_bytes(store.checkpoint_bytes({"key": "older", "environment": older}))
    record = runner.run(plan, folder, ignore)
    (note,) = record["notes"]
    assert "checkpoint.pt: made with other code of mine: mine-plugin 0.9 (source 000000000000), now mine-plug" in note
    assert note.endswith("; set aside, the run begins anew")
    assert store.load_record(folder)["notes"] == [note]


def test_an_exit_costs_its_run_and_not_the_worker(site, tmp_path, monkeypatch):
    """The other seeds are made by the same two processes."""
    site.mine("""
        class Mine(RandomSearch):
            name = "mine"
            def step(self):
                if self.task.seed == 1:
                    raise SystemExit(3)
                return super().step()
    """)
    planned = plans_for(benchmark.open_digits201(), "digits201", "mine", [1, 0, 2])
    jobs = [(plan, store.run_folder(tmp_path / "c", "mine", plan.seed)) for plan in planned]
    ended, started = {}, []

    def report(number, event):
        if "record" in event:
            ended[planned[number].seed] = event["record"]["error"]

    context = multiprocessing.get_context("spawn")
    monkeypatch.setattr(context, "Process", lambda **how: started.append(1) or type(context).Process(**how))
    local.processes(jobs, 2, report)
    assert ended == {0: None, 1: "step() raised SystemExit(3): a searcher must not end the process", 2: None}
    assert len(started) == 2
