"""The published table and the official sample, where they are on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("HARNESS_SHARED", ROOT.parent / "shared"))
CSV = SHARED / "data" / "nb201" / "nb201.csv.gz"
SAMPLE = SHARED / "data" / "nats-bench-sample" / "NATS-tss-v1_0-3ffb9-simple"
needs_csv = pytest.mark.skipif(not CSV.is_file(), reason=f"no CSV of published values at {CSV}")
PROXY = ("cifar10-valid", "x-valid", 12)
