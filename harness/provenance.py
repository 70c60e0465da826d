"""Where and with what a run was made: machine, versions, revision of the program."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks import processor
from searchers import plugins

PACKAGES = ("benchmarks", "harness", "searchers")


def environment(device: str, uses_torch: bool) -> dict[str, Any]:
    """Where and with what a run was made."""
    about = _environment() | {"device": device if uses_torch else "cpu"}
    if uses_torch:
        about |= processor.kernels()
    if uses_torch and device.startswith("cuda"):
        import torch

        about["device"] = f"{device} ({torch.cuda.get_device_name(device)})"
    return about


@lru_cache(maxsize=1)
def _environment() -> dict[str, Any]:
    def package_version(name: str) -> str:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return "not installed"

    return {
        "host": platform.node(),
        "cpu": processor.cpu_name(),
        **processor.family_and_model(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": package_version("torch"),
        "numpy": package_version("numpy"),
        "harness": package_version("gicso-nas-harness"),
        "git": _revision(),
        "source": source_digest(),
        "platform": sys.platform,
    }


def _revision() -> str:
    """Git revision of the checkout that this code is in, `-dirty` with changes; empty for an installed copy.

    An installed copy may lie in another project's checkout (site-packages of a virtual environment there), whose
    revision is not this program's.
    """
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return ""
    try:
        result = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip()


def source_digest() -> str:
    """12 hex digits of the SHA-256 of the program's text: what a record can name where there is no git.

    `plugins.digest` of each .py file of harness, searchers and benchmarks under its path (with /). `harness doctor`
    prints it for what is installed.
    """
    root = Path(__file__).parents[1]
    files = [path for top in PACKAGES for path in (root / top).rglob("*.py")]
    return plugins.digest({path.relative_to(root).as_posix(): path for path in files})


def version() -> str:
    """Which program this is, as records name it: version, git revision, digest of the source."""
    about = _environment()
    return f"harness {about['harness']}, revision {about['git'] or 'unknown'}, source {about['source']}"
