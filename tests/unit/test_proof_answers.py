"""Two thousand answers that nobody tuned to, beside what a nurse would write down: no worse than is reported."""

from __future__ import annotations

import pytest

from tests.answer_proof import figures, rows

pytestmark = pytest.mark.slow  # reads two thousand answers, most of them by their meaning


@pytest.mark.parametrize("language", ["en", "es"])
def test_answers_are_taken_as_a_nurse_would(language: str) -> None:
    total, exact, wrong = figures(row for row in rows() if row.language == language)
    assert total >= 900
    assert exact >= 0.74
    assert wrong <= 0.055


def test_noise_costs_little() -> None:
    total, exact, wrong = figures(row for row in rows() if row.noisy)
    assert total >= 600
    assert exact >= 0.68
    assert wrong <= 0.055
