"""The learned alarm: hears in a whole message what no rule of the tables names.

A linear model over the words and letters of a message, fitted to the texts in `content/safety/examples/`. It only adds
to the rules, which are read first; `judge` adds the sense of the message to its word. Deterministic: the same file and
the same text give the same answer, and every answer names the words that weighed most. `alarm_training` makes the file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from carethread.fitted import softmax, store, stored
from carethread.safety.examples import EXAMPLE_LEVELS
from carethread.safety.levels import RANK, Level
from carethread.safety.tables import TableError
from carethread.safety.text import fold

FILE: Final = "alarm.npz"
LEVELS: Final = EXAMPLE_LEVELS
_ALARMS: Final = slice(LEVELS.index("emergency"), LEVELS.index("crisis") + 1)
BUCKETS: Final = 1 << 18
WORDS_IN_A_ROW: Final = 3
LETTERS_IN_A_ROW: Final = (3, 4, 5)
WINDOW: Final = 40  # words read at once; a longer message is read in windows that share half
MOST_CHARACTERS: Final = 12_000
FEW: Final = 4  # words that say too little to be heard as soon as others
SHORT: Final = 3  # words of a message that says nothing around what a rule found: "poisoned", "had a stroke"

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*|\d+(?:[.,:/]\d+)*|[?!]+")
_DIGIT = re.compile(r"\d")
_STRETCHED = re.compile(r"(\D)\1{2,}")

Vector = tuple[NDArray[np.int64], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Word:
    """One word as the model reads it, and where it stands in the message."""

    plain: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Limits:
    """From which probability a message is of that level, and at least one of `FEW` words; `second` is for one in which
    a rule found words that are no alarm by themselves.
    """

    emergency: float
    crisis: float
    urgent: float
    few: float
    second: float

    def among(self, stretches: int) -> Limits:
        """The same for a message that is read in so many stretches, of which each could be wrong."""

        def stricter(limit: float) -> float:
            return 1 - (1 - limit) / max(1, stretches)

        return replace(
            self, emergency=stricter(self.emergency), crisis=stricter(self.crisis), urgent=stricter(self.urgent)
        )

    def level(self, chances: NDArray[np.float32], words: int) -> tuple[Level, float]:
        """The level of probabilities in the order of `LEVELS`, and how likely a message is that or higher.

        What may be either is surely one of them: "he hit me and I can't breathe". A few words ("goodbye then") say too
        little to be heard without near certainty; where they name a danger, a rule has found it.
        """
        least = self.few if words <= FEW else 0.0
        alarm = float(chances[_ALARMS].sum())
        level: Level = "emergency" if chances[_ALARMS][0] >= chances[_ALARMS][1] else "crisis"
        if alarm >= max(least, self.emergency if level == "emergency" else self.crisis):
            return level, alarm
        some = float(chances[1:].sum())
        return ("urgent" if some >= max(least, self.urgent) else "none"), some


@dataclass(frozen=True, slots=True)
class Heard:
    """How likely a message is of `level` or higher (0-1), and where the loudest words stand, unless it is `none`."""

    level: Level = "none"
    probability: float = 0.0
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A message in stretches of up to `WINDOW` words, and probabilities (stretches, levels)."""

    stretches: tuple[Sequence[Word], ...]
    chances: NDArray[np.float32]

    def seconds(self, limits: Limits) -> bool:
        """Whether what a rule found is meant: the message is short, or some stretch of it is not plainly harmless."""
        if not self.stretches or len(self.stretches[0]) <= SHORT:
            return True
        return bool((1 - self.chances[:, 0] >= limits.second).any())


class LearnedAlarm:
    """The fitted model. `made_of` is a digest of the examples it was fitted to."""

    def __init__(
        self,
        idf: NDArray[np.float32],
        weights: NDArray[np.float32],
        bias: NDArray[np.float32],
        limits: Limits,
        made_of: str,
    ) -> None:
        self._idf = idf  # (BUCKETS,)
        self._weights = weights  # (BUCKETS, levels)
        self._bias = bias  # (levels,)
        self.limits = limits
        self.made_of = made_of

    def read(self, text: str) -> Reading:
        """The stretches of a message, and how likely each is of which level."""
        stretches = tuple(windows(words_of(text)))
        rows = [self.chances(words) for words in stretches]
        return Reading(stretches, np.array(rows, dtype=np.float32).reshape(-1, len(LEVELS)))

    def heard(self, reading: Reading, limits: Limits) -> Heard:
        """Return the most alarming reading of any stretch of the message."""
        found, limits = Heard(), limits.among(len(reading.stretches))
        for words, chances in zip(reading.stretches, reading.chances, strict=True):
            level, probability = limits.level(chances, len(words))
            if (RANK[level], probability) > (RANK[found.level], found.probability):
                found = Heard(level, round(probability, 3), self._loudest(words, level) if level != "none" else None)
        return found

    def hear(self, text: str) -> Heard:
        """What the alarm makes of a message alone."""
        return self.heard(self.read(text), self.limits)

    def chances(self, words: Sequence[Word]) -> NDArray[np.float32]:
        """Probabilities in the order of `LEVELS`."""
        columns, values = vector(words, self._idf)
        scores = values @ self._weights[columns] + self._bias
        return softmax(scores)

    def _loudest(self, words: Sequence[Word], level: Level) -> tuple[int, int]:
        """Where the up to three words in a row stand that spoke most for the level."""
        at = LEVELS.index(level)

        def loudness(stretch: Sequence[Word]) -> float:
            bucket = _bucket("w", " ".join(word.plain for word in stretch))
            return float(self._idf[bucket] * (self._weights[bucket, at] - self._weights[bucket, 0]))

        best = max(_stretches(words), key=loudness)
        return best[0].start, best[-1].end

    def save(self, path: Path) -> None:
        used = np.flatnonzero(self._idf)
        scale = float(np.abs(self._weights).max()) / 127
        store(
            path,
            self.limits,
            self.made_of,
            used=used.astype(np.uint32),
            idf=self._idf[used].astype(np.float16),
            weights=np.round(self._weights[used] / scale).astype(np.int8),
            scale=np.array(scale, dtype=np.float32),
            bias=self._bias,
        )

    @classmethod
    def load(cls, path: Path) -> LearnedAlarm:
        """Load the model; raise `TableError` with the mend for a file that is missing or no model."""
        with stored(path, TableError, "the learned alarm", "carethread safety learn") as file:
            used, arrays = file.arrays["used"], file.arrays
            idf = np.zeros(BUCKETS, dtype=np.float32)
            weights = np.zeros((BUCKETS, len(LEVELS)), dtype=np.float32)
            idf[used] = arrays["idf"]
            weights[used] = arrays["weights"] * arrays["scale"]
            return cls(idf, weights, arrays["bias"], Limits(**file.limits), file.made_of)


def words_of(text: str) -> list[Word]:
    """The words of a message in lower case without accents and apostrophes; of a number only its shape counts."""
    plain, offsets = fold(text[:MOST_CHARACTERS])
    return [
        Word(_plainer(found.group()), offsets[found.start()], offsets[found.end() - 1] + 1)
        for found in _WORD.finditer(plain)
    ]


def _plainer(word: str) -> str:
    """ "cant" for "can't", "helpp" for "helpppp", "00.0" for "40.5"."""
    return _STRETCHED.sub(r"\1\1", _DIGIT.sub("0", word).replace("'", ""))


def windows(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """A message that fits is read whole; a longer one in windows that share half."""
    if words:
        step = WINDOW // 2
        for start in range(0, max(1, len(words) - step), step):
            yield words[start : start + WINDOW]


def features(words: Sequence[Word]) -> Counter[int]:
    """How often each bucket is met: up to three words in a row, and letters in a row within words."""
    framed = ["^", *(word.plain for word in words), "$"]
    counts = Counter(
        _bucket("w", " ".join(framed[at : at + size]))
        for size in range(1, WORDS_IN_A_ROW + 1)
        for at in range(len(framed) - size + 1)
    )
    for word in words:
        padded = f" {word.plain} "
        for size in LETTERS_IN_A_ROW:
            counts.update(_bucket("c", padded[at : at + size]) for at in range(len(padded) - size + 1))
    return counts


def vector(words: Sequence[Word], idf: NDArray[np.float32]) -> Vector:
    """Buckets and their values: (1 + log(count)) times idf, scaled to length one."""
    counts = features(words)
    columns = np.fromiter(counts.keys(), dtype=np.int64, count=len(counts))
    values = (1 + np.log(np.fromiter(counts.values(), dtype=np.float32, count=len(counts)))) * idf[columns]
    length = float(np.sqrt(values @ values))
    return columns, (values / length if length else values).astype(np.float32)


def _stretches(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    for size in range(1, WORDS_IN_A_ROW + 1):
        for at in range(len(words) - size + 1):
            yield words[at : at + size]


def _bucket(kind: str, text: str) -> int:
    return crc32(f"{kind}:{text}".encode()) % BUCKETS
