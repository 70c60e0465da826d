"""Official archives -> table, against the official APIs: on their sample and on files their classes wrote."""

from __future__ import annotations

import bz2
import io
import multiprocessing
import os
import pickle
import shutil
import sys
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.archives import CELLS, _state

from benchmarks.digits201 import benchmark
from benchmarks.errors import UserError
from benchmarks.nb201 import archives, official
from benchmarks.nb201.file_check import official_strings
from benchmarks.nb201.table import SPLITS, Table
from benchmarks.nb201.table_file import kind_of, load_table, save_table
from benchmarks.nb201.verify import verify

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("HARNESS_SHARED", ROOT.parent / "shared"))
TSS = SHARED / "data" / "nats-bench-sample" / "NATS-tss-v1_0-3ffb9-simple"
SSS = SHARED / "data" / "nats-bench-sample" / "NATS-sss-v1_0-50262-simple"
CSV = SHARED / "data" / "nb201" / "nb201.csv.gz"
PROXY = ("cifar10-valid", "x-valid", 12)
needs_sample = pytest.mark.skipif(not TSS.is_dir(), reason=f"no official sample at {TSS}")
META = "meta.pickle.pbz2"


# ---- files written by the official classes


@pytest.fixture(scope="module")
def nats_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from nats_bench import api_utils

    root = tmp_path_factory.mktemp("written") / "NATS-tss-v1_0-3ffb9-simple"
    root.mkdir()
    meta = {"meta_archs": list(official_strings()), "total_archs": 15_625, "arch2infos": None}
    api_utils.pickle_save({**meta, "evaluated_indexes": set()}, root / "meta.pickle")
    for index in CELLS:
        states = OrderedDict((str(e), _state(api_utils, index, e)) for e in (12, 200))
        api_utils.pickle_save(states, root / f"{index:06d}.pickle")
    return root


@pytest.fixture(scope="module")
def pth_content() -> dict[str, Any]:
    from nas_201_api import api_utils

    infos = {i: {"less": _state(api_utils, i, 12), "full": _state(api_utils, i, 200)} for i in CELLS}
    strings = list(official_strings())
    meta = {"meta_archs": strings, "total_archs": 15_625, "evaluated_indexes": list(CELLS)}
    return {**meta, "arch2infos": infos}


@pytest.fixture(scope="module", params=["zip", "legacy"])
def pth(request: pytest.FixtureRequest, pth_content: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    place = tmp_path_factory.mktemp("pth") / "NAS-Bench-201-v1_1-096897.pth"
    torch.save(pth_content, place, _use_new_zipfile_serialization=request.param == "zip")
    return place


def tar_of(folder: Path, place: Path, mode: str = "w") -> Path:
    with tarfile.open(place, mode) as archive:
        archive.add(folder, folder.name)
    return place


@pytest.fixture(scope="module")
def converted(nats_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Table:
    return official.convert(nats_folder, tmp_path_factory.mktemp("table") / "t.npz")


# ---- same values as the official APIs


def _official_answers(api: Any, index: int) -> dict[tuple[str, str, int], float]:
    """What the documented query of the official API says about a cell, in our names."""
    names = {
        "cifar10-valid": {"valid": "x-valid", "test": "ori-test"},
        "cifar10": {"test": "ori-test"},
        "cifar100": {"valid": "x-valid", "test": "x-test", "valtest": "ori-test"},
        "ImageNet16-120": {"valid": "x-valid", "test": "x-test", "valtest": "ori-test"},
    }
    answers = {}
    for record, splits in names.items():
        for epochs in (12, 200):
            said = api.get_more_info(index, record, hp=str(epochs), is_random=False)
            for theirs, split in splits.items():
                answers[record, split, epochs] = said[f"{theirs}-accuracy"]
    return answers


def _check_against(api: Any, table: Table, indices: list[int]) -> None:
    for index in indices:
        answers = _official_answers(api, index)
        assert len(answers) == 18
        for key, value in answers.items():
            assert table.column(*key)[index].value == pytest.approx(value, rel=1e-11), (index, key)
        for record in SPLITS:
            said = api.get_more_info(index, record, hp="12", is_random=False)
            assert table.train_seconds[record][index] == pytest.approx(said["train-per-time"], rel=1e-11)
            if record != "cifar10":
                assert table.valid_seconds[record][index] == pytest.approx(said["valid-per-time"], rel=1e-11)
        said = api.get_more_info(index, "cifar10-valid", hp="12", is_random=False)
        column, seconds = table.proxy(*PROXY)
        assert column[index].value == pytest.approx(said["valid-accuracy"], rel=1e-11)
        assert seconds[index] == pytest.approx(said["train-all-time"] + said["valid-per-time"], rel=1e-11)


def _check_costs(api: Any, table: Table, indices: list[int]) -> None:
    for index in indices:
        for record in SPLITS:
            costs = api.get_cost_info(index, record, hp="200")
            for name in ("params", "flops", "latency"):
                assert getattr(table, name)[record][index] == pytest.approx(costs[name], rel=1e-11)


def test_written_archive_equals_the_official_api(
    harness: Any, nats_folder: Path, converted: Table, tmp_path: Path
) -> None:
    from nats_bench import create

    api = create(str(nats_folder), "tss", fast_mode=True, verbose=False)
    _check_against(api, converted, list(CELLS))
    _check_costs(api, converted, list(CELLS))
    assert verify(converted, nats_folder) == []
    assert np.flatnonzero(converted.present).tolist() == list(CELLS)
    assert converted.warnings[0] == "partial: 4 of 15,625 cells"
    save_table(converted, tmp_path / "nb201.npz")
    code, _, err = harness("run", "--searchers", "darts", "--seeds", 1, "--table", tmp_path / "nb201.npz",
                           "--data", tmp_path, "--out", tmp_path / "out")  # fmt: skip
    assert (code, "lacks the cifar10 valid accuracy of 15,621 cells" in err) == (2, True)  # before anything is trained
    assert not (tmp_path / "out").exists()
    assert converted.proxy_cost(*PROXY) == "12 x epoch time + one validation pass"


@needs_sample
def test_official_sample_equals_the_official_api(tmp_path: Path) -> None:
    from nats_bench import create

    calls: list[tuple[int, int]] = []
    table = official.convert(TSS, tmp_path / "t.npz", lambda *call: calls.append(call))
    assert calls == [(1, 15_625), (2, 15_625), (3, 15_625)]
    api = create(str(TSS), "tss", fast_mode=True, verbose=False)
    _check_against(api, table, [0, 11, 284])
    _check_costs(api, table, [0, 11, 284])
    assert verify(table, TSS) == []
    for index in (0, 11, 284):  # times are the same for all trials, so that its random trial does not matter
        cost = api.simulate_train_eval(index, "cifar10", hp="12")[2]
        assert table.proxy(*PROXY)[1][index] == pytest.approx(cost, rel=1e-11)
    assert load_table(tmp_path / "t.npz").sha256 == table.sha256
    assert "simple" in table.source


def test_pth_equals_nas_201_api(pth: Path, pth_content: dict, converted: Table, tmp_path: Path) -> None:
    from nas_201_api import NASBench201API

    table = official.convert(pth, tmp_path / "t.npz")
    _check_against(NASBench201API(pth_content, verbose=False), table, list(CELLS))
    assert verify(table, pth) == []
    # the same trainings as in the NATS archive: the two readers must agree to the last bit
    assert table.sha256 == converted.sha256


def test_pth_with_names_of_numpy_1(pth: Path, tmp_path: Path, converted: Table) -> None:
    """The real file was written in 2020: its scalars are numpy.core.multiarray.scalar."""
    new, old = b"cnumpy._core.multiarray\nscalar\n", b"cnumpy.core.multiarray\nscalar\n"
    found = 0
    if zipfile.is_zipfile(pth):
        with zipfile.ZipFile(pth) as source, zipfile.ZipFile(tmp_path / "old.pth", "w") as target:
            for name in source.namelist():
                found += source.read(name).count(new)
                target.writestr(name, source.read(name).replace(new, old))
    else:
        found = pth.read_bytes().count(new)
        (tmp_path / "old.pth").write_bytes(pth.read_bytes().replace(new, old))
    assert found
    table = official.convert(tmp_path / "old.pth", tmp_path / "t.npz")
    assert table.sha256 == converted.sha256
    assert verify(table, tmp_path / "old.pth") == []


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_tar_equals_its_folder(nats_folder: Path, converted: Table, tmp_path: Path, mode: str) -> None:
    place = tar_of(nats_folder, tmp_path / "a.tar", mode)
    table = official.convert(place, tmp_path / "t.npz")
    assert table.sha256 == converted.sha256
    assert verify(table, place) == []


def test_one_file_archive_equals_the_folder(nats_folder: Path, converted: Table, tmp_path: Path) -> None:
    infos = {}
    for index in CELLS:
        infos[index] = pickle.loads(bz2.decompress((nats_folder / f"{index:06d}.pickle.pbz2").read_bytes()))
    meta = pickle.loads(bz2.decompress((nats_folder / META).read_bytes()))
    place = tmp_path / "NATS-tss-v1_0-3ffb9.pickle.pbz2"
    place.write_bytes(bz2.compress(pickle.dumps({**meta, "arch2infos": infos, "evaluated_indexes": set(CELLS)})))
    table = official.convert(place, tmp_path / "t.npz")
    assert table.sha256 == converted.sha256
    assert verify(table, place) == []


@pytest.mark.skipif(not (CSV.is_file() and TSS.is_dir()), reason=f"needs {CSV} and {TSS}")
def test_csv_agrees_with_the_official_sample(tmp_path: Path) -> None:
    """Two sources that never met: the CSV was collected from other projects, the sample is official."""
    csv, sample = load_table(CSV), official.convert(TSS, tmp_path / "t.npz")
    shared_columns = csv.columns.keys() & sample.columns.keys()
    assert len(shared_columns) == 14
    for key in shared_columns:
        for index in (0, 11, 284):
            assert csv.columns[key][index][1:] == sample.columns[key][index][1:]  # trials and origin
    differences = verify(csv, TSS, tolerance=1e-6)
    assert differences
    assert all("table nan" in line for line in differences)


# ---- by hand


def test_uneven_trials_are_averaged_and_counted(converted: Table) -> None:
    column = converted.column("cifar10-valid", "x-valid", 200)
    assert column[3][:2] == (15.0, 2)
    assert column.singles(3) == {777: 10.0, 888: 20.0}
    assert [column[i].trials for i in CELLS] == [2, 3, 1, 3]
    assert converted.column("cifar10-valid", "x-valid", 12)[9].trials == 2
    assert converted.column("cifar10", "ori-test", 12)[9].trials == 1
    with pytest.raises(UserError, match=r"cell #4: no cifar10/ori-test at 200 epochs"):
        converted.column("cifar10", "ori-test", 200)[4]


def test_disagreeing_sizes_follow_seed_888(converted: Table) -> None:
    assert converted.params["cifar10"][7] == 0.5  # trials 777 and 999 say 0.7
    assert converted.params_anomaly[7]  # neither is what the cell implies
    assert np.isnan(official.costs_of({777: _run(0.5), 999: _run(0.7)}, 1)["params"])


def _run(params: float) -> dict[str, Any]:
    return {"params": params, "flop": 1.0, "latency": None, "train_times": None, "eval_times": {}}


@pytest.mark.case(13)
def test_missing_times_are_nan_not_an_error() -> None:
    costs = official.costs_of({777: _run(0.5)}, 12)
    assert costs["params"] == 0.5
    assert all(np.isnan(costs[name]) for name in ("latency", "train_seconds", "valid_seconds"))


@needs_sample
def test_golden_values_of_the_sample(tmp_path: Path) -> None:
    table = official.convert(TSS, tmp_path / "t.npz")
    golden = {
        0: (63.3640, 63.2400, 81.9827, 81.5200, 85.8633, 52.7000, 52.9133, 28.2111, 26.6333),
        11: (63.2780, 63.5100, 87.9400, 87.6500, 91.5833, 67.4533, 67.6067, 30.4111, 30.1667),
        284: (72.8760, 72.4100, 86.0467, 85.6367, 88.7900, 61.6800, 62.1400, 33.4000, 32.4667),
    }
    names = [("cifar10-valid", s, e) for e in (12, 200) for s in ("x-valid", "ori-test")]
    names.append(("cifar10", "ori-test", 200))
    names += [(r, s, 200) for r in ("cifar100", "ImageNet16-120") for s in ("x-valid", "x-test")]
    for index, values in golden.items():
        assert [table.column(*name)[index].value for name in names] == pytest.approx(values, abs=5.1e-5)
    seconds = {0: 86.653, 11: 149.545, 284: 58.510}
    sizes = {0: (15.64737, 0.129306), 11: (113.95137, 0.802426), 284: (11.71521, 0.101306)}
    for index in golden:
        assert 12 * table.train_seconds["cifar10-valid"][index] == pytest.approx(seconds[index], abs=5.1e-4)
        assert (table.flops["cifar10"][index], table.params["cifar10"][index]) == sizes[index]
    assert not table.params_anomaly.any()
    assert table.column("cifar10", "ori-test", 200).singles(0) == {777: 85.62, 888: 86.18, 999: 85.79}
    assert table.column("cifar100", "ori-test", 200)[11].value == pytest.approx(67.53, abs=5.1e-5)


# ---- verify finds differences


def test_verify_names_what_differs(nats_folder: Path, converted: Table, tmp_path: Path) -> None:
    save_table(converted, tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz") as packed:
        arrays = dict(packed)
    arrays["accuracy/cifar10/ori-test/200/mean"][9] += 1e-6
    arrays["accuracy/cifar100/x-test/12/per_trial"][9, 0] += 1e-6
    arrays["flops/cifar10"][9] *= 2
    arrays["valid_seconds/cifar100"][9] = np.nan
    from benchmarks.nb201.table import from_arrays

    del arrays["meta"]
    found = verify(from_arrays(arrays, "altered"), nats_folder)
    assert [line.split(": table")[0] for line in found] == [
        "cell #9 cifar100/x-test@12 seed 111",
        "cell #9 cifar10/ori-test@200",
        "cell #9 cifar10 flops",
        "cell #9 cifar100 valid_seconds",
    ]
    assert len(verify(from_arrays({}, "empty"), nats_folder, cells=2)) > 2 * 18


@pytest.mark.skipif(not CSV.is_file(), reason=f"no CSV of published values at {CSV}")
def test_csv_converts_but_has_no_official_api(tmp_path: Path) -> None:
    table = official.convert(CSV, tmp_path / "t.npz")
    assert load_table(tmp_path / "t.npz").sha256 == table.sha256 == load_table(CSV).sha256
    with pytest.raises(UserError, match="only official archives can be verified"):
        verify(table, CSV)
    with pytest.raises(UserError, match="is a table already"):
        official.convert(tmp_path / "t.npz", tmp_path / "u.npz")


def test_info(nats_folder: Path, converted: Table, tmp_path: Path) -> None:
    save_table(converted, tmp_path / "t.npz")
    known = official.info(tmp_path / "t.npz")
    assert known["sha256"] == converted.sha256
    assert known["cells"] == 4
    assert known["bytes"] == (tmp_path / "t.npz").stat().st_size
    assert len(known["columns"]) == 18
    by_name = {(c["record"], c["split"], c["epochs"]): c for c in known["columns"]}
    assert by_name["cifar10", "ori-test", 200]["cells_by_trials"] == {1: 1, 2: 1, 3: 2}
    assert known["next"].startswith(f"harness show 3 --table {tmp_path / 't.npz'} (not in a campaign: the table lacks")
    place = tar_of(nats_folder, tmp_path / "a.tar")
    for archive in (nats_folder, place):
        known = official.info(archive)
        assert (known["cells"], known["columns of"]) == (4, "cell #3, the first")
        by_name = {(c["record"], c["split"], c["epochs"]): c for c in known["columns"]}
        assert len(by_name) == 18
        assert by_name["cifar10", "ori-test", 200]["seeds"] == [777, 888]
        assert known["next"] == f"harness data convert {archive}"


def test_counting_a_tar_s_cells_may_take_longer_than_one_of_them(nats_folder: Path, tmp_path: Path) -> None:
    """Each is told, by which the process that counts them is given time for the next."""
    with tarfile.open(tmp_path / "n.tar", "w") as tar:
        tar.add(nats_folder, "n")
    said: list[tuple[int, int]] = []
    known = official._sample(tmp_path / "n.tar", lambda *counts: said.append(counts))
    assert known["cells"] == 4
    assert said == [(count, 15_625) for count in (2, 3, 4)]


def test_info_of_a_file_that_keeps_python_s_reader_busy_ends(copy: Path) -> None:
    if sys.version_info >= (3, 14):
        pytest.skip("tuples keep their hash from Python 3.14 on")
    (copy / "000003.pickle.pbz2").write_bytes(bz2.compress(b"\x80\x04})" + b"2\x86" * 60 + b"Ns."))
    with pytest.raises(UserError, match="given up"):
        official.info(copy, patience=1)


def test_a_look_at_files_of_all_cells(
    pth: Path, pth_content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small ones are read; of large ones the first bytes are enough to recognise them."""
    count, (index, results, _) = archives.sample(pth, "pth")
    assert (count, index, set(results)) == (4, 3, {12, 200})
    packed = tmp_path / "NATS.pickle.pbz2"
    packed.write_bytes(bz2.compress(pickle.dumps(pth_content)))
    monkeypatch.setattr(archives, "_PACKED", 0)  # now all of them are large
    assert archives.sample(pth, "pth") is None
    assert archives.sample(packed, "nats-file") is None
    _write(packed, {"meta_archs": ["8:8:8:8:8"] * 15_625})
    with pytest.raises(UserError, match="size space"):
        archives.sample(packed, "nats-file")
    _write(packed, {"state_dict": 1})
    with pytest.raises(UserError, match="does not begin with meta_archs"):
        archives.sample(packed, "nats-file")
    packed.write_bytes(b"BZh9 is no bz2")
    with pytest.raises(UserError, match="damaged"):
        archives.sample(packed, "nats-file")


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("nats-file", {"12": {}, "200": {}}, "holds no arch2infos"),
        ("nats-file", {"meta_archs": [], "arch2infos": None}, "holds no arch2infos"),
        ("nats-tar", b"", "holds no meta.pickle.pbz2"),
        ("nats-file", {"meta_archs": list(official_strings()), "arch2infos": {}}, "holds no cells"),
    ],
)
def test_what_convert_would_refuse_is_not_recommended(tmp_path: Path, kind: str, content: Any, message: str) -> None:
    place = tmp_path / "a"
    if kind == "nats-tar":
        (tmp_path / "notes").write_bytes(content)
        tar_of(tmp_path / "notes", place)
    else:
        _write(place, content)
    assert kind_of(place) == kind
    with pytest.raises(UserError, match=message):
        archives.sample(place, kind)


def test_digits201_is_no_table_to_convert(tmp_path: Path) -> None:
    for read in (load_table, lambda place: official.convert(place, tmp_path / "t.npz")):
        with pytest.raises(UserError, match="a benchmark of its own: --benchmark digits201"):
            read(benchmark.FILE)


# ---- wrong files


def _refused(source: Path, tmp_path: Path, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        official.convert(source, tmp_path / "out.npz")
    assert str(caught.value).startswith(str(source))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.npz").exists()


@pytest.fixture
def copy(nats_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(nats_folder, tmp_path / "copy")


def _write(place: Path, content: Any) -> None:
    place.write_bytes(bz2.compress(pickle.dumps(content, 4)))


class _Hostile:
    """Unpickled by `pickle.load`, this makes a file."""

    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.trap}",)


@needs_sample
def test_size_space_is_refused(tmp_path: Path) -> None:
    _refused(SSS, tmp_path, "size space")
    _refused(tar_of(SSS, tmp_path / "s.tar"), tmp_path, "size space")
    (tmp_path / "mixed").mkdir()
    shutil.copy(TSS / META, tmp_path / "mixed")
    shutil.copy(SSS / "000011.pickle.pbz2", tmp_path / "mixed")
    _refused(tmp_path / "mixed", tmp_path, "size space")


def _swap_meta(folder: Path) -> None:
    archs = list(official_strings())
    archs[5], archs[6] = archs[6], archs[5]
    _write(folder / META, {"meta_archs": archs})


def _wrong_cell(folder: Path) -> None:
    shutil.copy(folder / "000007.pickle.pbz2", folder / "000008.pickle.pbz2")


def _truncate(folder: Path) -> None:
    place = folder / "000007.pickle.pbz2"
    place.write_bytes(place.read_bytes()[:5000])


def _cut_pickle(folder: Path) -> None:
    place = folder / "000007.pickle.pbz2"
    place.write_bytes(bz2.compress(bz2.decompress(place.read_bytes())[:5000]))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_swap_meta, "row 5 is .* in the official order"),
        (_wrong_cell, "000008.pickle.pbz2: is .* in the official order #8 is"),
        (_truncate, "000007.pickle.pbz2: the file ends early"),
        (_cut_pickle, "000007.pickle.pbz2: not a readable pickle, truncated or damaged"),
        (lambda f: (f / "000007.pickle.pbz2").write_text("hello"), "000007.pickle.pbz2: not a bz2 file"),
        (lambda f: (f / META).unlink(), "has no meta.pickle.pbz2"),
        (lambda f: _write(f / META, [1, 2]), "no list meta_archs"),
        (lambda f: _write(f / META, {"meta_archs": ["a"]}), "1 cells, expected 15,625"),
        (lambda f: _write(f / "000007.pickle.pbz2", [1]), "no results of a cell"),
        (lambda f: _write(f / "000007.pickle.pbz2", {"12": {"arch_str": 5}}), "not the results|is 5"),
        (lambda f: _write(f / "000007.pickle.pbz2", {"13": {}}), "no results of 12 or 200 epochs"),
        (lambda f: _write(f / "000007.pickle.pbz2", b"\0" * 2**27), "unpacks to more than 64 MB"),
        (lambda f: shutil.copy(f / "000007.pickle.pbz2", f / "7.pickle.pbz2"), "cell 7 is there twice"),
        (lambda f: [p.unlink() for p in f.glob("0*")], "no accuracy of any cell"),
        (lambda f: [p.unlink() for p in f.iterdir()], "folder without NATS-Bench files"),
    ],
)
def test_damaged_folders(copy: Path, tmp_path: Path, damage: Any, message: str) -> None:
    assert official.convert(copy, tmp_path / "before.npz").present.sum() == 4
    damage(copy)
    _refused(copy, tmp_path, message)


@pytest.mark.parametrize(
    ("factor", "message"),
    [(0.01, "the largest of . accuracies is 0[.].* fractions. multiply by 100"), (-1, "is no percentage")],
)
def test_accuracies_in_another_unit(copy: Path, tmp_path: Path, factor: float, message: str) -> None:
    for place in copy.glob("0*.pickle.pbz2"):
        states = pickle.loads(bz2.decompress(place.read_bytes()))
        for state in states.values():
            for trial in state["all_results"].values():
                trial["eval_acc1es"] = {key: factor * value for key, value in trial["eval_acc1es"].items()}
        _write(place, states)
    _refused(copy, tmp_path, message)


def test_hostile_pickles_are_refused_and_not_run(copy: Path, tmp_path: Path, converted: Table) -> None:
    import torch

    trap = tmp_path / "trap"
    pickle.loads(pickle.dumps(_Hostile(trap)))
    assert trap.exists()
    trap.unlink()
    states = pickle.loads(bz2.decompress((copy / "000007.pickle.pbz2").read_bytes()))
    _write(copy / "000007.pickle.pbz2", {**states, "extra": _Hostile(trap)})
    _refused(copy, tmp_path, "000007.pickle.pbz2: refused, the pickle names posix.system")
    _refused(tar_of(copy, tmp_path / "h.tar"), tmp_path, "posix.system")
    with pytest.raises(UserError, match=r"posix\.system"):  # the official API would run it
        verify(converted, copy)
    for layout in (True, False):
        torch.save({"arch2infos": _Hostile(trap)}, tmp_path / "h.pth", _use_new_zipfile_serialization=layout)
        _refused(tmp_path / "h.pth", tmp_path, "refused, the pickle names posix.system")
    assert not trap.exists()


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="tuples keep their hash from Python 3.14 on")
def test_a_pickle_that_keeps_python_s_reader_busy_is_given_up(copy: Path, tmp_path: Path) -> None:
    """A dictionary's key of 60 nested pairs that share their halves: its hash takes 2^60 steps, all in C."""
    file = sorted(copy.glob("0*.pickle.pbz2"))[2]
    file.write_bytes(bz2.compress(b"\x80\x04})" + b"2\x86" * 60 + b"Ns."))
    done = []
    with pytest.raises(UserError, match="given up: its next cell was not read in 2 s"):
        official.convert_apart(copy, tmp_path / "t.npz", lambda *said: done.append(said), patience=2)
    assert [d for d, _ in done] == [1, 2]
    assert not (tmp_path / "t.npz").exists()


def test_converting_apart_is_converting(copy: Path, tmp_path: Path, converted: Table) -> None:
    table = official.convert_apart(copy, tmp_path / "t.npz")
    assert table.sha256 == converted.sha256
    sorted(copy.glob("0*.pickle.pbz2"))[0].write_bytes(b"BZh9")
    with pytest.raises(UserError, match="the file ends early"):
        official.convert_apart(copy, tmp_path / "u.npz")
    (tmp_path / "in-the-way.npz").mkdir()
    with pytest.raises((OSError, UserError), match="in-the-way"):
        official.convert_apart(copy, tmp_path / "in-the-way.npz")


def test_a_killed_reader_leaves_nothing(copy: Path, tmp_path: Path) -> None:
    def kill(done: int, total: int) -> None:
        for reader in multiprocessing.active_children():
            (tmp_path / f"t.npz.host.{reader.pid}.tmp").touch()
            reader.kill()

    with pytest.raises(UserError, match="ended from outside .exit code -9"):
        official.convert_apart(copy, tmp_path / "t.npz", kill)
    assert list(tmp_path.glob("t.npz*")) == []


def test_incomplete_tars(nats_folder: Path, copy: Path, tmp_path: Path) -> None:
    whole = tar_of(nats_folder, tmp_path / "w.tar").read_bytes()
    piece = tmp_path / "NATS.tar.part1"
    piece.write_bytes(whole[: len(whole) // 2])
    _refused(piece, tmp_path, "ends early.*join the pieces")
    with tarfile.open(tmp_path / "w.tar") as archive:
        headers = [member.offset for member in archive.getmembers()]
    piece.write_bytes(whole[: headers[3]])  # a cut between two members, which tarfile takes for the end
    _refused(piece, tmp_path, "ends early.*join the pieces")
    piece.write_bytes(whole[len(whole) // 2 :])
    _refused(piece, tmp_path, "not a benchmark file; the pieces of a split archive must be joined")
    packed = tar_of(nats_folder, tmp_path / "w.tgz", "w:gz").read_bytes()
    piece.write_bytes(packed[:-20])
    _refused(piece, tmp_path, "ends early")
    (copy / META).unlink()
    _refused(tar_of(copy, tmp_path / "m.tar"), tmp_path, "holds no meta.pickle.pbz2")


def test_tar_members_that_are_not_plain_files_are_ignored(nats_folder: Path, tmp_path: Path) -> None:
    place = tar_of(nats_folder, tmp_path / "a.tar")
    with tarfile.open(place, "a") as archive:
        link = tarfile.TarInfo("../../000011.pickle.pbz2")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        note = tarfile.TarInfo("._000012.pickle.pbz2")
        note.size = 3
        archive.addfile(note, io.BytesIO(b"mac"))
    table = official.convert(place, tmp_path / "t.npz")
    assert np.flatnonzero(table.present).tolist() == list(CELLS)


def test_wrong_single_files(tmp_path: Path, pth: Path) -> None:
    _refused(tmp_path / "none.tar", tmp_path, "no such file")
    text = tmp_path / "a.txt"
    text.write_text("hello")
    _refused(text, tmp_path, "not a benchmark file")
    cut = tmp_path / "cut.pth"
    cut.write_bytes(pth.read_bytes()[:-2000])
    _refused(cut, tmp_path, "truncated or damaged")
    other = tmp_path / "other.pkl"
    other.write_bytes(pickle.dumps({"a": 1}))
    _refused(other, tmp_path, "a pickle, but not a file of torch")
    huge = tmp_path / "huge.pth"
    huge.write_bytes(pickle.dumps(1))
    os.truncate(huge, 2**42)  # sparse: takes no space
    _refused(huge, tmp_path, "GB of memory")


@pytest.mark.case(38)  # the program asks for no weights
def test_tensors_are_refused(tmp_path: Path) -> None:
    import torch

    for layout in (True, False):
        place = tmp_path / f"{layout}.pth"
        torch.save({"arch2infos": torch.zeros(3)}, place, _use_new_zipfile_serialization=layout)
        _refused(place, tmp_path, "refused")
    torch.save({"full": 1, "less": 2}, tmp_path / "000157-SIMPLE.pth")
    _refused(tmp_path / "000157-SIMPLE.pth", tmp_path, "one cell of an archive folder")


def test_destination_is_checked_before_reading(nats_folder: Path, tmp_path: Path) -> None:
    def never(_done: int, _total: int) -> None:
        raise AssertionError("the archive was read")

    with pytest.raises(UserError, match="is a folder; give the name"):
        official.convert(nats_folder, tmp_path, never)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        official.convert(nats_folder, tmp_path / "file" / "t.npz", never)
