"""Reads a FHIR R4 Questionnaire into the form the engine runs, or refuses it item by item with the mend."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from carethread.questionnaires.definition import (
    QUESTION_TYPES,
    AnswerOption,
    Condition,
    Item,
    Problem,
    Questionnaire,
    Wording,
    questionnaire,
)
from carethread.questionnaires.readings.quantities import known_unit
from carethread.questionnaires.values import Coding, Value, decimal_from, value_from

_HL7 = "http://hl7.org/fhir/StructureDefinition/"
_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/"
_OURS = "https://carethread.example/fhir/StructureDefinition/"

TRANSLATION = _HL7 + "translation"
ALSO_SAID = _OURS + "also-said"  # on an answerOption: other words patients use for it (valueString, repeats)
OTHER_WORDS = _OURS + "other-words"  # on an item: the question put differently, for when it was not understood

_MIN, _MAX = _HL7 + "minValue", _HL7 + "maxValue"
_DECIMALS = _HL7 + "maxDecimalPlaces"
_ORDINAL = (_HL7 + "ordinalValue", _HL7 + "itemWeight")
_HIDDEN = _HL7 + "questionnaire-hidden"
_UNIT, _UNIT_OPTION = _HL7 + "questionnaire-unit", _HL7 + "questionnaire-unitOption"
_CATEGORY, _CONTROL = _HL7 + "questionnaire-displayCategory", _HL7 + "questionnaire-itemControl"

# What an item may ask for that this version does not do; running the form without it would give wrong results.
_NOT_RUN = {
    _SDC + "sdc-questionnaire-calculatedExpression": "it is calculated from other answers (calculatedExpression)",
    _SDC + "sdc-questionnaire-enableWhenExpression": "it is switched on by an expression (enableWhenExpression)",
    _SDC + "sdc-questionnaire-answerExpression": "its options come from an expression (answerExpression)",
}
_TYPES_NOT_RUN = {"dateTime", "time", "url", "reference", "attachment"}
_OPERATORS = {"exists", "=", "!=", ">", "<", ">=", "<="}
_MOST_ITEMS = 2000
_DEEPEST = 40


class QuestionnaireRefused(ValueError):
    """The file cannot be run; `problems` says for each item why, and what to change."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        self.name = name
        self.problems = tuple(problems)
        super().__init__(f"questionnaire '{name}' cannot be run: " + " | ".join(map(str, problems)))


def load(resource: Mapping[str, Any]) -> Questionnaire:
    """The questionnaire ready to run.

    Raises `QuestionnaireRefused` naming every item that cannot be run and why.
    """
    if not isinstance(resource, Mapping) or resource.get("resourceType") != "Questionnaire":
        raise QuestionnaireRefused(
            "?", [Problem("-", "the file is no FHIR Questionnaire", "its resourceType must be 'Questionnaire'")]
        )
    loader = _Loader(resource)
    items = loader.items(resource.get("item"), depth=0)
    title = _wording(resource, "title") or Wording(str(resource.get("name") or resource.get("url") or ""))
    loader.check_whole(items)
    if loader.refusals:
        raise QuestionnaireRefused(str(resource.get("url") or title.text or "?"), loader.refusals)
    return questionnaire(
        str(resource.get("url") or f"urn:questionnaire:{resource.get('id', 'unnamed')}"),
        str(resource.get("version") or ""),
        title,
        items,
        tuple(loader.warnings),
    )


@dataclass(slots=True)
class _Loader:
    resource: Mapping[str, Any]
    refusals: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    count: int = 0

    def items(self, raws: object, *, depth: int) -> tuple[Item, ...]:
        if not isinstance(raws, Sequence) or isinstance(raws, str):
            return ()
        if depth > _DEEPEST:
            self.refuse("-", f"items lie more than {_DEEPEST} deep", "flatten the groups")
            return ()
        found = [self.item(raw, depth=depth) for raw in raws if isinstance(raw, Mapping)]
        return tuple(item for item in found if item is not None)

    def item(self, raw: Mapping[str, Any], *, depth: int) -> Item | None:
        self.count += 1
        link_id = str(raw.get("linkId") or "")
        if not link_id:
            self.refuse("-", f"item number {self.count} has no linkId", "give it one")
            return None
        kind = str(raw.get("type") or "")
        if kind not in QUESTION_TYPES | {"group", "display"}:
            known = "not run yet" if kind in _TYPES_NOT_RUN else "no R4 item type"
            self.refuse(link_id, f"its type '{kind}' is {known}", "leave it out or ask for it as text")
            return None
        extensions = _extensions(raw)
        for url, why in _NOT_RUN.items():
            if url in extensions:
                self.refuse(link_id, why, "this version cannot compute it: leave the item out")
        children = [child for child in raw.get("item") or [] if isinstance(child, Mapping)]
        helps = [child for child in children if _is_help(child)]
        wording = self._text(raw, link_id)
        silent = bool(raw.get("readOnly")) or _first(extensions, _HIDDEN) is True
        item = Item(
            link_id,
            kind,
            wording,
            other_words=_extension_wording(raw, OTHER_WORDS),
            help=_wording(helps[0], "text") if helps else None,
            prefix=str(raw.get("prefix") or ""),
            required=bool(raw.get("required")) and not silent,
            repeats=bool(raw.get("repeats")),
            silent=silent,
            options=self._options(raw, link_id, kind) if kind in ("choice", "open-choice") and not silent else (),
            conditions=self._conditions(raw, link_id),
            all_conditions=raw.get("enableBehavior") == "all",
            initial=self._values(raw.get("initial"), link_id),
            minimum=self._limit(raw, _MIN, link_id),
            maximum=self._limit(raw, _MAX, link_id),
            max_length=raw["maxLength"] if isinstance(raw.get("maxLength"), int) and raw["maxLength"] > 0 else None,
            max_decimals=_as_int(_first(extensions, _DECIMALS)),
            units=self._units(extensions, kind),
            codes=tuple(_coding(code) for code in raw.get("code") or [] if isinstance(code, Mapping)),
            items=self.items([child for child in children if not _is_help(child)], depth=depth + 1),
        )
        if item.repeats and (kind == "group" or kind not in ("choice", "open-choice", "display")):
            self.warn(link_id, "it repeats", "it is asked once; put further rows into items of their own")
        if item.is_question and not silent and not wording.text.strip():
            self.warn(link_id, "it has no text", "give it a text; until then its code or link id is asked")
        return item

    # --- parts of an item -----------------------------------------------------------------------------------------

    def _text(self, raw: Mapping[str, Any], link_id: str) -> Wording:
        wording = _wording(raw, "text")
        if wording is None:
            codes = [_coding(code).display for code in raw.get("code") or [] if isinstance(code, Mapping)]
            return Wording(next((display for display in codes if display), ""))
        if any(re.search(r"<[a-zA-Z/][^>]*>", text) for text in wording.all()):
            self.warn(link_id, "its text holds HTML", "the marks are dropped; write plain text")
            return Wording(_plain(wording.text), {tag: _plain(text) for tag, text in wording.translations.items()})
        return wording

    def _options(self, raw: Mapping[str, Any], link_id: str, kind: str) -> tuple[AnswerOption, ...]:
        found: list[AnswerOption] = []
        for option in raw.get("answerOption") or []:
            made = self._option(option, link_id)
            if made is not None:
                found.append(made)
        reference = raw.get("answerValueSet")
        if isinstance(reference, str) and not found:
            found = self._value_set(reference, link_id)
        elif not found and not reference and kind == "choice":
            self.refuse(link_id, "it offers nothing to choose", "give it answerOption or a contained answerValueSet")
        keys = Counter(option.key for option in found)
        return tuple(option if keys[option.key] == 1 else _renamed(option, place) for place, option in enumerate(found))

    def _option(self, raw: Any, link_id: str) -> AnswerOption | None:
        value = self._value(raw, link_id)
        if value is None:
            self.warn(
                link_id, "one of its options has no value we know", "use valueCoding, valueString or valueInteger"
            )
            return None
        extensions = _extensions(raw)
        wording = Wording(_shown(value))
        if isinstance(value.value, Coding):
            coding = raw["valueCoding"]
            extensions = {**_extensions(coding), **extensions}
            wording = _wording(coding, "display") or wording
            if not value.value.display:
                self.warn(link_id, f"its option '{value.value.code}' has no display", "the code is shown instead")
        elif value.kind == "String":
            wording = _wording(raw, "valueString") or wording
        score = next((found for url in _ORDINAL for found in extensions.get(url, ()) if found is not None), None)
        also = tuple(str(words) for words in extensions.get(ALSO_SAID, ()))
        return AnswerOption(_key(value), value, wording, also, None if score is None else _as_decimal(score))

    def _value_set(self, reference: str, link_id: str) -> list[AnswerOption]:
        contained = [raw for raw in self.resource.get("contained") or [] if isinstance(raw, Mapping)]
        wanted = reference.removeprefix("#")
        value_set = next(
            (
                raw
                for raw in contained
                if raw.get("resourceType") == "ValueSet" and wanted in (raw.get("id"), raw.get("url"))
            ),
            None,
        )
        if value_set is None:
            self.refuse(
                link_id,
                f"its answerValueSet '{reference}' is not in the file",
                "contain the ValueSet or use answerOption",
            )
            return []
        found = [_concept_option(system, concept) for system, concept in _concepts(value_set)]
        if not found:
            self.refuse(link_id, f"its ValueSet '{reference}' lists no codes", "list them in compose or expansion")
        return found

    def _conditions(self, raw: Mapping[str, Any], link_id: str) -> tuple[Condition, ...]:
        found: list[Condition] = []
        for condition in raw.get("enableWhen") or []:
            operator = str(condition.get("operator") or "")
            try:
                answer = value_from(condition, "answer")
            except ValueError as error:
                answer = None
                self.refuse(link_id, f"its enableWhen is unreadable: {error}", "write the answer in its own type")
            if operator not in _OPERATORS:
                self.refuse(
                    link_id, f"its enableWhen has the operator '{operator}'", "use one of exists = != > < >= <="
                )
            elif answer is None:
                self.refuse(link_id, "its enableWhen compares with nothing", "give it an answer[x]")
            else:
                found.append(Condition(str(condition.get("question") or ""), operator, answer))
        if len(found) > 1 and raw.get("enableBehavior") not in ("all", "any"):
            self.warn(link_id, "it has several enableWhen and no enableBehavior", "'any' is assumed; write it down")
        return tuple(found)

    def _units(self, extensions: Mapping[str, tuple[Any, ...]], kind: str) -> tuple[Coding, ...]:
        if kind not in ("quantity", "integer", "decimal"):
            return ()
        written = [_coding(raw) for url in (_UNIT, _UNIT_OPTION) for raw in extensions.get(url, ()) if raw]
        found: dict[str, Coding] = {}
        for coding in written:
            code = known_unit(coding.code) or known_unit(coding.display) or coding.code or coding.display
            found.setdefault(code, Coding(code, coding.system, coding.display or coding.code))
        return tuple(found.values())

    def _limit(self, raw: Mapping[str, Any], url: str, link_id: str) -> Value | None:
        for extension in raw.get("extension") or []:
            if isinstance(extension, Mapping) and extension.get("url") == url:
                return self._value(extension, link_id)
        return None

    def _values(self, raws: object, link_id: str) -> tuple[Value, ...]:
        found = [self._value(raw, link_id) for raw in raws] if isinstance(raws, list) else []
        return tuple(value for value in found if value is not None)

    def _value(self, raw: Any, link_id: str) -> Value | None:
        try:
            return value_from(raw) if isinstance(raw, Mapping) else None
        except ValueError as error:
            self.refuse(
                link_id, f"it holds a value that is not of its type: {error}", "write the value in its own type"
            )
            return None

    # --- the whole -------------------------------------------------------------------------------------------------

    def check_whole(self, items: tuple[Item, ...]) -> None:
        if not items and not self.refusals:
            self.refuse("-", "it has no items", "add at least one question")
        if self.count > _MOST_ITEMS:
            self.refuse("-", f"it has {self.count} items", f"a conversation takes {_MOST_ITEMS} at most: split it")
        whole = questionnaire("", "", Wording(""), items, ())
        order = [item.link_id for item in whole.walk()]
        for link_id, times in Counter(order).items():
            if times > 1:
                self.refuse(link_id, f"{times} items have this link id", "link ids must differ")
        places = {link_id: place for place, link_id in enumerate(order)}
        needs: dict[str, set[str]] = {}
        for item in whole.walk():
            needs.setdefault(item.link_id, set())
            parent = whole.parent(item.link_id)
            if parent is not None:
                needs[item.link_id].add(parent.link_id)
            for condition in item.conditions:
                if condition.question not in places:
                    self.refuse(
                        item.link_id,
                        f"its enableWhen asks about '{condition.question}', which no item is",
                        "name an item",
                    )
                    continue
                needs[item.link_id].add(condition.question)
                if places[condition.question] > places[item.link_id]:
                    self.warn(
                        item.link_id,
                        f"its enableWhen asks about the later item '{condition.question}'",
                        "it is asked after that one; move it down",
                    )
        loop = _loop(needs)
        if loop:
            self.refuse(loop[0], "enableWhen goes round in a loop: " + " → ".join(loop), "take one of them out")
        if not any(item.is_question for item in whole.walk()) and not self.refusals:
            self.warn("-", "it asks nothing", "add a question")

    def refuse(self, link_id: str, reason: str, mend: str) -> None:
        self.refusals.append(Problem(link_id, reason, mend))

    def warn(self, link_id: str, reason: str, mend: str) -> None:
        self.warnings.append(Problem(link_id, reason, mend))


# --- reading FHIR elements --------------------------------------------------------------------------------------------


def _extensions(raw: Any) -> dict[str, tuple[Any, ...]]:
    """The plain values of an element's extensions, by url."""
    found: dict[str, list[Any]] = {}
    for extension in (raw.get("extension") or []) if isinstance(raw, Mapping) else []:
        if isinstance(extension, Mapping) and extension.get("url"):
            value = next((extension[key] for key in extension if key.startswith("value")), None)
            found.setdefault(str(extension["url"]), []).append(value)
    return {url: tuple(values) for url, values in found.items()}


def _first(extensions: Mapping[str, tuple[Any, ...]], url: str) -> Any:
    return next(iter(extensions.get(url, ())), None)


def _wording(raw: Mapping[str, Any], name: str) -> Wording | None:
    """A text with the translations its `_name` sibling carries."""
    text = raw.get(name)
    if not isinstance(text, str):
        return None
    return Wording(text, _translations(raw.get(f"_{name}")))


def _translations(sibling: object) -> dict[str, str]:
    found: dict[str, str] = {}
    for extension in (sibling.get("extension") or []) if isinstance(sibling, Mapping) else []:
        if isinstance(extension, Mapping) and extension.get("url") == TRANSLATION:
            parts: dict[str, Any] = {
                part.get("url", ""): next((part[key] for key in part if key.startswith("value")), None)
                for part in extension.get("extension") or []
                if isinstance(part, Mapping)
            }
            if isinstance(parts.get("lang"), str) and isinstance(parts.get("content"), str):
                found[parts["lang"]] = parts["content"]
    return found


def _extension_wording(raw: Mapping[str, Any], url: str) -> Wording | None:
    for extension in raw.get("extension") or []:
        if isinstance(extension, Mapping) and extension.get("url") == url:
            return _wording(extension, "valueString")
    return None


def _is_help(raw: Mapping[str, Any]) -> bool:
    """A display that explains its question rather than standing for itself."""
    if raw.get("type") != "display":
        return False
    concepts = [_first(_extensions(raw), url) for url in (_CATEGORY, _CONTROL)]
    codes = {
        str(coding.get("code"))
        for concept in concepts
        if isinstance(concept, Mapping)
        for coding in concept.get("coding") or []
    }
    return bool(codes & {"help", "instructions", "flyover", "prompt"})


def _coding(raw: Mapping[str, Any]) -> Coding:
    return Coding(str(raw.get("code") or ""), str(raw.get("system") or ""), str(raw.get("display") or ""))


def _concepts(value_set: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    expansion = (value_set.get("expansion") or {}).get("contains") or []
    if expansion:
        yield from ((str(concept.get("system") or ""), concept) for concept in expansion)
        return
    for include in (value_set.get("compose") or {}).get("include") or []:
        for concept in include.get("concept") or []:
            yield str(include.get("system") or ""), concept


def _concept_option(system: str, concept: Mapping[str, Any]) -> AnswerOption:
    coding = Coding(str(concept.get("code") or ""), system, str(concept.get("display") or ""))
    translations = {
        str(designation["language"]): str(designation["value"])
        for designation in concept.get("designation") or []
        if designation.get("language") and designation.get("value")
    } | _translations(concept.get("_display"))
    scores = [found for url in _ORDINAL for found in _extensions(concept).get(url, ()) if found is not None]
    value = Value("Coding", coding)
    return AnswerOption(
        _key(value), value, Wording(_shown(value), translations), (), _as_decimal(scores[0]) if scores else None
    )


def _shown(value: Value) -> str:
    if isinstance(value.value, Coding):
        return value.value.display or value.value.code
    return str(value.value)


def _key(value: Value) -> str:
    if isinstance(value.value, Coding):
        return value.value.code or value.value.display
    return str(value.value)


def _renamed(option: AnswerOption, place: int) -> AnswerOption:
    """An option whose key another one has too: its system, or its place, tells them apart."""
    system = option.value.value.system if isinstance(option.value.value, Coding) else ""
    key = f"{system}|{option.key}" if system else f"{option.key}#{place + 1}"
    return AnswerOption(key, option.value, option.wording, option.also_said, option.score)


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text)).strip()


def _as_int(raw: object) -> int | None:
    return raw if isinstance(raw, int) and not isinstance(raw, bool) else None


def _as_decimal(raw: object) -> Decimal | None:
    try:
        return decimal_from(raw)
    except ValueError:
        return None


def _loop(needs: Mapping[str, set[str]]) -> list[str]:
    """A loop of items that wait for each other, or nothing."""
    done: set[str] = set()
    for start in needs:
        path: list[str] = []
        stack: list[tuple[str, bool]] = [(start, False)]
        while stack:
            link_id, leaving = stack.pop()
            if leaving:
                path.pop()
                done.add(link_id)
                continue
            if link_id in path:
                return [*path[path.index(link_id) :], link_id]
            if link_id in done:
                continue
            path.append(link_id)
            stack.append((link_id, True))
            stack.extend((need, False) for need in sorted(needs.get(link_id, ())))
    return []
