"""Hashed character n-grams: they keep typos, shorthand and missing accents close to the word that was meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from zlib import crc32

import numpy as np
from scipy.sparse import csr_matrix

from carethread_engine.text import even_out, without_accents

SHORTEST, LONGEST = 2, 4  # characters
BUCKETS = 1 << 15


def buckets(text: str) -> Counter[int]:
    """How often each n-gram of each word occurs. Words are padded with a space, so an n-gram knows a word's edges."""
    counts: Counter[int] = Counter()
    for word in without_accents(even_out(text)).split():
        padded = f" {word} ".encode("utf-32-le")  # four bytes a character: slices never cut one
        length = len(padded) // 4
        for size in range(SHORTEST, min(LONGEST, length) + 1):
            for start in range(length - size + 1):
                counts[crc32(padded[4 * start : 4 * (start + size)]) % BUCKETS] += 1
    return counts


@dataclass(frozen=True)
class NgramWeights:
    """How telling each bucket is: its inverse document frequency in the training texts, float32, length BUCKETS."""

    idf: np.ndarray

    @classmethod
    def learn(cls, texts: Sequence[str]) -> NgramWeights:
        seen = np.zeros(BUCKETS, dtype=np.int64)
        for text in texts:
            seen[list(buckets(text))] += 1
        idf = np.array([log((1 + len(texts)) / (1 + count)) + 1 for count in seen], dtype=np.float32)
        # An n-gram met once says more about the example than about its intent.
        idf[seen < 2] = 0.0
        return cls(idf)

    def sparse(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Bucket numbers and their values: 1 + log(count), times idf, scaled to length one."""
        counts = buckets(text)
        columns = np.fromiter(counts.keys(), dtype=np.int64, count=len(counts))
        values = 1 + np.log(np.fromiter(counts.values(), dtype=np.float32, count=len(counts)))
        values *= self.idf[columns]
        known = values > 0
        columns, values = columns[known], values[known]
        norm = float(np.sqrt(np.dot(values, values)))
        return columns, (values / norm if norm else values)

    def matrix(self, texts: Sequence[str]) -> csr_matrix:
        """One row a text, BUCKETS columns."""
        rows = [self.sparse(text) for text in texts]
        ends = np.cumsum([0] + [len(columns) for columns, _ in rows])
        return csr_matrix(
            (
                np.concatenate([values for _, values in rows] or [np.empty(0, np.float32)]),
                np.concatenate([columns for columns, _ in rows] or [np.empty(0, np.int64)]),
                ends,
            ),
            shape=(len(rows), BUCKETS),
        )
