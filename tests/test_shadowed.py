"""A project with folders that are called like our packages, in the current folder or on PYTHONPATH."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def python(cwd, *arguments, path=()):
    env = os.environ | {"PYTHONPATH": os.pathsep.join([*map(str, path), str(ROOT)])}
    return subprocess.run([sys.executable, *arguments], cwd=cwd, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["benchmarks", "searchers"])
@pytest.mark.parametrize("code", ["import harness", "import harness; harness.load('x')", "from harness import store"])
def test_a_package_in_the_way_is_named(tmp_path, name, code):
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    done = python(tmp_path, "-c", code)
    line = f"ImportError: harness needs its own package {name!r}, but {tmp_path / name} is found before it"
    assert done.stderr.splitlines()[-1].startswith(line)
    assert "ModuleNotFoundError" not in done.stderr


def test_the_command_says_it_in_one_line(tmp_path):
    (tmp_path / "benchmarks.py").touch()  # a file is in the way as well
    script = tmp_path / "bin" / "harness"
    script.parent.mkdir()
    script.write_text("from harness.__main__ import main\nmain()\n")
    for arguments in (["-m", "harness", "list", "searchers"], [str(script), "list", "searchers"]):
        done = python(tmp_path, *arguments, path=[tmp_path])
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert line.startswith(
            f"error: harness needs its own package 'benchmarks', but {tmp_path / 'benchmarks.py'} is"
        )


def test_a_folder_without_init_is_not_in_the_way(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "base.py").touch()
    code = "import harness, benchmarks.errors as e; print(e.UserError.__name__)"
    done = python(tmp_path, "-c", code, path=[tmp_path])
    assert (done.stdout, done.stderr) == ("UserError\n", "")


def test_a_folder_without_init_where_ours_are_missing_is_named(tmp_path):
    """A half-installed copy: harness alone."""
    shutil.copytree(ROOT / "harness", tmp_path / "site/harness", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "site" / "searchers").mkdir()
    (tmp_path / "project" / "benchmarks").mkdir(parents=True)
    env = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run([sys.executable, "-S", "-c", "import harness"], cwd=tmp_path / "project", env=env,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert f"but {tmp_path / 'project/benchmarks'} is found before it" in done.stderr
