"""Brings a Questionnaire of any make into the shape of R4: other releases, wrappers, misspelt keys, loose types.

What is put up with is named as a warning; what has no clear meaning is left as it is for `loading` to refuse.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from carethread.questionnaires.definition import QUESTION_TYPES, Problem

_FORM_KEYS = (
    "resourceType", "id", "meta", "url", "identifier", "version", "name", "title", "status", "subjectType", "date",
    "description", "publisher", "code", "extension", "modifierExtension", "contained", "item", "text", "language",
)  # fmt: skip
_ITEM_KEYS = (
    "linkId", "definition", "code", "prefix", "text", "type", "enableWhen", "enableBehavior", "required", "repeats",
    "readOnly", "maxLength", "answerValueSet", "answerOption", "initial", "item", "extension", "modifierExtension",
    "disabledDisplay", "answerConstraint", "id",
)  # fmt: skip
_WHEN_KEYS = ("question", "operator", "extension", "id")
# Keys of earlier releases and usual slips → R4's key.
_OTHER_ITEM_KEYS = {
    "link_id": "linkId", "answeroptions": "answerOption", "option": "answerOption", "options": "answerValueSet",
    "items": "item", "question": "item", "group": "item", "title": "text", "concept": "code", "label": "text",
    "answervalueset": "answerValueSet", "isrequired": "required", "enablewhens": "enableWhen",
    "extensions": "extension",
    "initialvalue": "initial", "repeat": "repeats", "readonly": "readOnly", "choice": "answerOption",
}  # fmt: skip
_OTHER_TYPES = {
    "choise": "choice", "radio": "choice", "radiobutton": "choice", "dropdown": "choice", "select": "choice",
    "checkbox": "boolean", "bool": "boolean", "yesno": "boolean", "openchoice": "open-choice", "number": "decimal",
    "float": "decimal", "double": "decimal", "int": "integer", "datetime": "dateTime", "instant": "dateTime",
    "uri": "url", "link": "url", "file": "attachment", "image": "attachment", "photo": "attachment",
    "textarea": "text", "longtext": "text", "str": "string", "info": "display", "label": "display",
    "section": "group", "panel": "group", "page": "group",
}  # fmt: skip
_VALUE = re.compile(r"^(?:value|answer|initial)(Boolean|Decimal|Integer|Date|DateTime|Time|String|Uri|Url|Attachment|"
                    r"Coding|Quantity|Reference|Code|CodeableConcept)$")  # fmt: skip
_TAGS = re.compile(r"<(?:/?[a-zA-Z][^<>]*|!--.*?--)>", re.DOTALL)
_MARKDOWN = (
    (re.compile(r"!\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"\[([^\]]+)\]\((?:https?:|mailto:|#|/)[^)]*\)"), r"\1"),
    (re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?m)^\s{0,3}#{1,6}\s+"), ""),
    (re.compile(r"`([^`]+)`"), r"\1"),
)
_DEEPEST_UNWRAPPING = 3


@dataclass(slots=True)
class Normalised:
    """The form in R4's shape, what was put up with, and the value sets that came in the same bundle."""

    form: Mapping[str, Any] | None
    warnings: list[Problem] = field(default_factory=list)
    value_sets: dict[str, Mapping[str, Any]] = field(default_factory=dict)


def normalised(resource: object) -> Normalised:
    """Nothing is changed in what is handed in."""
    found = Normalised(None)
    form = _unwrapped(resource, found, _DEEPEST_UNWRAPPING)
    if form is None:
        return found
    cleaner = _Cleaner(found.warnings)
    found.form = cleaner.form(form)
    return found


def _unwrapped(resource: object, found: Normalised, depth: int) -> Mapping[str, Any] | None:
    """The Questionnaire inside a Bundle, Parameters, list or server answer."""
    if depth < 0:
        return None
    if isinstance(resource, Mapping):
        kind = resource.get("resourceType")
        if kind == "Questionnaire":
            return resource
        if kind in ("Bundle", "Parameters") or (kind is None and ("entry" in resource or "resource" in resource)):
            entries = [*_list(resource.get("entry")), *_list(resource.get("parameter")), resource]
            inside = [entry["resource"] for entry in entries if isinstance(entry, Mapping) and "resource" in entry]
            return _unwrapped(inside, found, depth - 1)
        if kind is None and ("item" in resource or "items" in resource or "group" in resource):
            found.warnings.append(
                Problem("-", "it has no resourceType", "it is taken for a Questionnaire; write it down")
            )
            return {"resourceType": "Questionnaire", **resource}
        return None
    if isinstance(resource, Sequence) and not isinstance(resource, str | bytes):
        for other in resource:
            if isinstance(other, Mapping) and other.get("resourceType") == "ValueSet" and other.get("url"):
                found.value_sets.setdefault(str(other["url"]), other)
        forms = [form for entry in resource for form in [_unwrapped(entry, found, depth - 1)] if form is not None]
        if forms:
            found.warnings.append(Problem("-", "it is wrapped in another resource", "the Questionnaire inside is run"))
        if len(forms) > 1:
            found.warnings.append(Problem("-", f"it holds {len(forms)} Questionnaires", "only the first is run"))
        return forms[0] if forms else None
    return None


@dataclass(slots=True)
class _Cleaner:
    warnings: list[Problem]
    said: set[tuple[str, str]] = field(default_factory=set)
    unnamed: int = 0

    def warn(self, link_id: str, reason: str, mend: str) -> None:
        if (link_id, reason) not in self.said:
            self.said.add((link_id, reason))
            self.warnings.append(Problem(link_id, reason, mend))

    def form(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        form = self.renamed(raw, _FORM_KEYS, {"items": "item", "questions": "item"}, "-")
        group = form.pop("group", None)
        if isinstance(group, Mapping) and not form.get("item"):
            self.warn("-", "it is a Questionnaire of DSTU2", "it is read as R4; convert the file")
            form.setdefault("title", group.get("title") or group.get("text") or "")
            form["item"] = self._below(group)
        if "item" in form:
            form["item"] = self.items(form["item"], "-")
        if not form.get("status"):
            self.warn("-", "it has no status", "it is run as a draft; write the status down")
        return form

    def _below(self, group: Mapping[str, Any]) -> list[Any]:
        """The items of a DSTU2 group or question."""
        groups = [{"type": "group", **one} for one in _list(group.get("group")) if isinstance(one, Mapping)]
        return [*groups, *_list(group.get("question"))]

    def items(self, raws: object, link_id: str) -> list[dict[str, Any]]:
        if isinstance(raws, Mapping):
            self.warn(link_id, "its item is an object", "it is read as a list of one; write a list")
            raws = [raws]
        found: list[dict[str, Any]] = []
        for raw in _list(raws):
            if not isinstance(raw, Mapping) or not raw:
                self.warn(link_id, "one of its items is empty", "it is left out; delete it")
                continue
            found.append(self.item(raw))
        return found

    def item(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        name = str(raw.get("linkId") or next((raw[k] for k in raw if k.lower().replace("_", "") == "linkid"), "-"))
        item = self.renamed(raw, _ITEM_KEYS, _OTHER_ITEM_KEYS, name)
        if not isinstance(item.get("linkId"), str) and item.get("linkId") is not None:
            self.warn(name, "its linkId is no text", "it is read as one; write it in quotes")
            item["linkId"] = str(item["linkId"])
        self._values(item, name)
        if "group" in raw and "question" in raw:
            item["item"] = self._below(raw)
        if item.get("item"):
            item["item"] = self.items(item["item"], name)
        self._type(item, name)
        if item.get("type") == "display" and not item.get("linkId"):
            self.unnamed += 1
            item["linkId"] = f"display-without-link-id-{self.unnamed}"
            self.warn("-", "a display has no linkId", "it is shown all the same; give it one")
        return item

    def renamed(
        self, raw: Mapping[str, Any], known: Sequence[str], others: Mapping[str, str], link_id: str
    ) -> dict[str, Any]:
        """Keys as R4 spells them, where it is clear which is meant."""
        right = {key.lower(): key for key in known}
        found: dict[str, Any] = {}
        for key, value in raw.items():
            bare = str(key).lower().replace("-", "")
            name = right.get(bare) or right.get(bare.replace("_", "")) or others.get(bare) or str(key)
            if str(key) in known or str(key).startswith("_") or name == key:
                found[str(key)] = value
            elif name in raw or name in found:
                self.warn(link_id, f"it has both '{key}' and '{name}'", f"'{name}' is used; delete the other")
            else:
                self.warn(link_id, f"it says '{key}' for '{name}'", f"it is read as '{name}'; rename it")
                found[name] = value
        return found

    # --- parts of an item -------------------------------------------------------------------------------------------

    def _values(self, item: dict[str, Any], link_id: str) -> None:
        for name in ("required", "repeats", "readOnly"):
            if name in item and not isinstance(item[name], bool):
                item[name] = str(item[name]).strip().lower() in ("true", "1", "yes")
                self.warn(link_id, f"its {name} is no boolean", "it is read as one; write true or false")
        if "maxLength" in item and not isinstance(item["maxLength"], int):
            number = re.fullmatch(r"\s*(\d{1,9})(?:\.0*)?\s*", str(item["maxLength"]))
            self.warn(link_id, "its maxLength is no whole number", "write a number without quotes")
            item["maxLength"] = int(number.group(1)) if number else None
        self._initial(item, link_id)
        self._options(item, link_id)
        if "enableWhen" in item:
            whens = item["enableWhen"]
            if isinstance(whens, Mapping):
                self.warn(link_id, "its enableWhen is an object", "it is read as a list of one; write a list")
            item["enableWhen"] = [self._when(when, link_id) for when in _list(whens) if isinstance(when, Mapping)]
        if isinstance(item.get("code"), Mapping):
            item["code"] = [item["code"]]
        if isinstance(item.get("extension"), Mapping):
            item["extension"] = [item["extension"]]
        item["extension"] = [
            self.loose(extension, link_id) if any(_VALUE.match(str(key)) for key in extension) else extension
            for extension in _list(item.get("extension"))
            if isinstance(extension, Mapping)
        ]
        if "text" in item and not isinstance(item["text"], str):
            words = item["text"]
            item["text"] = str(words.get("div", "")) if isinstance(words, Mapping) else str(words or "")
            self.warn(link_id, "its text is no text", "it is read as one; write a text")
        self._disabled_display(item, link_id)

    def _disabled_display(self, item: dict[str, Any], link_id: str) -> None:
        if item.pop("disabledDisplay", None) == "protected":
            self.warn(link_id, "it has R5's disabledDisplay", "what is switched off is not asked; delete it")

    def _initial(self, item: dict[str, Any], link_id: str) -> None:
        old = [key for key in item if key.startswith("initial") and _VALUE.match(key)]
        if old:
            self.warn(link_id, f"it has STU3's {old[0]}", "it is read as initial; convert the file")
            item["initial"] = [{f"value{key.removeprefix('initial')}": item.pop(key)} for key in old]
        values = item.get("initial")
        if values is None:
            return
        item["initial"] = [
            self.loose(value, link_id) if isinstance(value, Mapping) else _bare_value(value, str(item.get("type")))
            for value in (values if isinstance(values, list) else [values])
        ]

    def _options(self, item: dict[str, Any], link_id: str) -> None:
        reference = item.get("answerValueSet")
        if isinstance(reference, Mapping):
            item["answerValueSet"] = reference.get("reference") or reference.get("url")
        elif isinstance(reference, list):
            item.setdefault("answerOption", reference)
            del item["answerValueSet"]
        options = item.get("answerOption")
        if options is None:
            return
        item["answerOption"] = [
            one for option in (options if isinstance(options, list) else [options])
            for one in [self._option(option, link_id)] if one is not None
        ]  # fmt: skip

    def _option(self, option: object, link_id: str) -> Mapping[str, Any] | None:
        if isinstance(option, str | int) and not isinstance(option, bool):
            self.warn(link_id, "its options are bare values", "they are read as they stand; use answerOption.value[x]")
            return {"valueInteger" if isinstance(option, int) else "valueString": option}
        if not isinstance(option, Mapping) or not option:
            self.warn(link_id, "one of its options is empty", "it is left out; delete it")
            return None
        if any(_VALUE.match(str(key)) for key in option):
            return self.loose(option, link_id)
        bare = option.get("value", option)
        if isinstance(bare, Mapping) and ("code" in bare or "display" in bare):
            self.warn(link_id, "its options are bare codings", "they are read as valueCoding; write them so")
            inner = [] if bare is option else _list(bare.get("extension"))
            coding = {key: bare[key] for key in bare if key not in ("extension", "modifierExtension")}
            return {"valueCoding": coding, "extension": [*_list(option.get("extension")), *inner]}
        return option

    def _when(self, when: Mapping[str, Any], link_id: str) -> dict[str, Any]:
        found = self.renamed(when, _WHEN_KEYS, {"linkid": "question"}, link_id)
        found = self.loose(found, link_id)
        if "hasAnswer" in found:
            self.warn(link_id, "its enableWhen has STU3's hasAnswer", "it is read as exists; convert the file")
            has = found.pop("hasAnswer")
            found |= {"operator": "exists", "answerBoolean": has is True or str(has).lower() == "true"}
        if not found.get("operator"):
            self.warn(link_id, "its enableWhen has no operator", "'=' is assumed, as in STU3; write it down")
            found["operator"] = "="
        operators = {"==": "=", "<>": "!=", "equals": "=", "not-equals": "!=", "≥": ">=", "≤": "<=", "in": "="}
        found["operator"] = operators.get(str(found["operator"]), str(found["operator"]))
        if not any(key.startswith("answer") for key in found):
            bare = next((found.pop(key) for key in ("value", "valueBoolean", "valueString") if key in found), None)
            if bare is not None:
                self.warn(link_id, "its enableWhen has no answer[x]", "its value is taken for it; convert the file")
                kind = {bool: "Boolean", int: "Integer", float: "Decimal"}.get(type(bare), "String")
                found[f"answer{kind}"] = bare
        return found

    def _type(self, item: dict[str, Any], link_id: str) -> None:
        written = item.get("type")
        constraint = item.pop("answerConstraint", None)
        has_options = bool(item.get("answerOption") or item.get("answerValueSet"))
        kind = str(written or "")
        if kind in ("coding", "question") and (has_options or kind == "coding"):
            kind = "open-choice" if constraint in ("optionsOrString", "optionsOrType") else "choice"
            self.warn(link_id, f"its type is R5's '{written}'", f"it is read as '{kind}'; convert the file")
        elif kind == "question":
            kind = "group" if item.get("item") else "string"
            self.warn(link_id, "its type 'question' is abstract", f"it is read as '{kind}'; write its type")
        elif not kind and (has_options or item.get("item")):
            kind = "choice" if has_options else "group"
            self.warn(link_id, "it has no type", f"it is read as '{kind}'; write it down")
        elif kind not in QUESTION_TYPES | {"group", "display"}:
            bare = kind.strip().lower().replace("_", "").replace("-", "").replace(" ", "")
            same = {known.lower().replace("-", ""): known for known in (*QUESTION_TYPES, "group", "display")}
            meant = same.get(bare) or _OTHER_TYPES.get(bare)
            if meant is not None:
                self.warn(link_id, f"its type is '{written}'", f"it is read as '{meant}'; write that")
                kind = meant
        if has_options and kind in ("string", "text", "integer", "decimal", "date", "time", "quantity", "reference"):
            self.warn(link_id, f"it has options, but its type is '{kind}'", "it is read as a choice; write 'choice'")
            kind = "open-choice" if kind in ("string", "text") and constraint != "optionsOnly" else "choice"
        if kind:
            item["type"] = kind

    def loose(self, holder: Mapping[str, Any], link_id: str) -> dict[str, Any]:
        """Numbers and booleans that are written as texts."""
        found = dict(holder)
        for key, value in holder.items():
            match = _VALUE.match(str(key))
            if match is None:
                continue
            mended = _mended(match.group(1), value)
            if mended is not value:
                self.warn(link_id, f"its {key} is written as {value!r}", f"it is read as {mended!r}; write that")
                found[key] = mended
        return found


def _mended(kind: str, value: Any) -> Any:
    """The value in its own type where it is clear what is meant, else as it is."""
    if kind == "Boolean" and isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if kind == "Integer" and isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,10}(\.0+)?\s*", value):
        return int(float(value))
    if kind == "Integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind == "Decimal" and isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d+(\.\d+)?([eE][+-]?\d+)?\s*", value):
        return float(value)
    if kind in ("String", "Date", "DateTime", "Time", "Uri", "Code") and isinstance(value, int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if kind == "Coding" and isinstance(value, str):
        return {"code": value}
    if kind == "Coding" and isinstance(value, Mapping) and not isinstance(value.get("code", ""), str):
        return {**value, "code": str(value["code"])}
    if kind == "Quantity" and isinstance(value, int | float):
        return {"value": value}
    return value


def _bare_value(value: Any, kind: str) -> Mapping[str, Any]:
    """An initial value that stands without its value[x]."""
    names = {
        "boolean": "Boolean", "integer": "Integer", "decimal": "Decimal", "date": "Date", "dateTime": "DateTime",
        "time": "Time", "url": "Uri", "choice": "Coding", "open-choice": "Coding",
    }  # fmt: skip
    name = names.get(kind, "String")
    return {f"value{name}": _mended(name, value)}


def plain_text(text: str) -> tuple[str, str]:
    """A text without marks, and which marks it had: HTML, Markdown or none."""
    found = text
    marks = ""
    if "<" in found and _TAGS.search(found):
        marks = "HTML"
        found = _TAGS.sub(" ", re.sub(r"(?i)<(?:br|/p|/li|/div|/tr|/h\d)\s*/?>", "\n", found))
    if "&" in found:
        unescaped = html.unescape(found)
        marks = marks or ("HTML" if unescaped != found else "")
        found = unescaped
    for pattern, replacement in _MARKDOWN:
        bare = pattern.sub(replacement, found)
        if bare != found:
            marks, found = marks or "Markdown", bare
    if not marks:
        return text, ""
    lines = (re.sub(r"[ \t\xa0]+", " ", line).strip() for line in found.splitlines())
    return "\n".join(line for line in lines if line), marks


def _list(raw: object) -> list[Any]:
    if raw is None:
        return []
    return list(raw) if isinstance(raw, list | tuple) else [raw]


def entries(raw: object) -> Iterator[Mapping[str, Any]]:
    """The objects of a list that may hold anything, or be missing, or be one object."""
    yield from (entry for entry in _list(raw) if isinstance(entry, Mapping))
