"""The state of this machine, one line a check."""

from __future__ import annotations

from pathlib import Path

from benchmarks import image_folders
from benchmarks.processor import cpu_has_bf16, kernels_in_words, processor_in_words
from harness import options, provenance
from harness.data import tools
from harness.provenance import version


def diagnose(table: Path | None, data: Path | None) -> tuple[str, bool]:
    """`harness doctor`: one line a check, and whether no check failed.

    Missing files of a benchmark are no fault, unless --table or --data asked for them.
    """
    import torch

    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU only"
    lines = [(True, f"torch {torch.__version__}, {device}, {torch.get_num_threads()} threads")]
    lines.append((True, version()))
    here = provenance.environment("cpu", uses_torch=True)
    bf16 = {True: "bf16 instructions", False: "no bf16 instructions: keep --precision fp32", None: "unknown flags"}
    words = processor_in_words(here), kernels_in_words(here), bf16[cpu_has_bf16()]
    lines.append((True, f"processor: {', '.join(words)}"))
    places = options.places_for(data)
    lines.append((True, f"data folders: {', '.join(map(str, places)) or 'none; give --data DIR'}"))
    for _, module in tools():
        if hasattr(module, "check"):
            lines += module.check(table, places, data is not None)
    lines += image_folders.check(places)
    return "\n".join(f"{'ok ' if good else 'BAD'}  {text}" for good, text in lines), all(g for g, _ in lines)
