"""Answer values as FHIR types them (valueInteger, valueCoding, …), comparable and as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any


@dataclass(frozen=True, slots=True)
class Coding:
    """A code of a code system, with the words it is shown by."""

    code: str
    system: str = ""
    display: str = ""

    def same(self, other: "Coding") -> bool:
        """Equal codes of one system; a missing system fits any."""
        return self.code == other.code and (not self.system or not other.system or self.system == other.system)


@dataclass(frozen=True, slots=True)
class Amount:
    """A FHIR Quantity: a number and its unit (`code` is UCUM's)."""

    value: Decimal
    unit: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A FHIR Attachment that lies elsewhere, such as a photo that a channel has taken in."""

    url: str
    content_type: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """A FHIR Reference: the resource's address, or only the words for it."""

    reference: str = ""
    display: str = ""


Plain = bool | int | Decimal | str | Coding | Amount | Attachment | Reference


@dataclass(frozen=True, slots=True)
class Value:
    """One answer value; `kind` is the end of its FHIR name ("Integer" for valueInteger).

    Dates are kept as FHIR writes them, so that 2020-03 stays as vague as it was said.
    """

    kind: str
    value: Plain

    def as_fhir(self) -> dict[str, Any]:
        """{"valueInteger": 7}, {"valueCoding": {...}}, …"""
        if isinstance(self.value, Coding):
            pairs = {"system": self.value.system, "code": self.value.code, "display": self.value.display}
            return {"valueCoding": {key: text for key, text in pairs.items() if text}}
        if isinstance(self.value, Amount):
            quantity: dict[str, Any] = {"value": _json_number(self.value.value)}
            if self.value.unit:
                quantity["unit"] = self.value.unit
            if self.value.code:
                quantity |= {"system": "http://unitsofmeasure.org", "code": self.value.code}
            return {"valueQuantity": quantity}
        if isinstance(self.value, Attachment):
            parts = {"contentType": self.value.content_type, "url": self.value.url, "title": self.value.title}
            return {"valueAttachment": {key: text for key, text in parts.items() if text}}
        if isinstance(self.value, Reference):
            parts = {"reference": self.value.reference, "display": self.value.display}
            return {"valueReference": {key: text for key, text in parts.items() if text}}
        if isinstance(self.value, Decimal):
            return {f"value{self.kind}": _json_number(self.value)}
        return {f"value{self.kind}": self.value}


def value_from(holder: Mapping[str, Any], prefix: str = "value") -> Value | None:
    """The value[x] (or answer[x]) a FHIR element carries; None where it carries none we know.

    Raises `ValueError` where the element's type and content disagree.
    """
    for key, raw in holder.items():
        kind = key.removeprefix(prefix)
        if kind == key or key.startswith("_") or raw is None:
            continue
        if kind in ("Boolean", "String", "Date", "DateTime", "Time", "Uri"):
            if not isinstance(raw, bool if kind == "Boolean" else str):
                raise ValueError(f"{key} holds {raw!r}")
            return Value(kind, raw)
        if kind == "Integer":
            if isinstance(raw, bool) or not isinstance(raw, int):
                raise ValueError(f"{key} holds {raw!r}")
            return Value(kind, raw)
        if kind == "Decimal":
            return Value(kind, decimal_from(raw))
        if kind == "Coding" and isinstance(raw, Mapping):
            return Value(
                kind, Coding(str(raw.get("code", "")), str(raw.get("system", "")), str(raw.get("display", "")))
            )
        if kind == "Quantity" and isinstance(raw, Mapping):
            if raw.get("value") is None:
                return None
            return Value(
                kind, Amount(decimal_from(raw.get("value", 0)), str(raw.get("unit", "")), str(raw.get("code", "")))
            )
        if kind == "Attachment" and isinstance(raw, Mapping):
            return Value(kind, Attachment(*(str(raw.get(name, "")) for name in ("url", "contentType", "title"))))
        if kind == "Reference" and isinstance(raw, Mapping):
            return Value(kind, Reference(str(raw.get("reference", "")), str(raw.get("display", ""))))
    return None


def decimal_from(raw: object) -> Decimal:
    try:
        found = Decimal(str(raw))
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite():
        raise ValueError(f"{raw!r} is not a number")
    return found


_MOMENTS = {"Date", "DateTime", "Time"}  # written so that they sort as texts, as far as both go


def compare(one: Value, other: Value) -> int | None:
    """-1, 0 or 1 as `one` is less than, equal to or greater than `other`; None where they cannot be compared.

    Codings are equal or None; dates compare as far as both are given.
    """
    a, b = one.value, other.value
    if isinstance(a, Coding) or isinstance(b, Coding):
        if isinstance(a, Coding) and isinstance(b, Coding):
            return 0 if a.same(b) else None
        return 0 if isinstance(a, Coding) and b in (a.code, a.display) else None
    if isinstance(a, Reference | Attachment) or isinstance(b, Reference | Attachment):
        return 0 if a == b else None
    if isinstance(a, Amount) and isinstance(b, Amount):
        if a.code and b.code and a.code != b.code:
            return None
        return _order(a.value, b.value)
    if isinstance(a, Amount):
        a = a.value
    if isinstance(b, Amount):
        b = b.value
    if isinstance(a, bool) or isinstance(b, bool):
        return (0 if a == b else None) if isinstance(a, bool) and isinstance(b, bool) else None
    if isinstance(a, str) and isinstance(b, str):
        if one.kind in _MOMENTS or other.kind in _MOMENTS:
            shared = min(len(a), len(b))
            return _order(a[:shared], b[:shared])
        return _order(a, b)
    if isinstance(a, int | Decimal) and isinstance(b, int | Decimal):
        return _order(Decimal(a), Decimal(b))
    return None


def _order(a: Any, b: Any) -> int:
    return 1 if a > b else -1 if a < b else 0


def _json_number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() and abs(value) < 10**15 else float(value)
