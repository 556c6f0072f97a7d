"""`carethread nlu` and `carethread screen`: what a text is taken for, JSON lines in, JSON lines out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import click

from carethread.cli.demo import model_path
from carethread.config import PROJECT, Settings
from carethread.messaging.screens import load_screens
from carethread.safety.language import decide_language


@click.command()
def screen() -> None:
    """Screen JSON lines of {"text"} for red flags; prints {"text", "level", "rule"}."""
    rules = load_screens(Settings().content_dir / "safety").rules
    for body in lines():
        found = rules.screen(body["text"])
        level = found.level if found.level in ("emergency", "crisis") else "none"
        write({"text": body["text"], "level": level, "rule": found.rule if level != "none" else None})


@click.command()
def nlu() -> None:
    """Understand JSON lines of {"text"}; prints {"text", "language", "intent", "confidence", "entities"}."""
    python = PROJECT / "engine" / ".venv" / "bin" / "python"
    if not python.exists() or not model_path().exists():
        raise click.ClickException("the engine or its model is missing; run `make setup train`")
    table = load_screens(Settings().content_dir / "safety").languages
    # Standard error is kept for what goes wrong; Rasa is quiet otherwise.
    engine = subprocess.Popen(
        [str(python), "-m", "carethread_engine.parse", "--model", str(model_path())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=PROJECT,
        env={**os.environ, "RASA_TELEMETRY_ENABLED": "false"},
        text=True,
        encoding="utf-8",
    )
    assert engine.stdin is not None
    assert engine.stdout is not None
    for body in lines():
        try:
            engine.stdin.write(json.dumps({"text": body["text"]}, ensure_ascii=False) + "\n")
            engine.stdin.flush()
            answer = engine.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise click.ClickException("the engine ended; its last words are above")
        parsed = json.loads(answer)
        language = decide_language(body["text"], "en", ("en", "es"), table).language
        write(
            {
                "text": body["text"],
                "language": language,
                "intent": parsed.get("intent"),
                "confidence": parsed.get("confidence"),
                "entities": parsed.get("entities", []),
            }
        )
    engine.stdin.close()
    engine.wait(timeout=30)


def lines() -> Iterator[dict[str, Any]]:
    """Objects from standard input; a line that is none ends with its number and the mend."""
    for number, line in enumerate(sys.stdin, start=1):
        if not line.strip():
            continue
        try:
            body = json.loads(line)
        except json.JSONDecodeError as error:
            raise click.ClickException(f"standard input, line {number}: not JSON ({error.msg})") from error
        if not isinstance(body, dict) or not isinstance(body.get("text"), str):
            raise click.ClickException(f'standard input, line {number}: give an object like {{"text": "hello"}}')
        yield body


def write(body: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(body, ensure_ascii=False) + "\n")
    sys.stdout.flush()
