"""FHIRPath as the forms and rules of a clinic need it: compiled once and strictly, evaluated within bounds.

The library by itself lets a slip of the pen pass, reads the machine's clock and prints traces; here the clock is an
argument, an unknown function is named when the file is read, and an expression that runs away is stopped.
"""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import SimpleNamespace

_MOST_STEPS = 60_000  # parts of an expression evaluated at most; a score over 300 answers takes about 5,000
_LONGEST_SUBJECT = 2_000  # characters of a text that matches() looks at
_LONGEST_EXPRESSION = 20_000
_SCORES = ("ordinalValue", "itemWeight", "questionnaire-ordinalValue", "iso21090-CO-value")
_STANDING = frozenset({"context", "ucum"})  # variables that every expression has
_VARIABLE = re.compile(r"%(?:`([^`]+)`|'([^']+)'|([A-Za-z_][A-Za-z0-9_-]*))")
_STRING = re.compile(r"'(?:[^'\\]|\\.)*'")


class NotFhirPath(ValueError):
    """The expression cannot be read; the text says at which character, or which function nobody knows."""


class CannotEvaluate(ValueError):
    """The expression has no value for these answers: they are of the wrong kind, or it takes too long."""


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled expression. `names` are the %variables it looks at."""

    text: str
    names: frozenset[str]
    _tree: Mapping[str, Any] = field(repr=False, compare=False)

    def evaluate(
        self, base: Any, variables: Mapping[str, Any], *, now: datetime, base_type: str | None = None
    ) -> list[Any]:
        """The result as nodes of the library, which keep their FHIR type when used in a further expression.

        `base_type` is the FHIR path of a base that is no resource ("QuestionnaireResponse.item"). Variables that are
        not given are empty. Raises `CannotEvaluate`.
        """
        library = _library()
        root = library.create_node(base, base_type) if base_type else base
        names = {name: variables.get(name, []) for name in self.names if name in variables or name not in _STANDING}
        root_list = root if isinstance(root, list) else [root]
        context = library.Context(
            {
                "dataRoot": root_list,
                "vars": {"context": root, "ucum": "http://unitsofmeasure.org"} | names,
                "model": library.model,
                "userInvocationTable": library.functions,
                "now": now,
            }
        )
        try:
            found = library.do_eval(context, root_list, self._tree["children"][0])
        except CannotEvaluate:
            raise
        except Exception as error:  # the library raises many kinds
            raise CannotEvaluate(str(error)[:200]) from error
        except RecursionError as error:
            raise CannotEvaluate("it is nested too deep") from error
        return found if isinstance(found, list) else [found]


def typed(data: Any, path: str) -> Any:
    """An element with the FHIR path it stands at, as a variable of an expression."""
    return _library().create_node(data, path)


def plain(result: Sequence[Any]) -> list[Any]:
    """Results as JSON-like data: numbers, texts, booleans and elements; dates as FHIR writes them."""
    library = _library()
    found = []
    for node in result:
        data = library.get_data(node)
        if isinstance(data, Mapping) and set(data) == {"extension"}:
            continue  # the library's way to carry a primitive's extensions
        if isinstance(data, library.Quantity):
            unit = str(data.unit or "").strip("'")
            data = {"value": data.value, "unit": unit, "code": unit, "system": "http://unitsofmeasure.org"}
        elif isinstance(data, library.Type):
            data = str(data)
        found.append(data)
    return found


@lru_cache(maxsize=4096)
def path(text: str) -> Path:
    """The expression compiled; raises `NotFhirPath`."""
    if len(text) > _LONGEST_EXPRESSION:
        raise NotFhirPath(f"it has {len(text)} characters")
    tree = _library().parse(text)
    unknown = sorted(set(_functions_of(tree)) - _library().known)
    if unknown:
        raise NotFhirPath(f"Not implemented: {unknown[0]}")
    _quicken(tree)
    names = {next(part for part in match if part) for match in _VARIABLE.findall(_STRING.sub(_unless_name, text))}
    return Path(text, frozenset(names), tree)


def _unless_name(match: re.Match[str]) -> str:
    """Blanks out a string literal, but not the name in %'a-name'."""
    before = match.string[: match.start()]
    return match.group() if before.endswith("%") else "''"


def _functions_of(tree: Mapping[str, Any]) -> list[str]:
    """The names of the functions that an expression calls."""
    found, stack = [], [tree]
    while stack:
        node = stack.pop()
        if node.get("type") == "Functn" and node.get("children"):
            found.append(str(node["children"][0].get("text", "")))
        stack.extend(child for child in node.get("children") or () if isinstance(child, Mapping))
    return found


# where(linkId = 'x'), which forms write hundreds of times, is looked up at once instead of evaluated for each element.
_QUICK_NAMES = frozenset({"linkId", "url", "system", "code"})
_QUICK = "where="  # no function of a form can have this name


def _quicken(tree: Mapping[str, Any]) -> None:
    stack = [tree]
    while stack:
        node = stack.pop()
        stack.extend(child for child in node.get("children") or () if isinstance(child, Mapping))
        if node.get("type") != "Functn" or node["children"][0].get("text") != "where":
            continue
        criteria = node["children"][1]["children"][0] if len(node["children"]) > 1 else {}
        if criteria.get("type") != "EqualityExpression" or criteria.get("terminalNodeText") != ["="]:
            continue
        left, right = (_innermost(child) for child in criteria["children"])
        is_literal = right.get("type") == "StringLiteral" and "\\" not in right["text"]
        if left.get("type") == "Identifier" and left["text"] in _QUICK_NAMES and is_literal:
            name = {"type": "StringLiteral", "terminalNodeText": [], "text": f"'{left['text']}'"}
            node["children"][0]["text"] = _QUICK
            node["children"][1]["children"] = [name, right]


def _innermost(node: Mapping[str, Any]) -> Mapping[str, Any]:
    while len(node.get("children") or ()) == 1:
        node = node["children"][0]
    return node


# --- the library and our own functions -------------------------------------------------------------------------------


@cache
def _library() -> SimpleNamespace:
    """The library, imported when the first expression is met: it takes over half a second."""
    from types import SimpleNamespace

    from antlr4 import CommonTokenStream, InputStream
    from antlr4.error.ErrorListener import ErrorListener
    from antlr4.tree.Tree import ParseTreeWalker
    from fhirpathpy.engine import do_eval
    from fhirpathpy.engine.invocations import invocation_registry
    from fhirpathpy.engine.nodes import FP_Quantity, FP_Type, ResourceNode
    from fhirpathpy.engine.util import get_data
    from fhirpathpy.models import models
    from fhirpathpy.parser.ASTPathListener import ASTPathListener
    from fhirpathpy.parser.generated.FHIRPathLexer import FHIRPathLexer
    from fhirpathpy.parser.generated.FHIRPathParser import FHIRPathParser

    class Strict(ErrorListener):  # type: ignore[misc]
        def syntaxError(  # noqa: N802
            self, _recognizer: Any, _symbol: Any, line: int, column: int, message: str, _error: Any
        ) -> None:
            raise NotFhirPath(f"at character {column + 1}: {message}")

    class Context(dict[str, Any]):
        """What the library carries along; counts the steps, so that nothing runs on for ever."""

        steps = 0

        def __getitem__(self, key: str) -> Any:
            self.steps += 1
            if self.steps > _MOST_STEPS:
                raise CannotEvaluate("it takes too long")
            return super().__getitem__(key)

    def parse(text: str) -> Any:
        lexer = FHIRPathLexer(InputStream(text))
        parser = FHIRPathParser(CommonTokenStream(lexer))
        for reader in (lexer, parser):
            reader.removeErrorListeners()
            reader.addErrorListener(Strict())
        listener: Any = ASTPathListener()  # type: ignore[no-untyped-call]
        try:
            ParseTreeWalker().walk(listener, parser.entireExpression().expression())  # type: ignore[no-untyped-call]
        except NotFhirPath:
            raise
        except Exception as error:  # the parser raises many kinds
            raise NotFhirPath(str(error)[:200]) from error
        return listener.parentStack[0]

    functions = {name: {"fn": _counted(function), **more} for name, (function, more) in _OURS.items()}
    return SimpleNamespace(
        parse=parse,
        do_eval=do_eval,
        get_data=get_data,
        create_node=ResourceNode.create_node,
        model=models["r4"],
        Context=Context,
        Quantity=FP_Quantity,
        Type=FP_Type,
        functions=functions,
        known=frozenset(invocation_registry) | frozenset(functions),
    )


def _counted(function: Callable[..., Any]) -> Callable[..., Any]:
    def called(context: Any, data: Any, *arguments: Any) -> Any:
        return function(context, data if isinstance(data, list) else [data], *arguments)

    return called


def _data(nodes: Sequence[Any]) -> list[Any]:
    get_data = _library().get_data
    return [get_data(node) for node in nodes]


def _numbers(nodes: Sequence[Any]) -> list[int | Decimal]:
    found = _data(nodes)
    if any(isinstance(value, bool) or not isinstance(value, int | Decimal) for value in found):
        raise CannotEvaluate("only numbers can be added up")
    return found


def _sum(_context: Any, nodes: Sequence[Any]) -> Any:
    return sum(_numbers(nodes))


def _avg(_context: Any, nodes: Sequence[Any]) -> Any:
    numbers = _numbers(nodes)
    return Decimal(sum(numbers)) / len(numbers) if numbers else []


def _min(_context: Any, nodes: Sequence[Any]) -> Any:
    return min(_data(nodes)) if nodes else []


def _max(_context: Any, nodes: Sequence[Any]) -> Any:
    return max(_data(nodes)) if nodes else []


def _weight(_context: Any, nodes: Sequence[Any]) -> list[Any]:
    """SDC's weight() and ordinal(): the scores of answers or codings, from their extension."""
    found = []
    for data in _data(nodes):
        coding = data.get("valueCoding", data) if isinstance(data, Mapping) else {}
        extensions = [*(coding.get("extension") or []), *(data.get("extension") or [])] if coding else []
        for extension in extensions:
            if str(extension.get("url", "")).rsplit("/", 1)[-1] in _SCORES:
                score = next((extension[key] for key in extension if key.startswith("value")), None)
                if score is not None:
                    found.append(Decimal(str(score)))
                break
    return found


def _answers(context: Any, nodes: Sequence[Any]) -> list[Any]:
    """SDC's answers(): the values under items, at any depth."""
    library = _library()
    found: list[Any] = []
    for node in nodes:
        data = library.get_data(node)
        for answer in (data.get("answer") or []) if isinstance(data, Mapping) else []:
            kind = next((key for key in answer if key.startswith("value")), None)
            if kind:
                type_name = kind.removeprefix("value")
                kind_path = type_name if type_name in ("Coding", "Quantity") else type_name[:1].lower() + type_name[1:]
                found.append(library.create_node(answer[kind], kind_path))
            found += _answers(context, answer.get("item") or [])
        found += _answers(context, (data.get("item") or []) if isinstance(data, Mapping) else [])
    return found


def _kept(context: Any, nodes: Sequence[Any], criteria: Callable[[Any], list[Any]]) -> list[Any]:
    """where(): the library evaluates its criteria twice, and those inside them four times."""
    found = []
    for index, node in enumerate(nodes):
        context["$index"] = index
        result = criteria(node)
        if result and result[0] != False:  # noqa: E712 - a node of the library equals what it holds
            found.append(node)
    return found


def _kept_at_once(_context: Any, nodes: Sequence[Any], name: str, text: str) -> list[Any]:
    get_data = _library().get_data
    found = []
    for node in nodes:
        data = get_data(node)
        if isinstance(data, Mapping) and data.get(name) == text:
            found.append(node)
    return found


def _exists(context: Any, nodes: Sequence[Any], criteria: Callable[[Any], list[Any]] | None = None) -> bool:
    return bool(nodes) if criteria is None else bool(_kept(context, nodes, criteria))


def _repeat(context: Any, nodes: list[Any], step: Callable[[Any], list[Any]]) -> list[Any]:
    """repeat(), each element once; every element found counts as a step."""
    found: list[Any] = []
    waiting = list(nodes)
    seen: set[str] = set()
    while waiting:
        for node in step(waiting.pop(0)):
            context["now"]
            key = repr(_library().get_data(node))
            if key not in seen or len(key) > _LONGEST_SUBJECT:
                seen.add(key)
                found.append(node)
                waiting.append(node)
    return found


def _matches(_context: Any, nodes: Sequence[Any], pattern: str) -> Any:
    subject = _data(nodes)
    if not subject or not isinstance(pattern, str):
        return []
    expression = safe_pattern(pattern)
    if expression is None:
        raise CannotEvaluate(f"its pattern '{pattern[:60]}' cannot be used")
    return expression.search(str(subject[0])[:_LONGEST_SUBJECT]) is not None


def _matches_full(context: Any, nodes: Sequence[Any], pattern: str) -> Any:
    return _matches(context, nodes, f"^(?:{pattern})$") if isinstance(pattern, str) else []


def _now(context: Any, _nodes: Any) -> Any:
    return context["now"].isoformat(timespec="milliseconds")


def _today(context: Any, _nodes: Any) -> Any:
    return context["now"].date().isoformat()


def _time_of_day(context: Any, _nodes: Any) -> Any:
    return context["now"].time().isoformat(timespec="milliseconds")


def _same(_context: Any, nodes: Any, *_arguments: Any) -> Any:
    return nodes


def _nothing(_context: Any, _nodes: Any, *_arguments: Any) -> list[Any]:
    return []


def _has_value(_context: Any, nodes: Sequence[Any]) -> bool:
    return len(nodes) == 1 and not isinstance(_data(nodes)[0], Mapping)


_TEXT: dict[str, Any] = {"arity": {1: ["String"]}}
_OURS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "sum": (_sum, {}),
    "avg": (_avg, {}),
    "min": (_min, {}),
    "max": (_max, {}),
    "weight": (_weight, {}),
    "ordinal": (_weight, {}),
    "answers": (_answers, {}),
    "where": (_kept, {"arity": {1: ["Expr"]}}),
    _QUICK: (_kept_at_once, {"arity": {2: ["String", "String"]}}),
    "exists": (_exists, {"arity": {0: [], 1: ["Expr"]}}),
    "repeat": (_repeat, {"arity": {1: ["Expr"]}}),
    "matches": (_matches, _TEXT),
    "matchesFull": (_matches_full, _TEXT),
    "now": (_now, {}),
    "today": (_today, {}),
    "timeOfDay": (_time_of_day, {}),
    "trace": (_same, {"arity": {0: [], 1: ["String"], 2: ["String", "Any"]}}),
    "hasValue": (_has_value, {}),
    "getValue": (_same, {}),
    "resolve": (_nothing, {}),
}


# --- regular expressions of a form -----------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def safe_pattern(pattern: str) -> re.Pattern[str] | None:
    """A pattern of a form, ready to use; None where it cannot be read or could take for ever on some text.

    Nested unbounded repeats, as in (a+)+, are what makes a search explode.
    """
    try:
        compiled = re.compile(pattern)
        import re._parser as sre  # type: ignore[import-not-found]

        parsed = sre.parse(pattern)
    except (re.error, RecursionError, OverflowError, ValueError):
        return None
    return None if _explodes(parsed, inside=False) else compiled


def _explodes(parsed: Any, *, inside: bool) -> bool:
    for operation, argument in parsed:
        name = str(operation)
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            _low, high, body = argument
            unbounded = int(high) > 1000
            if unbounded and inside and not _is_fenced(parsed):
                return True
            if _explodes(body, inside=inside or unbounded):
                return True
        elif name == "SUBPATTERN":
            if _explodes(argument[-1], inside=inside):
                return True
        elif name == "BRANCH" and any(_explodes(branch, inside=inside) for branch in argument[1]):
            return True
    return False


def _is_fenced(parsed: Any) -> bool:
    """Whether a fixed character before or after the inner repeat keeps its turns apart, as in (\\.\\d+)*."""
    return any(str(operation) == "LITERAL" for operation, _ in parsed)
