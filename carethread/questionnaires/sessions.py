"""A questionnaire under way: everything needed to go on with it days later, elsewhere, as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from carethread.questionnaires.values import Value, value_from

Status = Literal["in-progress", "postponed", "needs-human", "completed"]

FORMAT = 1  # raised when older sessions can no longer be read


@dataclass(frozen=True, slots=True)
class Given:
    """What the patient gave for one question: values, or none and why it was left out.

    `said` are the patient's own words, `rest` the part of them that was not the answer.
    """

    link_id: str
    values: tuple[Value, ...]
    message_id: str
    at: datetime
    how: str = "exact"
    confidence: float = 1.0
    said: str = ""
    rest: str = ""
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Current:
    """The question that waits for an answer, and how asking it has gone.

    `attempt` counts answers that were not taken, `asides` requests such as "repeat" and "why".
    """

    link_id: str
    framing: str = "first"
    attempt: int = 0
    asides: int = 0
    between: tuple[str, ...] = ()
    doubted: str = ""
    context: tuple[str, ...] = ()  # items whose text leads up to this question


@dataclass(frozen=True, slots=True)
class Session:
    """The state between two messages. Change it only through the engine."""

    questionnaire: str
    language: str
    status: Status
    started_at: datetime
    updated_at: datetime
    given: tuple[Given, ...] = ()
    current: Current | None = None
    introduced: tuple[str, ...] = ()  # groups and displays whose text the patient has seen
    last_message: str = ""
    launch: Mapping[str, Any] | None = None

    @property
    def answers(self) -> dict[str, tuple[Value, ...]]:
        """All values by link id, those of items that are disabled by now included."""
        return {given.link_id: given.values for given in self.given if given.values}

    def of(self, link_id: str) -> Given | None:
        return next((given for given in self.given if given.link_id == link_id), None)

    def with_given(self, new: Given) -> "Session":
        """The session with this in the place of what was given for the same question, else at the end."""
        if self.of(new.link_id) is None:
            return replace(self, given=(*self.given, new))
        return replace(self, given=tuple(new if given.link_id == new.link_id else given for given in self.given))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; `from_json` reads it back to an equal session."""
        return {
            "format": FORMAT,
            "questionnaire": self.questionnaire,
            "language": self.language,
            "status": self.status,
            "started_at": self.started_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
            "given": [_given_json(given) for given in self.given],
            "current": None if self.current is None else _current_json(self.current),
            "introduced": list(self.introduced),
            "last_message": self.last_message,
            "launch": self.launch,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Session":
        if raw.get("format") != FORMAT:
            raise ValueError(f"session: format {raw.get('format')!r}, but this version reads {FORMAT}")
        return cls(
            raw["questionnaire"],
            raw["language"],
            raw["status"],
            datetime.fromisoformat(raw["started_at"]),
            datetime.fromisoformat(raw["updated_at"]),
            tuple(_given_from(given) for given in raw["given"]),
            None if raw["current"] is None else _current_from(raw["current"]),
            tuple(raw["introduced"]),
            raw["last_message"],
            raw["launch"],
        )


def _given_json(given: Given) -> dict[str, Any]:
    """What differs from the defaults: a long form has hundreds of these."""
    raw: dict[str, Any] = {"link_id": given.link_id, "message_id": given.message_id, "at": given.at.isoformat()}
    if given.values:
        raw["values"] = [value.as_fhir() for value in given.values]
    optional = {"how": "exact", "confidence": 1.0, "said": "", "rest": "", "skipped": ""}
    return raw | {name: getattr(given, name) for name, usual in optional.items() if getattr(given, name) != usual}


def _given_from(raw: Mapping[str, Any]) -> Given:
    values = tuple(value for value in map(value_from, raw.get("values", ())) if value is not None)
    return Given(**{**raw, "values": values, "at": datetime.fromisoformat(raw["at"])})


def _current_json(current: Current) -> dict[str, Any]:
    return {
        "link_id": current.link_id,
        "framing": current.framing,
        "attempt": current.attempt,
        "asides": current.asides,
        "between": list(current.between),
        "doubted": current.doubted,
        "context": list(current.context),
    }


def _current_from(raw: Mapping[str, Any]) -> Current:
    return Current(**{**raw, "between": tuple(raw["between"]), "context": tuple(raw["context"])})
