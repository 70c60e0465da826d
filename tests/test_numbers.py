"""Numbers in words."""

from __future__ import annotations

import pytest

from harness.report import numbers


@pytest.mark.parametrize(
    ("p", "text"), [(1.0, "p = 1"), (0.0714, "p = 0.071"), (1e-9, "p < 0.001"), (0.0504, "p = 0.0504")]
)
def test_p_in_words_is_never_zero_and_never_crosses_the_level(p, text):
    assert numbers.p_text(p) == text
