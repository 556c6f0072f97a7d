"""Hashed n-grams. Of characters, they keep typos and missing accents close to the word that was meant; of words, they
know the turn of phrase."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from math import log
from zlib import crc32

import numpy as np
from scipy.sparse import csr_matrix

from carethread_engine.text import for_models, without_accents

BUCKETS = 1 << 15
SHORTEST, LONGEST = 2, 4  # characters
MOST_WORDS = 2

_WORD = re.compile(r"[\w']+")


def of_characters(text: str) -> Counter[int]:
    """How often each n-gram of each word occurs. Words are padded with a space, so an n-gram knows a word's edges."""
    counts: Counter[int] = Counter()
    for word in without_accents(for_models(text)).split():
        padded = f" {word} ".encode("utf-32-le")  # four bytes a character: slices never cut one
        length = len(padded) // 4
        for size in range(SHORTEST, min(LONGEST, length) + 1):
            for start in range(length - size + 1):
                counts[crc32(padded[4 * start : 4 * (start + size)]) % BUCKETS] += 1
    return counts


def of_words(text: str) -> Counter[int]:
    """How often each word and each pair of neighbours occurs."""
    words = _WORD.findall(without_accents(for_models(text)))
    return Counter(
        crc32(" ".join(words[start : start + size]).encode()) % BUCKETS
        for size in range(1, MOST_WORDS + 1)
        for start in range(len(words) - size + 1)
    )


class Ngrams:
    """One kind of n-gram and how telling each is: its inverse document frequency in the training texts."""

    def __init__(self, count: Callable[[str], Counter[int]], idf: np.ndarray) -> None:
        self._count = count
        self.idf = idf  # float32, length BUCKETS; 0 for n-grams that are not used

    @classmethod
    def learn(cls, count: Callable[[str], Counter[int]], texts: Sequence[str]) -> Ngrams:
        seen = np.zeros(BUCKETS, dtype=np.int64)
        for text in texts:
            seen[list(count(text))] += 1
        idf = np.array([log((1 + len(texts)) / (1 + times)) + 1 for times in seen], dtype=np.float32)
        # An n-gram met once says more about the example than about its intent.
        idf[seen < 2] = 0.0
        return cls(count, idf)

    def sparse(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Bucket numbers and their values: 1 + log(count), times idf, scaled to length one."""
        counts = self._count(text)
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
