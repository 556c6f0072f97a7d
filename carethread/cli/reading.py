"""`carethread nlu` and `carethread screen`: what a text is taken for, JSON lines in, JSON lines out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import click

from carethread.cli.demo import model_path
from carethread.cli.understanding import understanding
from carethread.config import Settings
from carethread.messaging.screens import load_screens
from carethread.safety.language import decide_language


@click.command()
def screen() -> None:
    """Screen JSON lines of {"text"} for red flags; prints {"text", "level", "rule"}.

    The level is emergency (911), crisis (988), urgent (a nurse today) or none.
    """
    screens = load_screens(Settings().content_dir / "safety")
    for body in lines():
        found = screens.screen(body["text"])
        write({"text": body["text"], "level": found.level, "rule": found.rule})


@click.group(invoke_without_command=True)
@click.pass_context
def nlu(context: click.Context) -> None:
    """Understand JSON lines of {"text"}; prints {"text", "language", "intent", "confidence", "entities"}."""
    if context.invoked_subcommand is not None:
        return
    with understanding(model_path()) as ask:
        table = load_screens(Settings().content_dir / "safety").languages
        for body in lines():
            parsed = ask(body["text"])
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
