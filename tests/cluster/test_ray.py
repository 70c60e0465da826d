"""A real Ray cluster of three node processes on this machine: the same records, and a node lost in the middle."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from support.records import records, timeless

# Before Ray is imported: on loopback it must not look for the cluster at this machine's outer address.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
pytest.importorskip("ray", reason="the extra [ray] is not installed")
pytestmark = pytest.mark.xdist_group("cluster")  # one cluster at a time
RUN = [sys.executable, "-c", "from harness.cli import main; main()", "run"]


@pytest.fixture(scope="module")
def cluster():
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    one = {"num_cpus": 1, "num_gpus": 0, "node_ip_address": "127.0.0.1"}
    found = Cluster(initialize_head=True, head_node_args={"include_dashboard": False} | one)
    for _ in range(2):
        found.add_node(**one)
    yield found
    found.shutdown()


def command(out, *more):
    return [*RUN, *map(str, ["--benchmark", "digits201", "--out", out, *more])]


def test_records_are_those_of_a_local_campaign(cluster, tmp_path):
    common = ["--searchers", "random,evolution", "--seeds", 6]
    subprocess.run(command(tmp_path / "local", *common), check=True, capture_output=True)
    ray = command(tmp_path / "ray", *common, "--executor", "ray", "--address", cluster.address)
    done = subprocess.run(ray, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "12 runs, 0 done, 12 to do" in done.stderr
    found = [{k: timeless(r) for k, r in records(tmp_path / name).items()} for name in ("local", "ray")]
    assert found[0] == found[1]


def test_a_lost_node_s_runs_go_to_the_others(cluster, tmp_path):
    common = ["--preset", "smoke", "--searchers", "darts,gicso", "--seeds", 3]
    undisturbed = command(tmp_path / "local", *common)
    subprocess.run(undisturbed, check=True, capture_output=True)
    out = tmp_path / "ray"
    ray = command(out, *common, "--executor", "ray", "--address", cluster.address)
    node = cluster.add_node(num_cpus=1, num_gpus=0, node_ip_address="127.0.0.1")
    process = subprocess.Popen(ray, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    limit = time.monotonic() + 120
    while len(list(out.glob("runs/*/claim-*"))) < 4:  # a run on each node
        assert time.monotonic() < limit
        assert process.poll() is None
        time.sleep(0.02)
    cluster.remove_node(node, allow_graceful=False)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    found = [{k: timeless(r) for k, r in records(folder).items()} for folder in (tmp_path / "local", out)]
    assert found[0] == found[1]
    assert len(found[1]) == 6


def test_what_is_wrong_is_said_before_anything_runs(cluster, harness, tmp_path):
    common = ["run", "--benchmark", "digits201", "--searchers", "random", "--seeds", 1]
    for more, message in (
        (["--executor", "ray", "--address", "127.0.0.1:1"], "no Ray cluster answers there"),
        (["--executor", "ray", "--address", cluster.address, "--gpus", "0.5"], "1 CPU and 0.5 GPU on one node"),
        (["--executor", "ray", "--address", cluster.address, "--cpus", "2"], "but the nodes have 1 CPU and 0 GPU"),
        (["--executor", "ray", "--gpus", "1.5"], "a part of one GPU (0.0001 or more), or a whole number"),
        (["--executor", "ray", "--gpus", "0", "--device", "cuda"], "a run that is given no GPU cannot use one"),
        (["--executor", "ray", "--device", "cuda:1"], "a run on a cluster is given its GPU"),
        (["--address", "127.0.0.1:1"], "--address belongs to --executor ray"),
    ):
        code, _, err = harness(*common, *more, "--out", tmp_path / message.split()[0])
        assert code == 2, err
        assert message in err
