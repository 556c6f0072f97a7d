"""The judge: how alarming a message is by its sense, by its words, and by what the rules found, all weighed together.

A small network over the message's sentence vector and the counts of what rules found, lost to context ("no chest
pain") or would have combined; its word is mixed with that of the learned alarm, which knows words and letters. Each
knows what the other does not: the vector hears what is said in words that no example holds, the letters hear what is
misspelt, and the rules know who is meant and when. Deterministic; `judge_training` makes the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from carethread.fitted import softmax, store, stored
from carethread.safety.alarm import LEVELS, Limits
from carethread.safety.context import KINDS
from carethread.safety.encoder import DIMENSIONS
from carethread.safety.findings import Findings
from carethread.safety.tables import TableError

FILE: Final = "judge.npz"
MOST: Final = 3  # of a kind of finding that are counted
LOUD: Final = 2.0  # how much a finding weighs beside one number of a sentence vector
_KINDS: Final = (*KINDS, "unheard")
# Findings: fired and firm, fired and to be seconded, taken away, and combined, each by level; taken away by why.
COLUMNS: Final = 4 * len(LEVELS) + len(_KINDS)
# Where the words alone find it less likely than this that anybody is needed, and no rule found anything, nothing more
# is asked: in cross-validation no alarm that the judge raised was among them, and three everyday messages in four are.
PLAIN: Final = 0.05
WORDS: Final = np.float32(0.4)  # how much the words count beside the sense

Floats = NDArray[np.float32]


class Encoder(Protocol):
    def encode(self, texts: Sequence[str]) -> Floats | None:
        """(texts, DIMENSIONS), or None where nothing can be encoded now."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Of a layer of rectified units over (vector, findings), and of the levels over those."""

    inner: Floats  # (DIMENSIONS + COLUMNS, units)
    inner_bias: Floats  # (units,)
    outer: Floats  # (units, levels)
    outer_bias: Floats  # (levels,)

    def scores(self, rows: Floats) -> Floats:
        """(texts, DIMENSIONS + COLUMNS) to (texts, levels): larger is likelier."""
        hidden = np.maximum(rows @ self.inner + self.inner_bias, 0)
        return np.asarray(hidden @ self.outer + self.outer_bias, dtype=np.float32)


class Judge:
    """The fitted network. `made_of` is a digest of the examples it was fitted to."""

    def __init__(self, weights: Weights, limits: Limits, made_of: str) -> None:
        self._weights = weights
        self.limits = limits
        self.made_of = made_of

    def chances(self, vectors: Floats, found: Findings, by_words: Floats) -> Floats:
        """Probabilities (texts, levels) of stretches of one message.

        `vectors` is (texts, DIMENSIONS), `by_words` what the learned alarm makes of the same stretches, `found` what
        the rules make of the whole message.
        """
        counted = np.repeat(counts(found)[None, :], len(vectors), axis=0)
        return mixed(softmax(self._weights.scores(np.hstack([vectors, counted]))), by_words)

    def save(self, path: Path) -> None:
        store(
            path,
            self.limits,
            self.made_of,
            **{name: getattr(self._weights, name).astype(np.float16) for name in _PARTS},
        )

    @classmethod
    def load(cls, path: Path) -> Judge:
        """Load the model; raise `TableError` with the mend for a file that is missing or no model."""
        with stored(path, TableError, "the judge", "carethread safety learn") as file:
            weights = Weights(*(file.arrays[name].astype(np.float32) for name in _PARTS))
            if weights.inner.shape[0] != DIMENSIONS + COLUMNS:
                raise ValueError(f"made for {weights.inner.shape[0]} numbers a message, not {DIMENSIONS + COLUMNS}")
            return cls(weights, Limits(**file.limits), file.made_of)


_PARTS: Final = tuple(part.name for part in fields(Weights))


def counts(found: Findings) -> Floats:
    """What the rules found, as `COLUMNS` numbers of 0 to `MOST` times `LOUD`."""
    levels = np.zeros((4, len(LEVELS)), dtype=np.float32)
    kinds = np.zeros(len(_KINDS), dtype=np.float32)
    for match in found.fired:
        levels[int(match.seconded), LEVELS.index(match.level)] += 1
    for dropped in found.dropped:
        levels[2, LEVELS.index(dropped.level)] += 1
        kinds[_KINDS.index(dropped.why)] += 1
    for match in found.combined:
        levels[3, LEVELS.index(match.level)] += 1
    counted = np.minimum(np.concatenate([levels.ravel(), kinds]), MOST)
    return np.asarray(counted * LOUD, dtype=np.float32)


def mixed(by_sense: Floats, by_words: Floats) -> Floats:
    """The two readings' probabilities, both (texts, levels), as one; the sense counts a little more."""
    return softmax((1 - WORDS) * np.log(by_sense + 1e-9) + WORDS * np.log(by_words + 1e-9))
