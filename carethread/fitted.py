"""Fitted models: the one file that each is kept in, and scores as probabilities."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_NO_MODEL = (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, BadZipFile)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a model's file holds: its arrays by name, its limits by name, and a digest of what it was fitted to."""

    arrays: Mapping[str, NDArray[Any]]
    limits: Mapping[str, float]
    made_of: str


def store(path: Path, limits: DataclassInstance, made_of: str, **arrays: Any) -> None:
    """Write a model's file; `arrays` are numpy's."""
    new = path.with_suffix(".new.npz")
    about = json.dumps({"limits": asdict(limits), "made_of": made_of}, sort_keys=True)
    np.savez_compressed(new, about=np.array(about), **arrays)
    new.replace(path)  # nobody reads half a model


@contextmanager
def stored(path: Path, refusal: type[Exception], what: str, command: str) -> Iterator[Stored]:
    """Read a model's file. Raises `refusal`, with `command` as the mend, where it is missing or is no such model;
    also for what goes wrong while the model is made of it.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            yield Stored(arrays, about["limits"], about["made_of"])
    except FileNotFoundError:
        raise refusal(f"{path}: {what} is missing; make it with '{command}'") from None
    except _NO_MODEL as error:
        raise refusal(f"{path}: {error}; make it again with '{command}'") from None


def softmax(scores: NDArray[Any]) -> NDArray[np.float32]:
    """Scores (…, kinds) as probabilities."""
    odds = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=-1, keepdims=True), dtype=np.float32)
