"""Imports point one way: benchmarks ← searchers ← harness; searchers know no table; --help imports no torch."""

import ast
import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from searchers.base import SEARCHERS

ROOT = Path(__file__).parents[1]
SPACES = sorted(path.parent.name for path in (ROOT / "benchmarks").glob("*/__init__.py"))
FORBIDDEN = {  # what the modules of a package may not import
    "benchmarks": ("searchers", "harness"),
    "searchers": ("harness",),
}


def imported(path):
    """What a module imports when it runs, also inside functions; not what it only names as types."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    types = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
             for inner in ast.walk(node)}  # fmt: skip
    for node in ast.walk(tree):
        if id(node) in types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_point_one_way(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert len(files) > 3
    for path in files:
        for name in imported(path):
            for wrong in FORBIDDEN[package]:
                assert not f"{name}.".startswith(f"{wrong}."), f"{path} imports {name}"


def texts(tree):
    """The strings of a module that are no docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {id(node.body[0].value) for node in ast.walk(tree)
                  if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_nobody_outside_its_folder_names_a_search_space():
    """Searchers and harness see SearchSpace, Benchmark and the registry; only the registry sees the folders."""
    assert {"nb201", "digits201"} <= set(SPACES)
    files = [
        *(ROOT / "searchers").rglob("*.py"),
        *(ROOT / "harness").rglob("*.py"),
        *(ROOT / "benchmarks").glob("*.py"),
    ]
    for path in set(files) - {ROOT / "benchmarks/registry.py"}:
        for space in SPACES:
            for name in imported(path):
                assert not f"{name}.".startswith(f"benchmarks.{space}."), f"{path} imports {name}"
            if space in SEARCHERS:  # DARTS is a searcher too, whose name is everywhere
                continue
            for text in texts(ast.parse(path.read_text(encoding="utf-8"))):
                assert space not in text, f"{path} names {space}: {text[:80]!r}"


def test_no_module_imports_one_that_imports_it():
    """Also where one of them does so inside a function."""
    files = [path for package in ("benchmarks", "searchers", "harness") for path in (ROOT / package).rglob("*.py")]
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in files}
    arrows = {name: {target for target in imported(path) if target in modules and target != name}
              for name, path in modules.items()}  # fmt: skip

    def circle(path):
        for target in sorted(arrows[path[-1]]):
            if target in path:
                return [*path[path.index(target) :], target]
            if target not in over and (ring := circle([*path, target])):
                return ring
        over.add(path[-1])
        return None

    over = set()
    for name in sorted(modules):
        assert circle([name]) is None, " → ".join(circle([name]))


def test_no_test_module_imports_another():
    """What several need is in tests/support."""
    modules = sorted((ROOT / "tests").rglob("*.py"))
    assert len(modules) > 50
    others = [
        (path.name, name) for path in modules for name in imported(path) if name.rpartition(".")[2].startswith("test_")
    ]
    assert others == []


RULES = {  # of tests that are about no single module
    "cases": "every case of the collected public reports has its test",
    "contract": "all searchers of ours keep to searchers/testing.py, and say what they do",
    "embedded": "real values come with the package: table, splits, and a campaign without any file",
    "fuzz": "mutated and hostile input, whichever reader it is for",
    "leaks": "no test column and no test image is reachable from a search",
    "memory": "searches and runs that are over leave nothing behind",
    "readme": "what the READMEs name, show and have run",
    "second_space": "nothing assumes NAS-Bench-201: a toy space from search to page",
    "shadowed": "folders of other people that are called like our packages",
    "signals": "signals stop a command, whatever it is doing",
    "structure": "which module imports which, and where tests are",
    "studies": "scripts under results/ that a figure comes from",
}


def test_tests_are_found_by_the_name_of_what_they_test():
    """test_<module>.py or test_<package>_<module>.py, test_<package>.py, or one of a few rules."""
    paths = [path for package in (*FORBIDDEN, "harness") for path in (ROOT / package).rglob("*.py")]
    names = {path.parent.name if path.stem == "__init__" else path.stem for path in paths}
    names |= {f"{path.parent.name}_{path.stem}" for path in paths}
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests").rglob("test_*.py")}
    assert sorted(tests - names) == list(RULES)
    assert not RULES.keys() & names
    listed = dict(re.findall(r"^\| `test_(\w+)` \| (.*) \|$", (ROOT / "tests/README.md").read_text(), re.MULTILINE))
    assert listed == RULES


def test_help_imports_neither_torch_nor_pandas_nor_scipy():
    code = (
        "import sys; sys.argv = ['harness', '--help']\n"
        "from harness.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'pandas', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_multi_trial_searches_import_no_torch():
    code = "import sys, searchers.random_search, searchers.evolution, harness.runner; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_installed_copy_names_its_source_and_not_the_git_around_it(tmp_path):
    """Copied into another project's repository, as a virtual environment there would hold it."""
    packages = (*FORBIDDEN, "harness")
    for package in packages:
        shutil.copytree(ROOT / package, tmp_path / "lib" / package, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    code = (
        "from harness import provenance; e = provenance.environment('cpu', False); print(repr(e['git']), e['source'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "lib", capture_output=True, text=True, check=True
    )
    text = b""
    for path in sorted(path for package in packages for path in (ROOT / package).rglob("*.py")):
        text += f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0"
    assert done.stdout.split() == ["''", hashlib.sha256(text).hexdigest()[:12]]


def test_what_messages_say_to_install_is_in_a_registry():
    """Of our own dependencies, so not this project itself, which no registry has."""
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = [*about["dependencies"], *(name for more in about["optional-dependencies"].values() for name in more)]
    known = {re.match(r"[\w-]+", name)[0] for name in known}
    advised = set()
    for path in (path for top in (*FORBIDDEN, "harness") for path in (ROOT / top).rglob("*.py")):
        advised |= set(re.findall(r"pip install ['\"]?([\w-]+)", path.read_text(encoding="utf-8")))
    assert {"ray", "submitit"} <= advised <= known


def test_the_command_begins_with_few_imports_as_until_then_ctrl_c_shows_a_traceback():
    code = "import sys, harness.__main__; print([m for m in ('typing', 'pathlib', 're', 'typer') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


def test_the_first_line_is_told_before_slow_libraries_are_loaded(tmp_path):
    code = (
        "import sys\n"
        "from harness import output, conduct\n"
        "def first(text, stream='stderr'):\n"
        "    print(text, [m for m in ('torch', 'pandas', 'matplotlib', 'sklearn') if m in sys.modules])\n"
        "    raise SystemExit\n"
        "conduct.tell = first\n"
        "sys.argv = ['harness', 'run', '--searchers', 'darts', '--seeds', '2']\n"
        "from harness.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "loading libraries, table and images []\n"
