"""Fits the judge's network: Adam over the examples in small batches, several networks side by side as one.

Deterministic on one machine: the same rows give the same weights.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from carethread.fitted import softmax
from carethread.safety.judge import Floats, Weights

NETWORKS: Final = 2  # fitted apart from other beginnings; their scores are averaged
UNITS: Final = 512  # of each
EPOCHS: Final = 25
BATCH: Final = 256
RATE: Final = 1e-3
DECAY: Final = 1e-4  # of weights, each step, times the rate
FORGOTTEN_INPUTS, FORGOTTEN_UNITS = 0.1, 0.3  # share that is left out of a step, so that none is relied on alone
_FIRST, _SECOND, _LEAST = 0.9, 0.999, 1e-8  # Adam's decays of the two moments, and what it never divides by less than


def fit(rows: Floats, targets: NDArray[np.int64], levels: int, seed: int, *, networks: int = NETWORKS) -> Weights:
    """Fit to rows (texts, numbers) and the level of each; a rare level weighs more, by the root of how rare."""
    each = [_network(rows, targets, levels, seed + number) for number in range(networks)]
    return Weights(
        np.hstack([one.inner for one in each]),
        np.concatenate([one.inner_bias for one in each]),
        np.vstack([one.outer for one in each]) / np.float32(networks),
        np.mean([one.outer_bias for one in each], axis=0, dtype=np.float32),
    )


def _network(rows: Floats, targets: NDArray[np.int64], levels: int, seed: int) -> Weights:
    chance = np.random.default_rng(seed)
    width = rows.shape[1]
    parts = [
        (chance.standard_normal((width, UNITS), dtype=np.float32) * np.float32(np.sqrt(2 / width))),
        np.zeros(UNITS, dtype=np.float32),
        (chance.standard_normal((UNITS, levels), dtype=np.float32) * np.float32(np.sqrt(1 / UNITS))),
        np.zeros(levels, dtype=np.float32),
    ]
    first, second = [np.zeros_like(part) for part in parts], [np.zeros_like(part) for part in parts]
    hot = np.eye(levels, dtype=np.float32)[targets]
    share = np.maximum(np.bincount(targets, minlength=levels), 1)
    weight = np.sqrt(len(targets) / (levels * share)).astype(np.float32)[targets][:, None]
    batch = min(BATCH, len(targets))
    steps, step = EPOCHS * (len(targets) // batch), 0
    for _ in range(EPOCHS):
        order = chance.permutation(len(targets))
        for start in range(0, len(targets) - batch + 1, batch):
            at = order[start : start + batch]
            slopes = _slopes(parts, rows[at], hot[at], weight[at], chance)
            step += 1
            rate = RATE / 2 * (1 + np.cos(np.pi * step / steps))
            for part, slope, m, v in zip(parts, slopes, first, second, strict=True):
                m += (1 - _FIRST) * (slope - m)
                v += (1 - _SECOND) * (slope * slope - v)
                move = m / (1 - _FIRST**step) / (np.sqrt(v / (1 - _SECOND**step)) + _LEAST)
                part -= np.float32(rate) * (move + np.float32(DECAY if part.ndim > 1 else 0) * part)
    return Weights(*parts)


def _slopes(
    parts: list[Floats], rows: Floats, hot: Floats, weight: Floats, chance: np.random.Generator
) -> tuple[Floats, Floats, Floats, Floats]:
    """Of the weighed cross-entropy, for each part; some inputs and units are left out by chance."""
    inner, inner_bias, outer, outer_bias = parts
    rows = rows * _kept(rows.shape, FORGOTTEN_INPUTS, chance)
    raw: Floats = rows @ inner + inner_bias
    through: Floats = _kept(raw.shape, FORGOTTEN_UNITS, chance) * (raw > 0).astype(np.float32)
    hidden: Floats = raw * through
    error: Floats = (softmax(hidden @ outer + outer_bias) - hot) * weight / np.float32(len(rows))
    back: Floats = (error @ outer.T) * through
    return rows.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0)


def _kept(shape: tuple[int, ...], forgotten: float, chance: np.random.Generator) -> Floats:
    kept = chance.random(shape, dtype=np.float32) >= forgotten
    return kept.astype(np.float32) / np.float32(1 - forgotten)
