"""ImageNet's views: crops, flips and changes of colour, against numbers worked by hand from torchvision's formulas."""

import colorsys
import math

import numpy as np
import pytest
from PIL import Image

from benchmarks.image_views import TestView, TrainingView, WholeView, crop_box, jitter, shift_hue


class Draws:
    """A generator that gives these numbers, in this order."""

    def __init__(self, *values):
        self.values = list(values)

    def random(self):
        return self.values.pop(0)

    def uniform(self, low, high, size=None):
        value = self.values.pop(0)
        assert np.all((low <= np.array(value)) & (np.array(value) <= high))
        return value

    def integers(self, count):
        value = self.values.pop(0)
        assert 0 <= value < count
        return value

    def permutation(self, count):
        order = self.values.pop(0)
        assert sorted(order) == list(range(count))
        return order


AS_IT_IS = ([0, 1, 2, 3], [1.0, 1.0, 1.0], 0.0)  # order, factors and hue of a jitter that changes nothing


def pixels(image):
    return np.asarray(image).tolist()


def test_crop_box_by_hand():
    # half of 400·300 = 60,000; √(60,000 · 1.25) = 273.86, √(60,000 / 1.25) = 219.09
    assert crop_box(400, 300, Draws(0.5, math.log(1.25), 81, 126)) == (126, 81, 274, 219)
    # √(120,000) = 346 rows are too many, so the second try counts: 12,000 pixels, 109.5 × 109.5
    assert crop_box(400, 300, Draws(1.0, 0.0, 0.1, 0.0, 0, 290)) == (290, 0, 110, 110)


def test_what_never_fits_is_cropped_in_the_middle():
    assert crop_box(1000, 100, Draws(*[1.0, 0.0] * 10)) == (433, 0, 133, 100)  # 100 · 4/3 = 133.3; 867 // 2
    assert crop_box(90, 900, Draws(*[1.0, 0.0] * 10)) == (0, 390, 90, 120)  # 90 / (3/4) = 120; 780 // 2


def test_crop_boxes_have_the_shares_and_ratios_of_the_recipe():
    rng = np.random.default_rng(0)
    boxes = np.array([crop_box(1200, 1000, rng) for _ in range(2000)])
    left, top, width, height = boxes.T
    share, ratio = width * height / 1.2e6, width / height
    assert share.min() == pytest.approx(0.08, abs=0.005)
    assert share.max() > 0.9
    assert (ratio.min(), ratio.max()) == (pytest.approx(3 / 4, abs=0.005), pytest.approx(4 / 3, abs=0.005))
    assert np.log(ratio[share < 0.5]).mean() == pytest.approx(0, abs=0.02)
    assert share[share < 0.5].mean() == pytest.approx(0.29, abs=0.01)  # of those that always fit: (0.08 + 0.5) / 2
    assert (left.min(), top.min()) == (0, 0)
    assert ((left + width).max(), (top + height).max()) == (1200, 1000)


@pytest.mark.parametrize("mirrored", [False, True])
def test_training_view_is_the_part_that_was_drawn(mirrored):
    grid = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    # a quarter of 64 pixels is 4 × 4, so that nothing is resized
    draws = Draws(0.25, 0.0, 1, 2, 0.4 if mirrored else 0.6, *AS_IT_IS)
    view = TrainingView(4)(Image.fromarray(grid), draws)
    part = grid[1:5, 2:6]
    assert pixels(view) == (part[:, ::-1] if mirrored else part).tolist()
    assert draws.values == []


def test_training_view_resizes_the_part_alone():
    """White beside the part does not shine into it: it is cut out before it is resized."""
    grid = np.full((8, 8, 3), 255, dtype=np.uint8)
    grid[:4, :4] = 90
    assert (
        pixels(TrainingView(2)(Image.fromarray(grid), Draws(0.25, 0.0, 0, 0, 0.9, *AS_IT_IS))) == [[[90] * 3] * 2] * 2
    )


def test_test_view_by_hand():
    # 18 × 9 becomes 16 × 8, of which 7 × 7 in the middle begin at 4.5, rounded to 4, and at 0.5, rounded to 0
    steps = np.broadcast_to(np.arange(16, dtype=np.uint8)[None, :, None] * 10, (8, 16, 3))
    assert np.asarray(TestView(7)(Image.fromarray(steps), Draws()))[0, :, 0].tolist() == [40, 50, 60, 70, 80, 90, 100]
    photograph = Image.fromarray(np.random.default_rng(0).integers(256, size=(375, 500, 3), dtype=np.uint8))
    expected = photograph.resize((341, 256), Image.Resampling.BILINEAR)  # 256 · 500 / 375 = 341.3
    assert pixels(TestView(224)(photograph, Draws())) == np.asarray(expected)[16:240, 58:282].tolist()
    upright = photograph.transpose(Image.Transpose.TRANSPOSE)
    assert TestView(224)(upright, Draws()).size == (224, 224)


def test_whole_view_takes_one_size():
    assert WholeView(8)(Image.new("RGB", (8, 8)), Draws()).size == (8, 8)
    with pytest.raises(ValueError, match="it has 9×8 pixels, not 8×8"):
        WholeView(8)(Image.new("RGB", (9, 8)), Draws())


def row(*colours):
    return Image.fromarray(np.array([colours], dtype=np.uint8))


@pytest.mark.parametrize(
    ("factors", "image", "expected"),
    [
        ([1.4, 1, 1], row((100, 200, 90), [190] * 3), [(140, 255, 126), (255,) * 3]),  # brightness multiplies
        ([1, 0.6, 1], row([50] * 3, [150] * 3), [(70,) * 3, (130,) * 3]),  # contrast: about the mean grey, 100
        # saturation: about the grey 0.299 · 200 + 0.587 · 100 + 0.114 · 50 = 124.2
        ([1, 1, 0.6], row((200, 100, 50)), [(169, 109, 79)]),
        ([1.2, 0.6, 1], row([50] * 3, [150] * 3), [(84,) * 3, (156,) * 3]),  # 60 and 180 about 120
    ],
    ids=["brightness", "contrast", "saturation", "two"],
)
def test_jitter_by_hand(factors, image, expected):
    seen = np.asarray(jitter(image, Draws([0, 1, 2, 3], factors, 0.0)))[0].astype(int)
    assert np.abs(seen - expected).max() <= 2  # the way through HSV rounds, also at hue 0


def test_jitter_changes_in_the_order_drawn():
    image = row([100] * 3, [250] * 3)
    first = jitter(image, Draws([0, 1, 2, 3], [1.4, 0.6, 1], 0.0))  # 140 and 255 about 198: 198 − 34.8, 198 + 34.2
    last = jitter(image, Draws([3, 2, 1, 0], [1.4, 0.6, 1], 0.0))  # 130 and 220 about 175: · 1.4
    assert pixels(first)[0][0] == [163] * 3
    assert pixels(last)[0][0] == [182] * 3


@pytest.mark.parametrize("turns", [0.2, -0.2, 0.07])
def test_hue_turns_by_that_share_of_the_circle(turns):
    colours = [(255, 0, 0), (200, 40, 90), (10, 200, 30), (90, 90, 250), (77, 77, 77)]
    seen = pixels(shift_hue(row(*colours), turns))[0]
    for colour, after in zip(colours, seen, strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(level / 255 for level in colour))
        expected = colorsys.hsv_to_rgb((hue + turns) % 1, saturation, value)
        assert after == pytest.approx([255 * level for level in expected], abs=10)  # hues come in 255 steps


def test_no_hue_is_changed_by_nothing():
    colours = [(255, 0, 0), (200, 40, 90), (77, 77, 77)]
    assert np.abs(np.array(pixels(shift_hue(row(*colours), 0.003))[0]) - colours).max() <= 3  # less than one step
