"""Which benchmark is chosen where none is named."""

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
