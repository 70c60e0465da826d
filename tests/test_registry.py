"""Which benchmark is chosen where none is named."""

import json

import pytest

from benchmarks.registry import choose


def test_auto_takes_nb201_where_the_images_that_it_needs_are(tmp_path):
    assert choose(None, [], None, images=False) == ("nb201", "no images are needed")
    name, why = choose(None, [], None, images=True)
    assert (name, why) == ("digits201", "no cifar10 images in --data, $HARNESS_DATA or ~/.cache/harness; for nb201: "
                                        "harness data fetch cifar10")  # fmt: skip
    name, why = choose(None, [tmp_path], None, images=True)
    assert (name, str(tmp_path) in why) == ("digits201", True)
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py/data_batch_1").touch()
    assert choose(None, [tmp_path], None, images=True) == ("nb201", "cifar10 found")
    assert choose(tmp_path / "t.npz", [], None, images=True) == ("nb201", "--table is given")
    assert choose(None, [], "cifar100", images=True) == ("nb201", "it has cifar100")
    assert choose(None, [tmp_path], "digits201", images=False) == ("digits201", "it has digits201")


def test_a_mixed_campaign_is_one_benchmark_and_names_the_way_to_the_other(harness, tmp_path):
    common = ["run", "--seeds", 1, "--preset", "smoke", "--workers", 1]
    code, said, _ = harness(*common, "--searchers", "random,darts", "--out", tmp_path / "out")
    first = said.splitlines()[0]
    assert (code, first.startswith("benchmark digits201 (chosen by auto: no cifar10 images in ")) == (0, True)
    assert "; for nb201: harness data fetch cifar10)" in first
    # another command for the same folder goes on with its benchmark, whatever auto would choose
    code, said, _ = harness(*common, "--searchers", "evolution", "--out", tmp_path / "out")
    campaign = json.loads((tmp_path / "out/campaign.json").read_text())
    assert (code, campaign["benchmark"]) == (0, "digits201")
    assert [row["searcher"] for row in campaign["searchers"]] == ["random", "darts", "evolution"]
    code, said, _ = harness(*common, "--searchers", "evolution", "--out", tmp_path / "new")
    assert (code, said.startswith("benchmark nb201 (chosen by auto: no images are needed)")) == (0, True)


@pytest.mark.case(34)
def test_images_that_are_missing_are_named_with_a_way_to_them(harness):
    code, _, err = harness("run", "--searchers", "darts", "--seeds", 1, "--benchmark", "nb201")
    assert (code, "harness data fetch cifar10" in err) == (2, True)
