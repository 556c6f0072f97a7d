"""Reads a FHIR R4 Questionnaire into the form the engine runs, or refuses it item by item with the mend.

A file of another release or with slips is first brought into R4's shape (`normalising`). What cannot be done but does
no harm is left out with a warning; what would give wrong results is refused.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from carethread.questionnaires.definition import (
    NO_EXPRESSIONS,
    QUESTION_TYPES,
    AnswerOption,
    Condition,
    Constraint,
    Expressions,
    Item,
    Problem,
    Questionnaire,
    Toggle,
    Variable,
    Wording,
    every,
    questionnaire,
)
from carethread.questionnaires.fhirpath import NotFhirPath, Path, path, safe_pattern
from carethread.questionnaires.normalising import entries, normalised, plain_text
from carethread.questionnaires.readings.quantities import known_unit
from carethread.questionnaires.readings.text import plain
from carethread.questionnaires.values import Amount, Coding, Value, decimal_from, value_from
from carethread.questionnaires.valuesets import Concept, UnknownValueSet, ValueSets, expanded

_OURS = "https://carethread.example/fhir/StructureDefinition/"

ALSO_SAID = _OURS + "also-said"  # on an answerOption: other words patients use for it (valueString, repeats)
OTHER_WORDS = _OURS + "other-words"  # on an item: the question put differently, for when it was not understood

_ORDINAL = ("ordinalValue", "itemWeight", "CO-value")
_OPERATORS = {"exists", "=", "!=", ">", "<", ">=", "<="}
_FHIRPATH = {"text/fhirpath", "", "fhirpath", "text/FHIRPath"}
_MOST_ITEMS = 2000
_DEEPEST = 40
_MOST_OCCURRENCES = 30  # rows or answers of one item that a conversation collects
# Extensions are known by the last part of their url, without the prefixes that changed between releases of SDC.
_HL7 = re.compile(r"^(?:https?://(?:[a-z.]*hl7\.org|fhir\.org)/.*/)?(?:sdc-)?(?:questionnaire-|iso21090-)?([^/]+)$")
_CONTROLS_OF_HELP = {"help", "instructions", "flyover", "prompt", "security", "help-link"}
_CONTROLS_BESIDE = {"unit", "lower", "upper", "legal-short"}
# What a launch context may name, besides what the form itself declares.
_GIVEN_NAMES = {
    "resource", "rootResource", "context", "questionnaire", "qitem", "patient", "user", "encounter", "practitioner",
    "subject", "ucum", "sct", "loinc", "source", "author", "study", "clinical",
}  # fmt: skip


class QuestionnaireRefused(ValueError):
    """The file cannot be run; `problems` says for each item why, and what to change."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        self.name = name
        self.problems = tuple(problems)
        super().__init__(f"questionnaire '{name}' cannot be run: " + " | ".join(map(str, problems)))


def load(resource: object, value_sets: ValueSets | None = None) -> Questionnaire:
    """The questionnaire ready to run.

    `value_sets` are ValueSet resources by url, for those that the form refers to without holding them. A Questionnaire
    in a Bundle, Parameters or a list is taken out of it. Raises `QuestionnaireRefused` naming every item that cannot
    be run and why.
    """
    found = normalised(resource)
    if found.form is None:
        raise QuestionnaireRefused(
            "?", [Problem("-", "the file is no FHIR Questionnaire", "its resourceType must be 'Questionnaire'")]
        )
    form = found.form
    loader = _Loader(form, {**found.value_sets, **(value_sets or {})}, warnings=found.warnings)
    title = _wording(form, "title") or Wording(str(form.get("name") or form.get("url") or form.get("id") or ""))
    root, scope = loader.whole(form)
    items = loader.items(form.get("item"), depth=0, silent=False, scope=scope, extract=_observed(form, False))
    items = loader.checked(items)
    if loader.refusals:
        raise QuestionnaireRefused(str(form.get("url") or title.text or "?"), loader.refusals)
    return questionnaire(
        str(form.get("url") or f"urn:questionnaire:{form.get('id', 'unnamed')}"),
        str(form.get("version") or ""),
        title,
        items,
        tuple(loader.warnings),
        expressions=root,
        observation=_observed(form, False),
        resource=form,
    )


@dataclass(slots=True)
class _Loader:
    resource: Mapping[str, Any]
    value_sets: ValueSets
    refusals: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    count: int = 0
    expansions: dict[str, tuple[AnswerOption, ...]] = field(default_factory=dict)

    def items(
        self, raws: object, *, depth: int, silent: bool, scope: frozenset[str], extract: bool
    ) -> tuple[Item, ...]:
        if depth > _DEEPEST:
            self.refuse("-", f"items lie more than {_DEEPEST} deep", "flatten the groups")
            return ()
        found = [self.item(raw, depth=depth, silent=silent, scope=scope, extract=extract) for raw in entries(raws)]
        return tuple(item for item in found if item is not None)

    def item(
        self, raw: Mapping[str, Any], *, depth: int, silent: bool, scope: frozenset[str], extract: bool
    ) -> Item | None:
        self.count += 1
        link_id = str(raw.get("linkId") or "")
        if not link_id:
            self.refuse("-", f"item number {self.count} has no linkId", "give it one")
            return None
        kind = str(raw.get("type") or "")
        if kind not in QUESTION_TYPES | {"group", "display"}:
            self.refuse(link_id, f"its type '{kind}' is no R4 item type", "leave it out or ask for it as text")
            return None
        extensions = _extensions(raw)
        children = list(entries(raw.get("item")))
        aside = {id(child) for child in children if _is_aside(child)}
        helps = [child for child in children if _is_help(child)]
        wording = self._text(raw, link_id, helps)
        silent = silent or raw.get("readOnly") is True or _first(extensions, "hidden") is True
        expressions, scope = self.expressions(raw, link_id, scope)
        silent = silent or expressions.calculated is not None
        occurs = self._occurs(raw, extensions, link_id)
        extract = _observed(raw, extract)
        help_words = next((words for child in helps for words in [_wording(child, "text")] if words), None)
        item = Item(
            link_id,
            kind,
            wording,
            other_words=_extension_wording(raw, OTHER_WORDS),
            help=help_words if help_words is not None and help_words.text != wording.text else None,
            prefix=_plain(str(raw.get("prefix") or "")),
            required=(raw.get("required") is True or occurs[0] > 0) and not silent and kind != "display",
            repeats=raw.get("repeats") is True and kind != "display",
            silent=silent,
            conditions=self._conditions(raw, link_id),
            all_conditions=raw.get("enableBehavior") == "all",
            initial=self._values(raw.get("initial"), link_id),
            minimum=self._limit(raw, ("minValue", "minQuantity"), link_id),
            maximum=self._limit(raw, ("maxValue", "maxQuantity"), link_id),
            min_length=_as_int(_first(extensions, "minLength")),
            max_length=raw["maxLength"] if isinstance(raw.get("maxLength"), int) and raw["maxLength"] > 0 else None,
            max_decimals=_as_int(_first(extensions, "maxDecimalPlaces")),
            pattern=self._pattern(extensions, link_id),
            entry_format=_extension_words(raw, "entryFormat"),
            occurs=occurs,
            units=self._units(raw, extensions, kind, link_id),
            codes=tuple(_coding(code) for code in entries(raw.get("code"))),
            control=_control(raw),
            low_label=_beside(children, "lower"),
            high_label=_beside(children, "upper"),
            support_link=str(_first(extensions, "supportLink") or ""),
            observation=extract,
            category=_category(extensions),
            expressions=expressions,
            items=self.items(
                [child for child in children if id(child) not in aside],
                depth=depth + 1, silent=silent, scope=scope, extract=extract,
            ),
            raw=raw,
        )  # fmt: skip
        if kind in ("choice", "open-choice"):
            item = self._with_options(item, raw)
        self._oddities(item)
        return item

    def _oddities(self, item: Item) -> None:
        if item.repeats and item.type == "boolean":
            self.warn(item.link_id, "it repeats, but is a yes-no question", "it is asked once; delete repeats")
        if item.is_question and not item.silent and not item.wording.text.strip():
            self.warn(item.link_id, "it has no text", "give it a text; until then its code or link id is asked")
        if item.type == "display" and item.items:
            self.warn(item.link_id, "it is a display with items", "they follow it; make it a group")
        if item.type == "group" and not item.items:
            self.warn(item.link_id, "it is a group without items", "it asks nothing; delete it")

    # --- parts of an item -----------------------------------------------------------------------------------------

    def _text(self, raw: Mapping[str, Any], link_id: str, helps: Sequence[Mapping[str, Any]]) -> Wording:
        wording = _wording(raw, "text")
        if wording is None or not wording.text.strip():
            wording = _marked_up(raw.get("_text")) or wording
        if wording is None or not wording.text.strip():
            said = next((words for child in helps for words in [_wording(child, "text")] if words), None)
            displays = (_coding(code).display for code in entries(raw.get("code")))
            wording = said or Wording(next((display for display in displays if display), ""))
            if said is not None:
                self.warn(link_id, "it has no text of its own", "its help is asked; give it a text")
        plain = {text: plain_text(text) for text in wording.all()}
        marks = next((found for _, found in plain.values() if found), "")
        if not marks:
            return wording
        self.warn(link_id, f"its text holds {marks}", "the marks are dropped; write plain text")
        return Wording(plain[wording.text][0], {tag: plain[text][0] for tag, text in wording.translations.items()})

    def _occurs(
        self, raw: Mapping[str, Any], extensions: Mapping[str, tuple[Any, ...]], link_id: str
    ) -> tuple[int, int | None]:
        low, high = _as_int(_first(extensions, "minOccurs")) or 0, _as_int(_first(extensions, "maxOccurs"))
        if high is not None and (high < 1 or high < low):
            self.warn(link_id, f"its maxOccurs is {high}", "it is not heeded; write at least minOccurs")
            high = None
        return min(low, _MOST_OCCURRENCES), high

    def _pattern(self, extensions: Mapping[str, tuple[Any, ...]], link_id: str) -> str:
        written = _first(extensions, "regex")
        if not isinstance(written, str) or not written:
            return ""
        if safe_pattern(written) is None:
            self.warn(link_id, f"its regex '{written[:60]}' cannot be used", "it is not checked; write a simpler one")
            return ""
        return written

    def _with_options(self, item: Item, raw: Mapping[str, Any]) -> Item:
        """The item with what it offers; where that cannot be known, what FHIR allows instead."""
        link_id = item.link_id
        options = [
            made for option in entries(raw.get("answerOption")) for made in [self._option(option, link_id)] if made
        ]
        reference = raw.get("answerValueSet")
        reason = ""
        if isinstance(reference, str) and reference and not options:
            try:
                options = list(self._value_set(reference))
            except UnknownValueSet as error:
                reason = f"its answerValueSet {error}"
        elif not options:
            reason = "it offers nothing to choose"
        options = _told_apart(options)
        if options or item.silent or item.expressions.options is not None:
            return replace(item, options=tuple(options))
        if item.type == "open-choice":
            self.warn(link_id, reason, "it is asked as free text; contain the ValueSet or hand it in")
            return item
        mend = "contain the ValueSet, hand it in or use answerOption"
        if item.required:
            self.refuse(link_id, reason, mend)
            return item
        self.warn(link_id, reason, f"it is not asked; {mend}")
        return replace(item, silent=True)

    def _option(self, raw: Mapping[str, Any], link_id: str) -> AnswerOption | None:
        value = self._value(raw, link_id)
        if value is None or not _shown(value):
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
            wording = wording if wording.text else Wording(_shown(value))
            if not value.value.display:
                self.warn(link_id, f"its option '{value.value.code}' has no display", "the code is shown instead")
        elif value.kind == "String":
            wording = _wording(raw, "valueString") or wording
        also = tuple(str(words) for words in extensions.get(ALSO_SAID, ()))
        return AnswerOption(
            _key(value),
            value,
            _without_marks(wording),
            also,
            _score(extensions),
            prefix=str(_first(extensions, "optionPrefix") or ""),
            exclusive=_first(extensions, "optionExclusive") is True,
            selected=raw.get("initialSelected") is True,
        )

    def _value_set(self, reference: str) -> tuple[AnswerOption, ...]:
        if reference not in self.expansions:
            concepts = expanded(reference, self.resource.get("contained"), self.value_sets)
            self.expansions[reference] = tuple(map(_concept_option, concepts))
        return self.expansions[reference]

    def _conditions(self, raw: Mapping[str, Any], link_id: str) -> tuple[Condition, ...]:
        found: list[Condition] = []
        for condition in entries(raw.get("enableWhen")):
            operator = str(condition.get("operator") or "")
            question = str(condition.get("question") or "")
            try:
                answer = value_from(condition, "answer")
            except ValueError as error:
                answer = _as_it_stands(condition)
                self.warn(link_id, f"its enableWhen is not of its type: {error}", "write the answer in its own type")
            if not question:
                self.warn(link_id, "its enableWhen names no question", "it is not heeded; name one")
            elif operator not in _OPERATORS:
                self.refuse(
                    link_id, f"its enableWhen has the operator '{operator}'", "use one of exists = != > < >= <="
                )
            elif answer is None and operator == "exists":
                self.warn(link_id, "its enableWhen exists has no answerBoolean", "true is assumed; write it down")
                found.append(Condition(question, operator, Value("Boolean", True)))
            elif answer is None:
                self.refuse(link_id, "its enableWhen compares with nothing", "give it an answer[x]")
            else:
                found.append(Condition(question, operator, answer))
        if len(found) > 1 and raw.get("enableBehavior") not in ("all", "any"):
            self.warn(link_id, "it has several enableWhen and no enableBehavior", "'any' is assumed; write it down")
        return tuple(found)

    def _units(
        self, raw: Mapping[str, Any], extensions: Mapping[str, tuple[Any, ...]], kind: str, link_id: str
    ) -> tuple[Coding, ...]:
        if kind not in ("quantity", "integer", "decimal"):
            return ()
        written = [_coding(unit) for name in ("unit", "unitOption") for unit in entries(list(extensions.get(name, ())))]
        reference = _first(extensions, "unitValueSet")
        if isinstance(reference, str) and not written:
            try:
                concepts = expanded(reference, self.resource.get("contained"), self.value_sets)
                written = [concept.coding for concept in concepts[:_MOST_OCCURRENCES]]
            except UnknownValueSet as error:
                self.warn(link_id, f"its unitValueSet {error}", "its unit is not checked; contain it or hand it in")
        if not written:
            initial = [value.value for value in self._values(raw.get("initial"), link_id)]
            written = [
                Coding(a.code or a.unit, "", a.unit) for a in initial if isinstance(a, Amount) and (a.code or a.unit)
            ]
            beside = _beside(list(entries(raw.get("item"))), "unit")
            written = written or ([Coding(beside.text, "", beside.text)] if beside is not None else [])
        found: dict[str, Coding] = {}
        for coding in written:
            code = known_unit(coding.code) or known_unit(coding.display) or coding.code or coding.display
            if code:
                found.setdefault(code, Coding(code, coding.system, coding.display or coding.code))
        return tuple(found.values())

    def _limit(self, raw: Mapping[str, Any], names: Sequence[str], link_id: str) -> Value | None:
        for extension in entries(raw.get("extension")):
            if _tail(str(extension.get("url") or "")) in names:
                found = self._value(extension, link_id, "the limit is not checked")
                if found is not None:
                    return found
        return None

    def _values(self, raws: object, link_id: str) -> tuple[Value, ...]:
        found = [self._value(raw, link_id, "it is not filled in") for raw in raws] if isinstance(raws, list) else []
        return tuple(value for value in found if value is not None)

    def _value(self, raw: Any, link_id: str, instead: str = "") -> Value | None:
        """The value[x] of an element. One that is not of its type is refused unless it can be done without."""
        try:
            return value_from(raw) if isinstance(raw, Mapping) else None
        except ValueError as error:
            reason, mend = f"it holds a value that is not of its type: {error}", "write the value in its own type"
            if instead:
                self.warn(link_id, reason, f"{instead}; {mend}")
            else:
                self.refuse(link_id, reason, mend)
            return None

    # --- expressions ----------------------------------------------------------------------------------------------

    def whole(self, raw: Mapping[str, Any]) -> tuple[Expressions, frozenset[str]]:
        """The expressions of the form itself, and the names that those of its items may use."""
        names = set(_GIVEN_NAMES)
        for extension in entries(raw.get("extension")):
            tail = _tail(str(extension.get("url") or ""))
            if tail in ("launchContext", "itemPopulationContext", "itemContext", "itemExtractionContext"):
                names |= {str(found) for found in _names_in(extension)}
            if tail == "sourceQueries":
                reference = extension.get("valueReference")
                if isinstance(reference, Mapping):
                    names.add(str(reference.get("reference") or "").removeprefix("#"))
        return self.expressions(raw, "-", frozenset(names))

    def expressions(
        self, raw: Mapping[str, Any], link_id: str, scope: frozenset[str]
    ) -> tuple[Expressions, frozenset[str]]:
        """An element's expressions, compiled, and the names known to those below it."""
        variables: list[Variable] = []
        single: dict[str, Path] = {}
        toggles: list[Toggle] = []
        constraints: list[Constraint] = []
        for extension in entries(raw.get("extension")):
            tail = _tail(str(extension.get("url") or ""))
            if tail == "variable":
                expression = extension.get("valueExpression")
                name = str(expression.get("name") or "") if isinstance(expression, Mapping) else ""
                scope |= {name}
                compiled = self._compiled(extension, link_id, f"its variable '{name}'", "it is empty", scope)
                if compiled is not None and name:
                    variables.append(Variable(name, compiled))
            elif tail in ("itemPopulationContext", "itemContext"):
                scope |= set(_names_in(extension))
            elif tail in _SINGLE:
                what, instead = _SINGLE[tail]
                compiled = self._compiled(extension, link_id, f"its {tail}", instead, scope, self._must_run(raw, tail))
                if compiled is not None:
                    single.setdefault(what, compiled)
                    for name in _names_in(extension):
                        scope |= {name}
                        variables.append(Variable(name, compiled))
            elif tail in _DONE_WITHOUT:
                self.warn(link_id, _DONE_WITHOUT[tail], "put what is needed into the file itself")
            elif tail == "answerOptionsToggleExpression":
                toggles += self._toggle(extension, link_id, scope)
            elif tail in ("constraint", "targetConstraint"):
                constraints += self._constraint(extension, link_id, scope)
        single |= self._computed_parts(raw, link_id, scope)
        if not (variables or single or toggles or constraints):
            return NO_EXPRESSIONS, scope
        single.pop("candidates", None)
        found = Expressions(tuple(variables), toggles=tuple(toggles), constraints=tuple(constraints), **single)
        return found, scope

    def _computed_parts(self, raw: Mapping[str, Any], link_id: str, scope: frozenset[str]) -> dict[str, Path]:
        """The text and the limits of an item where an expression stands in for them."""
        holders: list[tuple[str, object]] = [("text", raw.get("_text"))]
        for extension in entries(raw.get("extension")):
            name = _LIMITS.get(_tail(str(extension.get("url") or "")))
            if name is not None:
                siblings = [extension[key] for key in extension if str(key).startswith("_value")]
                direct = [extension] if "valueExpression" in extension else []
                holders += [(name, sibling) for sibling in siblings] + [(name, {"extension": direct})]
        found: dict[str, Path] = {}
        for name, holder in holders:
            for extension in entries(holder.get("extension")) if isinstance(holder, Mapping) else ():
                if "valueExpression" in extension:
                    instead = "the file's text is asked" if name == "text" else "it is not checked"
                    compiled = self._compiled(extension, link_id, f"the expression of its {name}", instead, scope)
                    if compiled is not None:
                        found.setdefault(name, compiled)
        return found

    def _must_run(self, raw: Mapping[str, Any], tail: str) -> bool:
        """An item that may or may not be asked cannot be guessed, unless nobody would see or need it."""
        hidden = _first(_extensions(raw), "hidden") is True
        return tail == "enableWhenExpression" and not (hidden and raw.get("required") is not True)

    def _compiled(
        self, holder: Mapping[str, Any], link_id: str, what: str, instead: str, scope: frozenset[str],
        must_run: bool = False,
    ) -> Path | None:  # fmt: skip
        """The FHIRPath of an extension; None, said as a warning or a refusal, where it cannot be run."""
        expression = holder.get("valueExpression")
        if expression is None:
            text = holder.get("valueString")
            expression = {"expression": text} if isinstance(text, str) else {}
        if not isinstance(expression, Mapping):
            expression = {}
        language, text = str(expression.get("language") or ""), expression.get("expression")
        problem, found = "", None
        if language not in _FHIRPATH:
            problem = f"is written in {language}"
        elif not isinstance(text, str) or not text.strip():
            problem = "has no expression"
        else:
            try:
                found = path(text.strip())
            except NotFhirPath as error:
                problem = f"cannot be read: {error}"
        if found is None:
            if must_run:
                self.refuse(link_id, f"{what} {problem}", "write it in FHIRPath or use enableWhen")
            else:
                self.warn(link_id, f"{what} {problem}", f"{instead}; write it in FHIRPath")
            return None
        unknown = sorted(
            name for name in found.names - scope if not name.startswith(("vs-", "ext-")) and name != "factory"
        )
        if unknown:
            self.warn(link_id, f"{what} asks for %{unknown[0]}, which nothing gives", "it is empty; define it")
        return found

    def _toggle(self, extension: Mapping[str, Any], link_id: str, scope: frozenset[str]) -> list[Toggle]:
        keys: list[str] = []
        holder: Mapping[str, Any] = {}
        for part in entries(extension.get("extension")):
            if part.get("url") == "option":
                value = self._value(part, link_id)
                keys += [_key(value)] if value is not None else []
            elif part.get("url") == "expression":
                holder = part
        what = "its answerOptionsToggleExpression"
        compiled = self._compiled(holder, link_id, what, "its options are always offered", scope)
        return [Toggle(tuple(keys), compiled)] if compiled is not None and keys else []

    def _constraint(self, extension: Mapping[str, Any], link_id: str, scope: frozenset[str]) -> list[Constraint]:
        parts = {str(part.get("url")): part for part in entries(extension.get("extension"))}
        if any(name in parts for name in ("requirements", "location")) and "expression" not in parts:
            return []
        holder = parts.get("expression", {})
        if "valueString" in holder:
            holder = {"valueExpression": {"expression": holder["valueString"]}}
        compiled = self._compiled(holder, link_id, "its constraint", "it is not checked", scope)
        human = parts.get("human")
        words = _wording(human, "valueString") if human is not None else None
        key = parts.get("key", {})
        name = str(key.get("valueId") or key.get("valueString") or link_id)
        severity = str(parts.get("severity", {}).get("valueCode") or "error")
        if compiled is None:
            return []
        if words is None:
            self.warn(link_id, f"its constraint '{name}' has no human text", "nothing is explained; write one")
        return [Constraint(name, words or Wording(""), compiled, severity == "warning")]

    # --- the whole -------------------------------------------------------------------------------------------------

    def checked(self, items: tuple[Item, ...]) -> tuple[Item, ...]:
        """The items with what their conditions name made certain; refusals are noted."""
        if not items and not self.refusals:
            self.refuse("-", "it has no items", "add at least one question")
        if self.count > _MOST_ITEMS:
            self.refuse("-", f"it has {self.count} items", f"a conversation takes {_MOST_ITEMS} at most: split it")
        order = list(every(items))
        for link_id, times in Counter(item.link_id for item in order).items():
            if times > 1 and all(item.type == "display" for item in order if item.link_id == link_id):
                self.warn(link_id, f"{times} displays have this link id", "all are shown; link ids must differ")
            elif times > 1:
                self.refuse(link_id, f"{times} items have this link id", "link ids must differ")
        if any(times > 1 for times in Counter(item.link_id for item in order).values()):
            items = _renamed_displays(items, set())
            order = list(every(items))
        if len({item.link_id for item in order}) < len(order):
            return items  # refused: which of them is meant cannot be known
        by_link_id = {item.link_id: item for item in order}
        folded = {link_id.strip().casefold(): link_id for link_id in by_link_id}
        places = {item.link_id: place for place, item in enumerate(order)}

        def mended(item: Item) -> Item:
            if item.conditions:
                found = tuple(self._condition(item, one, by_link_id, folded, places) for one in item.conditions)
                item = replace(item, conditions=found)
            return replace(item, items=tuple(map(mended, item.items))) if item.items else item

        items = tuple(map(mended, items))
        self._check_loops(items)
        if not any(item.is_question for item in order) and not self.refusals:
            self.warn("-", "it asks nothing", "add a question")
        return items

    def _condition(
        self, item: Item, condition: Condition, items: Mapping[str, Item], folded: Mapping[str, str],
        places: Mapping[str, int],
    ) -> Condition:  # fmt: skip
        link_id, name = item.link_id, condition.question
        question = items.get(name) or items.get(folded.get(name.strip().casefold(), ""))
        if question is None:
            self.warn(
                link_id,
                f"its enableWhen asks about '{name}', which no item is",
                "it counts as not answered; name an item",
            )
            return condition
        if question.link_id != name:
            self.warn(link_id, f"its enableWhen writes '{name}' for '{question.link_id}'", "write the link id exactly")
            condition = replace(condition, question=question.link_id)
        if not question.is_question:
            self.warn(
                link_id,
                f"its enableWhen asks about '{question.link_id}', which is a {question.type}",
                "any answer inside it counts; name a question",
            )
            return condition
        if places[question.link_id] > places[link_id]:
            self.warn(
                link_id,
                f"its enableWhen asks about the later item '{question.link_id}'",
                "it is asked after that one; move it down",
            )
        return self._comparable(item, condition, question)

    def _comparable(self, item: Item, condition: Condition, question: Item) -> Condition:
        """The condition with its answer in the type of the question, where it is written in another one."""
        if condition.operator == "exists":
            return condition
        mended = _as_type_of(question, condition.answer)
        if mended == condition.answer:
            return condition
        kind = condition.answer.kind
        if mended is None:
            self.warn(
                item.link_id,
                f"its enableWhen compares '{question.link_id}', which is {question.type}, with a {kind}",
                "they are never equal; write the answer in the type of the question",
            )
            return condition
        self.warn(
            item.link_id,
            f"its enableWhen compares '{question.link_id}' with a {kind}",
            f"it is read as {next(iter(mended.as_fhir().values()))!r}; write it in the type of the question",
        )
        return replace(condition, answer=mended)

    def _check_loops(self, items: tuple[Item, ...]) -> None:
        """A loop that can be entered is put up with; one whose items all wait for each other is refused."""
        whole = questionnaire("", "", Wording(""), items, ())
        needs: dict[str, set[str]] = {}
        for item in whole.walk():
            parent = whole.parent(item.link_id)
            needs[item.link_id] = {
                condition.question for condition in item.conditions if whole.item(condition.question)
            }
            needs[item.link_id] |= {parent.link_id} if parent is not None else set()
        for loop in _loops(needs):
            members = set(loop)
            shown = " → ".join(loop)
            if any(_can_be_first(whole.item(link_id), members) for link_id in loop[:-1]):
                self.warn(loop[0], f"enableWhen goes round in a loop: {shown}", "each is asked once; take one out")
            else:
                self.refuse(loop[0], f"enableWhen goes round in a loop: {shown}", "take one of them out")

    def refuse(self, link_id: str, reason: str, mend: str) -> None:
        self.refusals.append(Problem(link_id, reason, mend))

    def warn(self, link_id: str, reason: str, mend: str) -> None:
        self.warnings.append(Problem(link_id, reason, mend))


_LIMITS = {"minValue": "minimum", "minQuantity": "minimum", "maxValue": "maximum", "maxQuantity": "maximum"}
# What a form may hold that a conversation does without: the end of the url → what that means.
_DONE_WITHOUT = {
    "subQuestionnaire": "its questions stand in another questionnaire, which is not asked",
    "questionnaireAdaptive": "its questions come from a server one by one; only those in the file are asked",
    "questionnaire-adaptive": "its questions come from a server one by one; only those in the file are asked",
    "signatureRequired": "it asks for a signature, which is not taken",
}

# An expression that stands once on an item: the end of its url → our name for it, and what is done without it.
_SINGLE = {
    "calculatedExpression": ("calculated", "it is asked if it is no hidden or readOnly item"),
    "calculatedValue": ("calculated", "it is asked if it is no hidden or readOnly item"),
    "initialExpression": ("initial", "nothing is filled in"),
    "enableWhenExpression": ("asked_if", "it is not asked"),
    "answerExpression": ("options", "its options are those of the file"),
    "candidateExpression": ("candidates", "nothing is proposed"),
}


# --- reading FHIR elements --------------------------------------------------------------------------------------------


def _tail(url: str) -> str:
    """What an extension is known by: the end of an HL7 url without its prefixes, else the url."""
    match = _HL7.match(url)
    return match.group(1) if match else url


def _extensions(raw: Any) -> dict[str, tuple[Any, ...]]:
    """The plain values of an element's extensions, by `_tail` of their url."""
    found: dict[str, list[Any]] = {}
    for extension in entries(raw.get("extension")) if isinstance(raw, Mapping) else ():
        if extension.get("url"):
            value = next((extension[key] for key in extension if str(key).startswith("value")), None)
            found.setdefault(_tail(str(extension["url"])), []).append(value)
    return {url: tuple(values) for url, values in found.items()}


def _first(extensions: Mapping[str, tuple[Any, ...]], url: str) -> Any:
    return next(iter(extensions.get(url, ())), None)


def _names_in(extension: Mapping[str, Any]) -> Iterable[str]:
    """The variable that an extension brings in: of a launch context or of an expression."""
    expression = extension.get("valueExpression")
    if isinstance(expression, Mapping) and expression.get("name"):
        yield str(expression["name"])
    for part in entries(extension.get("extension")):
        if part.get("url") == "name":
            value = next((part[key] for key in part if str(key).startswith("value")), None)
            yield str(value.get("code") if isinstance(value, Mapping) else value)


def _wording(raw: Mapping[str, Any], name: str) -> Wording | None:
    """A text with the translations its `_name` sibling carries."""
    text = raw.get(name)
    if not isinstance(text, str):
        return None
    return Wording(text, _translations(raw.get(f"_{name}")))


def _without_marks(wording: Wording) -> Wording:
    return Wording(
        plain_text(wording.text)[0] or wording.text,
        {tag: plain_text(text)[0] for tag, text in wording.translations.items()},
    )


def _translations(sibling: object) -> dict[str, str]:
    found: dict[str, str] = {}
    for extension in entries(sibling.get("extension")) if isinstance(sibling, Mapping) else ():
        if _tail(str(extension.get("url") or "")) == "translation":
            parts: dict[str, Any] = {
                str(part.get("url", "")): next((part[key] for key in part if str(key).startswith("value")), None)
                for part in entries(extension.get("extension"))
            }
            if isinstance(parts.get("lang"), str) and isinstance(parts.get("content"), str):
                found[parts["lang"]] = parts["content"]
    return found


def _marked_up(sibling: object) -> Wording | None:
    """A text that is only given as Markdown or XHTML."""
    for name in ("rendering-markdown", "rendering-xhtml", "markdown", "xhtml"):
        found = _first(_extensions(sibling), name)
        if isinstance(found, str) and found.strip():
            return Wording(found, _translations(sibling))
    return None


def _extension_wording(raw: Mapping[str, Any], url: str) -> Wording | None:
    for extension in entries(raw.get("extension")):
        if extension.get("url") == url:
            return _wording(extension, "valueString")
    return None


def _extension_words(raw: Mapping[str, Any], tail: str) -> Wording | None:
    for extension in entries(raw.get("extension")):
        if _tail(str(extension.get("url") or "")) == tail:
            return _wording(extension, "valueString")
    return None


def _control(raw: Mapping[str, Any]) -> str:
    """The code of an item's itemControl or display category."""
    extensions = _extensions(raw)
    for url in ("itemControl", "displayCategory"):
        concept = _first(extensions, url)
        for coding in entries(concept.get("coding")) if isinstance(concept, Mapping) else ():
            if coding.get("code"):
                return str(coding["code"])
    return ""


def _is_help(raw: Mapping[str, Any]) -> bool:
    """A display that explains its question rather than standing for itself."""
    return raw.get("type") == "display" and _control(raw) in _CONTROLS_OF_HELP


def _is_aside(raw: Mapping[str, Any]) -> bool:
    return _is_help(raw) or (raw.get("type") == "display" and _control(raw) in _CONTROLS_BESIDE)


def _beside(children: Sequence[Mapping[str, Any]], control: str) -> Wording | None:
    """The text of a display child that labels an end of a scale or names the unit."""
    found = (
        _wording(child, "text") for child in children if child.get("type") == "display" and _control(child) == control
    )
    return next((words for words in found if words is not None and words.text.strip()), None)


def _observed(raw: Mapping[str, Any], inherited: bool) -> bool:
    """SDC's observationExtract, which holds for what lies below too."""
    written = _first(_extensions(raw), "observationExtract")
    return inherited if written is None else str(written).lower() == "true"


def _category(extensions: Mapping[str, tuple[Any, ...]]) -> tuple[Coding, ...]:
    for name in ("observation-extract-category", "observationExtractCategory", "observation-extract-category"):
        concepts = entries(list(extensions.get(name, ())))
        found = tuple(_coding(coding) for concept in concepts for coding in entries(concept.get("coding")))
        if found:
            return found
    return ()


def _coding(raw: Mapping[str, Any]) -> Coding:
    return Coding(str(raw.get("code") or ""), str(raw.get("system") or ""), str(raw.get("display") or ""))


def _score(extensions: Mapping[str, tuple[Any, ...]]) -> Decimal | None:
    found = next((value for url in _ORDINAL for value in extensions.get(url, ()) if value is not None), None)
    return None if found is None else _as_decimal(found)


def _concept_option(concept: Concept) -> AnswerOption:
    value = Value("Coding", concept.coding)
    translations = {**concept.translations, **_translations(concept.raw.get("_display"))}
    score = concept.score if concept.score is not None else _score(_extensions(concept.raw))
    return AnswerOption(_key(value), value, Wording(_shown(value), translations), (), score)


def _shown(value: Value) -> str:
    if isinstance(value.value, Coding):
        return value.value.display or value.value.code
    if isinstance(value.value, Amount):
        return f"{value.value.value.normalize():f} {value.value.unit}".strip()
    return str(getattr(value.value, "display", "") or getattr(value.value, "reference", "") or value.value)


def _key(value: Value) -> str:
    if isinstance(value.value, Coding):
        return value.value.code or value.value.display
    return _shown(value)


def _told_apart(options: Sequence[AnswerOption]) -> list[AnswerOption]:
    """The options with keys that differ; one that is there twice is there once."""
    unlike = list({(option.key, option.value): option for option in reversed(options)}.values())[::-1]
    keys = Counter(option.key for option in unlike)
    return [option if keys[option.key] == 1 else _renamed(option, place) for place, option in enumerate(unlike)]


def _renamed(option: AnswerOption, place: int) -> AnswerOption:
    """An option whose key another one has too: its system, or its place, tells them apart."""
    system = option.value.value.system if isinstance(option.value.value, Coding) else ""
    return replace(option, key=f"{system}|{option.key}" if system else f"{option.key}#{place + 1}")


def _renamed_displays(items: tuple[Item, ...], seen: set[str]) -> tuple[Item, ...]:
    found = []
    for item in items:
        link_id = item.link_id
        while link_id in seen and item.type == "display":
            link_id += "+"
        seen.add(link_id)
        found.append(replace(item, link_id=link_id, items=_renamed_displays(item.items, seen)))
    return tuple(found)


def _as_it_stands(condition: Mapping[str, Any]) -> Value | None:
    """The answer of an enableWhen as a text, for the question's type to make something of."""
    raw = next((condition[key] for key in condition if str(key).startswith("answer")), None)
    return Value("String", str(raw)) if isinstance(raw, str | int | float) else None


_YES, _NO = {"true", "yes", "y", "1", "si"}, {"false", "no", "n", "0"}


def _as_type_of(question: Item, answer: Value) -> Value | None:
    """An enableWhen answer as the question's own type; None where it cannot be one."""
    read: Callable[[Value], Value | None] = _READ_AS.get(question.type, lambda value: value)
    if question.type in ("choice", "open-choice"):
        return _as_option(question, answer)
    return read(answer)


def _as_option(question: Item, answer: Value) -> Value | None:
    kinds = {option.value.kind for option in question.options}
    if answer.kind in kinds or (not kinds and answer.kind in ("Coding", "String")):
        return answer
    written = _shown(answer).casefold() if answer.kind != "Boolean" else ""
    for option in question.options:
        names = {option.key.casefold(), option.wording.text.casefold(), _shown(option.value).casefold()}
        if answer.kind == "Boolean" and {plain(name) for name in names} & (_YES if answer.value else _NO):
            return option.value
        if written and written in names:
            return option.value
    return answer if question.type == "open-choice" and answer.kind == "String" else None


def _as_boolean(answer: Value) -> Value | None:
    written = plain(_key(answer))
    if answer.kind == "Boolean":
        return answer
    return Value("Boolean", written in _YES) if written in _YES | _NO else None


def _as_number(answer: Value) -> Value | None:
    if answer.kind in ("Integer", "Decimal", "Quantity"):
        return answer
    number = _as_decimal(answer.value) if isinstance(answer.value, str) else None
    return None if number is None else Value("Decimal", number)


def _as_text(answer: Value) -> Value | None:
    return answer if isinstance(answer.value, str) else Value("String", _shown(answer))


def _as_moment(answer: Value) -> Value | None:
    return answer if isinstance(answer.value, str) else None


_READ_AS: Mapping[str, Callable[[Value], Value | None]] = {
    "boolean": _as_boolean,
    "integer": _as_number,
    "decimal": _as_number,
    "quantity": _as_number,
    "string": _as_text,
    "text": _as_text,
    "url": _as_text,
    "date": _as_moment,
    "dateTime": _as_moment,
    "time": _as_moment,
}


def _plain(text: str) -> str:
    return plain_text(text)[0].strip()


def _as_int(raw: object) -> int | None:
    if isinstance(raw, str) and re.fullmatch(r"\s*\d{1,9}\s*", raw):
        return int(raw)
    return raw if isinstance(raw, int) and not isinstance(raw, bool) else None


def _as_decimal(raw: object) -> Decimal | None:
    try:
        return decimal_from(raw)
    except ValueError:
        return None


def _can_be_first(item: Item | None, loop: set[str]) -> bool:
    """Whether an item may be on while nothing else of its loop is answered."""
    if item is None or not item.conditions:
        return False
    outcomes = [
        condition.question not in loop
        or condition.operator == "!="
        or (condition.operator == "exists" and condition.answer.value is False)
        for condition in item.conditions
    ]
    return all(outcomes) if item.all_conditions else any(outcomes)


def _loops(needs: Mapping[str, set[str]]) -> Iterable[list[str]]:
    """Loops of items that wait for each other: one for each item at which a way back is found."""
    done: set[str] = set()
    for start in needs:
        path_so_far: dict[str, None] = {}
        stack: list[tuple[str, bool]] = [(start, False)]
        while stack:
            link_id, leaving = stack.pop()
            if leaving:
                del path_so_far[link_id]
                done.add(link_id)
                continue
            if link_id in path_so_far:
                order = list(path_so_far)
                yield [*order[order.index(link_id) :], link_id]
                continue
            if link_id in done:
                continue
            path_so_far[link_id] = None
            stack.append((link_id, True))
            stack.extend((need, False) for need in sorted(needs.get(link_id, ())))
