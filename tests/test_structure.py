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

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "benchmarks": ("searchers", "harness"),
    "searchers": (
        "harness",
        "benchmarks.nb201.table",
        "benchmarks.nb201.table_file",
        "benchmarks.nb201.csv_table",
        "benchmarks.nb201.official",
        "benchmarks.nb201.archives",
        "benchmarks.nb201.verify",
        "benchmarks.nb201.benchmark",
        "benchmarks.nb201.plain",
        "benchmarks.nb201.digits",
        "benchmarks.nb201.digits_training",
    ),
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
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
