"""The engine's understanding in a process of its own, asked text by text: for `carethread nlu` and its `evaluate`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from carethread.config import PROJECT

PYTHON = PROJECT / "engine" / ".venv" / "bin" / "python"

Ask = Callable[[str], dict[str, Any]]


class EngineEnded(click.ClickException):
    """The engine's process ended while it was asked: a model that it cannot read, or a fault."""

    def __init__(self) -> None:
        super().__init__("the engine ended; its last words are above")


def command(model: Path, *options: str) -> list[str]:
    """What starts the engine's program; raises `click.ClickException` where the engine or the model is missing."""
    if not PYTHON.exists() or not model.exists():
        raise click.ClickException("the engine or its model is missing; run `make setup train`")
    return [str(PYTHON), "-m", "carethread_engine.parse", "--model", str(model), *options]


@contextmanager
def understanding(model: Path, *options: str) -> Iterator[Ask]:
    """A function from a text to what `model` makes of it; the process lives as long as the context.

    The first answer waits for the model to be loaded, some seconds. Raises `EngineEnded` when there is none.
    """
    # Standard error is kept for what goes wrong; Rasa is quiet otherwise.
    engine = subprocess.Popen(
        command(model, *options),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=PROJECT,
        env={**os.environ, "RASA_TELEMETRY_ENABLED": "false"},
        text=True,
        encoding="utf-8",
    )
    assert engine.stdin is not None
    assert engine.stdout is not None
    asked, answered = engine.stdin, engine.stdout

    def ask(text: str) -> dict[str, Any]:
        try:
            asked.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
            asked.flush()
            answer = answered.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise EngineEnded
        parsed: dict[str, Any] = json.loads(answer)
        return parsed

    try:
        yield ask
    except BaseException:
        engine.terminate()  # it may still be loading, and nobody waits for it any more
        raise
    finally:
        with suppress(BrokenPipeError):  # what an engine that ended has not read
            asked.close()
        engine.wait(timeout=30)
        answered.close()
