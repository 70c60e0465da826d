"""Which processor this is, and with which of its instructions the libraries compute.

Another processor sums in another order, and a search amplifies that: what a record says here tells one from another.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any


@lru_cache(maxsize=1)
def cpuinfo() -> dict[str, str]:
    """What Linux says of the first processor, by name ("model name", "cpu family", "flags"); elsewhere empty."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


def cpu_name() -> str:
    """The name of this machine's processor. Cloud providers shorten it: "AMD EPYC" stands for several."""
    return cpuinfo().get("model name") or platform.processor() or platform.machine()


def family_and_model() -> dict[str, int | None]:
    """Family and model numbers, which tell processors of one name apart; None where the system does not say."""
    keys = {"cpu_family": "cpu family", "cpu_model": "model"}
    values = {name: cpuinfo().get(key, "") for name, key in keys.items()}
    return {name: int(value) if value.isdecimal() else None for name, value in values.items()}


def has_bf16(flags: str) -> bool:
    """Whether a processor with these flags, as /proc/cpuinfo spells them, multiplies in bf16 (x86 and ARM)."""
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags.split())


def cpu_has_bf16() -> bool | None:
    """`has_bf16` of this machine; None where it does not say."""
    flags = cpuinfo().get("flags") or cpuinfo().get("Features")
    return None if flags is None else has_bf16(flags)


@lru_cache(maxsize=1)
def kernels() -> dict[str, Any]:
    """Instruction sets in use: `cpu_capability` by PyTorch's own kernels (ATen), `onednn_isa` by its convolutions.

    They are chosen apart: by the processor, and by the variables ATEN_CPU_CAPABILITY and ONEDNN_MAX_CPU_ISA.
    """
    import torch

    return {"cpu_capability": torch.backends.cpu.get_cpu_capability(), "onednn_isa": _onednn_isa()}


def processor_in_words(environment: Mapping[str, Any]) -> str:
    """`AMD EPYC (family 26 model 2)`, from `cpu`, `cpu_family` and `cpu_model` as far as an environment has them."""
    numbers = [f"{name.removeprefix('cpu_')} {value}" for name in ("cpu_family", "cpu_model")
               if (value := environment.get(name)) is not None]  # fmt: skip
    return f"{environment.get('cpu') or ''}{' (' + ' '.join(numbers) + ')' if numbers else ''}"


def kernels_in_words(environment: Mapping[str, Any]) -> str:
    """`ATen AVX512, oneDNN Intel AVX-512`, or nothing where an environment names no kernels."""
    if not environment.get("cpu_capability"):
        return ""
    return f"ATen {environment['cpu_capability']}, oneDNN {environment.get('onednn_isa') or 'unknown'}"


def _onednn_isa() -> str | None:
    """oneDNN's own words for the instruction set that it uses; None where PyTorch comes without oneDNN, or where this
    process has no standard output.

    There alone it tells them, once, when its verbose mode is first used; the name of a convolution's kernel
    (jit_1x1:avx512_core) stands in where that was before.
    """
    import torch

    if not torch.backends.mkldnn.is_available():
        return None
    try:
        text = _onednn_output()
    except OSError:  # a standard output that was closed, no room for a temporary file
        return None
    words = re.search(r"info,cpu,isa:(.+)", text) or re.search(r"exec,cpu,convolution,([^,]+),", text)
    return words[1].strip() if words else None


def _onednn_output() -> str:
    """What oneDNN prints in a convolution; OSError where the process's standard output cannot be led elsewhere."""
    import torch

    libc = ctypes.CDLL(None)
    x, weight = torch.ones(1, 16, 4, 4), torch.ones(16, 16, 1, 1)
    with tempfile.TemporaryFile() as file:
        if sys.stdout is not None:  # closed at the start
            sys.stdout.flush()
        libc.fflush(None)
        stdout = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
                torch.mkldnn_convolution(x, weight, None, [0, 0], [1, 1], [1, 1], 1)
            libc.fflush(None)
        finally:
            os.dup2(stdout, 1)
            os.close(stdout)
        file.seek(0)
        return file.read().decode(errors="replace")
