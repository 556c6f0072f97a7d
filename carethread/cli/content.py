"""`carethread content check`: which texts are too hard to read, before patients get them."""

from __future__ import annotations

from itertools import chain

import click

from carethread.bootstrap import reading
from carethread.channels.words import load_words
from carethread.clinic import load_clinics
from carethread.config import Settings
from carethread.dialogue.content import load_content
from carethread.dialogue.plain import Text, clinic_texts, troubles
from carethread.programs.library import load_programs, program_texts
from carethread.safety.guard import load_guard
from carethread.safety.reading import LIMIT
from carethread.safety.tables import LANGUAGES


@click.group()
def content() -> None:
    """What patients read: messages, the web chat, the clinics' facts, the programs' questions."""


@content.command()
def check() -> None:
    """Measure every text in each language. Exits 1 when one is too hard to read; nobody has to be running."""
    settings = Settings()
    measure, texts = reading(settings), everything(settings)
    found = troubles(texts, measure)
    for trouble in found:
        click.echo(trouble)
    for language in LANGUAGES:
        grades = {text: measure.grade(text.text, language) for text in texts if text.language == language}
        hardest = max(grades, key=lambda text: grades[text])
        click.echo(
            f"{language}: {len(grades)} texts, the hardest at grade {grades[hardest]:.1f} ({hardest.what}, "
            f"{hardest.place}); {LIMIT:g} is the most."
        )
    if found:
        raise click.exceptions.Exit(1)


def everything(settings: Settings) -> list[Text]:
    """Every published text of an installation. Raises `ConfigError` or `TableError` for a file that cannot be used."""
    clinics = load_clinics(settings.clinics_dir)
    guard = load_guard(settings.content_dir / "safety" / "guard.yml")
    programs = load_programs(settings.programs_dir, clinics)
    return [
        *load_content(settings.content_dir, facts=clinics.shared_facts(), guard=guard).texts(),
        *load_words(settings.content_dir),
        *clinic_texts(clinics),
        *chain.from_iterable(
            program_texts(settings.programs_dir / program.name, program)
            for program in programs.values()
            if program.definition.status == "published"
        ),
    ]
