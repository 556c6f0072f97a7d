"""A questionnaire under way: everything needed to go on with it days later, elsewhere, as JSON."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple

from carethread.questionnaires.values import Value, value_from

Status = Literal["in-progress", "postponed", "needs-human", "completed"]

FORMAT = 2  # raised when older sessions can no longer be read

# How an answer came about that the patient did not give.
UNASKED = frozenset({"initial", "calculated"})


class Place(NamedTuple):
    """An item in one row: `at` counts, from the outermost repeating item in, which of its rows (from 0)."""

    link_id: str
    at: tuple[int, ...] = ()

    def __str__(self) -> str:
        return "@".join((self.link_id, ".".join(map(str, self.at)))) if self.at else self.link_id


@dataclass(frozen=True, slots=True)
class Given:
    """What the patient gave for one question: values, or none and why it was left out.

    `said` are the patient's own words where they are not the answer itself, `rest` the part of them that was not the
    answer. `open` says that more values are still asked for.
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
    row: tuple[int, ...] = ()
    open: bool = False

    @property
    def place(self) -> Place:
        return Place(self.link_id, self.row)


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows of a repeating group there are, and whether the patient has no more."""

    link_id: str
    row: tuple[int, ...] = ()
    count: int = 1
    closed: bool = False

    @property
    def place(self) -> Place:
        return Place(self.link_id, self.row)


@dataclass(frozen=True, slots=True)
class Current:
    """The question that waits for an answer, and how asking it has gone.

    `attempt` counts answers that were not taken, `asides` requests such as "repeat" and "why". `known_scale` says that
    the row before had the same options, `broken` is the key of the constraint that an answer did not meet.
    """

    link_id: str
    framing: str = "first"
    attempt: int = 0
    asides: int = 0
    between: tuple[str, ...] = ()
    doubted: str = ""
    context: tuple[str, ...] = ()  # items whose text leads up to this question
    row: tuple[int, ...] = ()
    known_scale: bool = False
    broken: str = ""
    no_photo: bool = False  # an attachment before it was left out because the channel takes none

    @property
    def place(self) -> Place:
        return Place(self.link_id, self.row)


@dataclass(frozen=True, slots=True)
class Session:
    """The state between two messages. Change it only through the engine.

    `off` are the places that an expression has switched off. `media` says that the channel takes photos, `confirm` that
    the answers are read back at the end.
    """

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
    rows: tuple[Rows, ...] = ()
    off: frozenset[Place] = frozenset()
    media: bool = False
    confirm: bool = False
    changes: int = 0  # answers that the patient has asked to change in the summary
    _by_place: dict[Place, Given] | None = field(default=None, init=False, repr=False, compare=False)
    _enabled: Any = field(default=None, init=False, repr=False, compare=False)  # what `enabling` found, kept

    @property
    def by_place(self) -> Mapping[Place, Given]:
        if self._by_place is None:
            object.__setattr__(self, "_by_place", {given.place: given for given in self.given})
        return self._by_place or {}

    @property
    def answers(self) -> dict[Place, tuple[Value, ...]]:
        """All values by place, those of items that are disabled by now included."""
        return {given.place: given.values for given in self.given if given.values}

    def of(self, link_id: str, row: tuple[int, ...] = ()) -> Given | None:
        return self.by_place.get(Place(link_id, row))

    def rows_of(self, place: Place) -> Rows:
        return next((rows for rows in self.rows if rows.place == place), Rows(*place))

    def with_given(self, new: Given) -> "Session":
        """The session with this in the place of what was given for the same question, else at the end."""
        place, known = new.place, self.by_place
        if place not in known:
            changed = replace(self, given=(*self.given, new))
        else:
            old = known[place]
            changed = replace(self, given=tuple(new if given is old else given for given in self.given))
        object.__setattr__(changed, "_by_place", {**known, place: new})
        return changed

    def without(self, places: Iterable[Place]) -> "Session":
        gone = set(places)
        return replace(self, given=tuple(given for given in self.given if given.place not in gone)) if gone else self

    def moved_to(self, current: Current | None, **changes: Any) -> "Session":
        """The session at another question; what was worked out of its answers still holds."""
        changed = replace(self, current=current, **changes)
        for name in ("_by_place", "_enabled"):
            object.__setattr__(changed, name, getattr(self, name))
        return changed

    def with_rows(self, new: Rows) -> "Session":
        return replace(self, rows=(*(rows for rows in self.rows if rows.place != new.place), new))

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
            "rows": [[rows.link_id, list(rows.row), rows.count, rows.closed] for rows in self.rows],
            "off": [[place.link_id, list(place.at)] for place in sorted(self.off)],
            "media": self.media,
            "confirm": self.confirm,
            "changes": self.changes,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Session":
        if raw.get("format") != FORMAT:
            raise ValueError(
                f"session: format {raw.get('format')!r}, but this version reads {FORMAT}: "
                "finish it with the version it was started with, or start it anew"
            )
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
            tuple(Rows(link_id, tuple(row), count, closed) for link_id, row, count, closed in raw["rows"]),
            frozenset(Place(link_id, tuple(at)) for link_id, at in raw["off"]),
            raw["media"],
            raw["confirm"],
            raw["changes"],
        )


# What may be left out of the JSON because it is as usual: a long form has hundreds of answers.
_USUAL_GIVEN: dict[str, Any] = {
    "how": "exact", "confidence": 1.0, "said": "", "rest": "", "skipped": "", "open": False,
}  # fmt: skip
_USUAL_CURRENT: dict[str, Any] = {
    "framing": "first", "attempt": 0, "asides": 0, "doubted": "", "known_scale": False, "broken": "", "no_photo": False,
}  # fmt: skip


def _given_json(given: Given) -> dict[str, Any]:
    raw: dict[str, Any] = {"link_id": given.link_id, "message_id": given.message_id, "at": given.at.isoformat()}
    if given.values:
        raw["values"] = [value.as_fhir() for value in given.values]
    if given.row:
        raw["row"] = list(given.row)
    return raw | {name: getattr(given, name) for name, usual in _USUAL_GIVEN.items() if getattr(given, name) != usual}


def _given_from(raw: Mapping[str, Any]) -> Given:
    values = tuple(value for value in map(value_from, raw.get("values", ())) if value is not None)
    at = datetime.fromisoformat(raw["at"])
    return Given(**{**raw, "values": values, "at": at, "row": tuple(raw.get("row", ()))})


def _current_json(current: Current) -> dict[str, Any]:
    raw: dict[str, Any] = {"link_id": current.link_id}
    raw |= {name: list(getattr(current, name)) for name in ("between", "context", "row") if getattr(current, name)}
    return raw | {
        name: getattr(current, name) for name, usual in _USUAL_CURRENT.items() if getattr(current, name) != usual
    }


def _current_from(raw: Mapping[str, Any]) -> Current:
    return Current(**{**raw, **{name: tuple(raw.get(name, ())) for name in ("between", "context", "row")}})
