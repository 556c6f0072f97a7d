"""`carethread nlu` and `carethread screen`: what a text is taken for, JSON lines in, JSON lines out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click

from carethread.cli.demo import model_path
from carethread.cli.naming import clinic_of, entities_of
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
@click.option("--clinic", default=None, help="Whose time zone days and times are in.  [default: the first one]")
@click.option("--now", type=str, default=None, help="The moment to see them from, with its offset.  [default: now]")
@click.pass_context
def nlu(context: click.Context, clinic: str | None, now: str | None) -> None:
    """Understand JSON lines of {"text"}; prints {"text", "language", "intent", "confidence", "entities"}.

    An entity is {"entity", "start", "end", "value"}; one that must be asked for, like "before my trip", has the value
    null and "ask".
    """
    if context.invoked_subcommand is not None:
        return
    zone = clinic_of(Settings(), clinic).zone
    moment = moment_of(now)
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
                    "entities": entities_of(
                        body["text"], language, moment or datetime.now(zone), parsed.get("entities", ())
                    ),
                }
            )


def moment_of(now: str | None) -> datetime | None:
    """A moment given as ISO 8601, or None for the present; raises `BadParameter` for what is none."""
    if now is None:
        return None
    try:
        moment = datetime.fromisoformat(now)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise click.BadParameter("give a moment like 2026-03-02T09:00:00-06:00", param_hint="--now")
    return moment


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
