"""The patient page of the demo: a clinic's home page that embeds the chat by one script tag, as any site would."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from sanic import Blueprint, HTTPResponse, Request
from sanic.response import html, text

from carethread.clinic import Clinic, Clinics
from carethread.config import Settings

_FOLDER = Path(__file__).parent
# Who to suggest: the stories that show the most, in this order; the page lists the first that exist.
_SUGGESTED = ("james", "maria", "rosa", "dorothy", "aisha", "grace")


class Parts(Protocol):
    """`bootstrap.Core` has them."""

    settings: Settings
    clinics: Clinics


@dataclass(frozen=True, slots=True)
class Somebody:
    """A synthetic patient that a visitor of the demo can be."""

    name: str
    birth_date: str
    postal_code: str
    language: str
    story: str


def blueprint(parts: Parts) -> Blueprint:
    """`GET /`. For the demo only: the gateway does not register it in production."""
    clinic = next(iter(parts.clinics.values()))
    account = clinic.first_account("web")
    page = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=select_autoescape(), undefined=StrictUndefined
    ).get_template("index.html")
    style = (_FOLDER / "portal.css").read_text(encoding="utf-8")
    bp = Blueprint("portal")

    @bp.get("/", name="home")
    async def home(_request: Request) -> HTTPResponse:
        return html(page.render(_context(parts, clinic), account=account.address if account else "", people=people()))

    @bp.get("/portal.css", name="style")
    async def portal_css(_request: Request) -> HTTPResponse:
        return text(style, content_type="text/css; charset=utf-8", headers={"cache-control": "max-age=60"})

    return bp


def people() -> list[Somebody]:
    """Synthetic patients to be; empty where the synthetic clinic is not installed."""
    try:
        from sandbox.clinic import cast
    except ImportError:
        return []
    members = cast()
    return list(_somebodies(members[key] for key in _SUGGESTED if key in members))


def _somebodies(members: Iterable[Any]) -> Iterable[Somebody]:
    languages = {"en": "English", "es": "Spanish"}
    for member in members:
        born = f"{member.birth_date:%B} {member.birth_date.day}, {member.birth_date.year}"
        language = languages.get(member.language, member.language)
        yield Somebody(member.name, born, member.postal_code, language, member.notes)


def _context(parts: Parts, clinic: Clinic) -> dict[str, Any]:
    facts = {key: words.get("en", "") for key, words in clinic.facts.items()}
    return {
        "clinic": clinic.name,
        "phone": clinic.phone,
        "tel": "".join(char for char in clinic.phone if char in "+0123456789"),
        "emergency": clinic.emergency_number,
        "facts": facts,
        "specialties": [specialty.display["en"] for specialty in clinic.specialties],
        "simulator": f"http://127.0.0.1:{parts.settings.phones_port}/",
    }
