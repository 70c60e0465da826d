"""Searchers of other packages: a broken one costs a line, a changed one makes new runs, a mistake is named."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.planned import plan_for, plans_for
from support.plugin import GOOD, made, no_report

from benchmarks.digits201 import benchmark
from benchmarks.errors import UserError
from harness import campaign, options, runner, show, store
from harness.executors.base import ignore
from harness.specs import parse_specs
from searchers import base, catalogue, plugins

ROOT = Path(__file__).parents[1]
SMOKE = ("--benchmark", "digits201", "--preset", "smoke", "--workers", 1)


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
    assert [record.error for record in records.values()] == [None, None]
    assert records["late-darts"].steps == 2
    assert records["late-darts"].train_images > records["late-darts"].steps * 320  # w's, and α's of one epoch
    assert records["walk"].evaluations == records["walk"].steps > 3
    assert {record.environment["plugin"] for record in records.values()} == {"my-package 1.0"}
    (site.folder / "test_walk.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_walk.py"]
    searched = os.pathsep.join([str(site.folder), *sys.path])
    asked = subprocess.run(
        command, cwd=site.folder, env=os.environ | {"PYTHONPATH": searched}, capture_output=True, text=True
    )
    assert asked.returncode == 0, asked.stdout
    assert re.search(r"\b[5-9] passed", asked.stdout), asked.stdout


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
    first = {(r.searcher, r.seed): r for r in store.load_records(out)[0]}
    assert "6 runs, 6 done, 0 to do" in harness(*command, 3)[2]
    site.mine(GOOD + "    def step(self):\n        return super().step() and None\n", version="1.1")
    old, new = first["mine", 0].environment["plugin_source"], plugins.origin("mine").source
    code, _, err = harness(*command, 2)
    line = f"made with other code of mine: mine-plugin 1.0 (source {old}), now mine-plugin 1.1 (source {new})"
    assert f"{out / 'runs/mine/seed-0'}: {line}; set aside, the run is made anew" in err
    assert code == 1  # the new one ends at once
    records, wrong = store.load_records(out)
    assert [(r.searcher, r.seed, r.status) for r in records] == [
        *(("random", seed, "done") for seed in range(3)),
        *(("mine", seed, "failed") for seed in range(2)),
    ]
    assert list(wrong.values()) == [
        f"{out / 'runs/mine/seed-2'}: made with other code than today's mine-plugin 1.1; left out"
    ]
    assert {r.key for r in records if r.searcher == "random"} == {first["random", s].key for s in range(3)}
    assert len(list((out / "aside").iterdir())) == 2


def test_a_version_alone_makes_no_new_runs(site):
    site.mine(GOOD)
    bench = benchmark.open_digits201()
    key = plan_for(bench, "digits201", "mine").key
    site.mine(GOOD, version="2.0")
    assert plan_for(bench, "digits201", "mine").key == key


def test_keys_of_our_own_searchers_are_those_of_old(site, monkeypatch):
    """Those of darts and random, seeds 0 and 1, of 4e3e253, before packages and supernets' versions were in keys."""
    bench = benchmark.open_digits201()
    monkeypatch.setattr(bench.space, "supernet_version", 1)
    planned = plans_for(bench, "digits201", "darts,random", [0, 1], "small")
    assert {(plan.label, plan.seed): plan.key for plan in planned} == {
        ("darts", 0): "e52832e1d8f2df984ea7f1e16f069ed398bd202f5a498f4a82625bc57fbf7457",
        ("darts", 1): "7095a29e2b620dcaba3fd18b8af80f82ce0d9d247f750c4cab6c4045feba5921",
        ("random", 0): "52dea431e5176d49f208cbd685181a8b285695ccb861d96d053683249265c217",
        ("random", 1): "1ee36497ed340b87d8745c79df188c4a533b01c9a68316c88fe5d4153fb5f164",
    }


def test_code_that_differs_from_the_plan_s_fails_the_run(site, tmp_path):
    site.mine(GOOD)
    record, _ = made(tmp_path, plugin_source="0" * 12)
    assert record.error == (
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


def test_a_one_shot_searcher_without_reference_epochs_cannot_have_the_preset_paper(site):
    site.mine("from searchers.darts import DARTS\nclass Mine(DARTS):\n    name, reference_epochs = 'mine', 0\n")
    bench = benchmark.open_digits201()
    preset = options.resolve_preset(bench, "smoke").model_copy(update={"name": "paper", "epochs": 0})
    setting = options.Setting(bench, None, (), "digits201", preset, "fp32", "cpu", 1)
    with pytest.raises(UserError, match="'mine' has no reference_epochs, which --preset paper"):
        campaign.plans(setting, parse_specs("mine"), [0])


def test_a_run_that_begins_anew_says_so_also_in_its_record(site, tmp_path):
    """Where progress does not reach: on Ray and Slurm."""
    site.mine(GOOD)
    plan = plan_for(benchmark.open_digits201(), "digits201", "mine")
    folder = store.run_folder(tmp_path / "c", "mine", 0)
    folder.mkdir(parents=True)
    older = {"plugin": "mine-plugin 0.9", "plugin_source": "0" * 12}
    (folder / "checkpoint.pt").write_bytes(store.checkpoint_bytes({"key": "older", "environment": older}))
    record = runner.run(plan, folder, ignore)
    (note,) = record.notes
    assert "checkpoint.pt: made with other code of mine: mine-plugin 0.9 (source 000000000000), now mine-plug" in note
    assert note.endswith("; set aside, the run begins anew")
    assert store.load_record(folder).notes == [note]
