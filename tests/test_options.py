"""Options that are wrong, or wrong here: one line and exit code 2, before any work."""

import pytest
import torch

from benchmarks.errors import UserError
from harness import conduct, options


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--searchers", "random", "--seeds", "0"], "--seeds 0"),
        (["--searchers", "random", "--seeds", "1", "--shard", "3/2"], "--shard 3/2: the first number"),
        (["--searchers", "random", "--seeds", "1", "--shard", "half"], "expected I/N"),
        (["--searchers", "darts", "--seeds", "1"], "cifar-10-batches-py"),
        (["--searchers", "random", "--seeds", "1", "--preset", "smal"], "did you mean 'small'"),
        (["--searchers", "random", "--seeds", "1", "--search-dataset", "cifar"], "did you mean 'cifar10'"),
        (["--searchers", "darts", "--seeds", "1", "--device", "tpu"], "expected auto, cpu, cuda"),
        (["--searchers", "darts", "--seeds", "1", "--device", "cpu:"], "expected auto, cpu, cuda"),
        (["--searchers", "darts", "--seeds", "1", "--gpus", "1"], "--gpus belongs to --executor ray or slurm"),
        (["--searchers", "random", "--seeds", "1", "--data", "/no/such"], "--data /no/such: no such folder"),
        (["--searchers", "random", "--seeds", "1", "--table", "/no/such.npz"], "/no/such.npz"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(harness, table, tmp_path, arguments, message):
    defaults = {"--table": table, "--data": tmp_path, "--out": tmp_path / "out"}
    for name, value in defaults.items():
        if name not in arguments:
            arguments = [*arguments, name, value]
    code, out, err = harness("run", *arguments)
    assert code == 2
    assert out == ""
    assert message in err
    assert len(err.strip().splitlines()) <= 2
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()  # said before any work


def test_no_cuda_is_said(harness, table, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    code, _, err = harness(
        *["run", "--searchers", "darts", "--seeds", 1, "--device", "cuda"],
        *["--table", table, "--data", tmp_path, "--out", tmp_path / "out"],
    )
    assert code == 2
    assert "finds no CUDA device here; use --device cpu" in err


@pytest.mark.parametrize(
    ("precision", "searchers", "has", "said"),
    [
        ("bf16", "darts", False, True),
        ("bf16", "darts", True, False),
        ("bf16", "darts", None, False),
        ("fp32", "darts", False, False),
        ("bf16", "random", False, False),  # no supernet, so nothing in bf16
    ],
)
def test_bf16_without_such_instructions_is_said_before_the_campaign(
    harness, monkeypatch, tmp_path, precision, searchers, has, said
):
    monkeypatch.setattr(options, "cpu_has_bf16", lambda: has)

    def stop(*arguments):
        raise UserError("work begins")

    monkeypatch.setattr(conduct, "prepare", stop)
    arguments = ["--searchers", searchers, "--seeds", 1, "--device", "cpu", "--precision", precision]
    code, _, err = harness("run", "--benchmark", "digits201", "--preset", "smoke", *arguments, "--out", tmp_path)
    assert (code, err.splitlines()[-1]) == (2, "error: work begins")
    assert ("has no bf16 instructions: searches take several times as long" in err) is said
