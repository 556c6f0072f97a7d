"""How patients' answers are understood: taken as meant, asked about, or taken wrongly, by item type and language.

The tables are those of the unit tests (`tests/unit/data/answers/*.yml`) unless other files are named. An answer goes
the way it goes in a conversation: an option's very words, then a request, then `understand`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from carethread.questionnaires.definition import AnswerOption, Item, Wording
from carethread.questionnaires.outcomes import Beyond, NothingToSay, Outcome, Taken, Which
from carethread.questionnaires.readings import read_control
from carethread.questionnaires.understanding import exactly_an_option, understand
from carethread.questionnaires.values import Amount, Coding, Value
from carethread.yamls import parse_texts

TABLES = Path(__file__).parents[1] / "tests" / "unit" / "data" / "answers"
NOW = datetime(2026, 3, 4, 11, tzinfo=ZoneInfo("America/New_York"))  # a Wednesday
LANGUAGES = ("en", "es")


@dataclass(frozen=True, slots=True)
class Case:
    """One thing a patient writes to an item, what is meant, and what was understood."""

    item: Item
    language: str
    expected: str
    text: str

    def got(self) -> str:
        """A value as the tables write it; "which a b", "beyond", "nothing", "control x", or "ask"."""
        exact = exactly_an_option(self.item, self.text, self.language)
        if exact is not None:
            return written(self.item, exact)
        control = read_control(self.text, self.language)
        if control is not None and control.sure:
            return f"control {control.value.value}"
        return written(self.item, understand(self.item, self.text, self.language, NOW))

    def verdict(self, got: str) -> str:
        """`exact`, `asked` (something is asked that need not be), or `wrong` (a value that was not meant)."""
        asks = got.split()[0] in ("ask", "which", "beyond", "control")
        if got == self.expected or (self.expected == "ask" and asks):
            return "exact"
        if self.expected == "beyond" and asks:
            return "exact"
        if self.expected.split()[0] == "which" and asks:
            return "exact" if self.expected == "which" and got.startswith("which") else "asked"
        return "asked" if asks else "wrong"


def read_items(path: Path) -> Iterator[tuple[Item, Mapping[str, Any]]]:
    for number, raw in enumerate(parse_texts(path.read_text(encoding="utf-8")), start=1):
        yield _item(f"{path.stem}-{number}", raw), raw


def cases(item: Item, raw: Mapping[str, Any], language: str) -> list[Case]:
    return [
        Case(item, language, expected, text.strip())
        for expected, texts in raw.get(language, {}).items()
        for text in texts.split(" | ")
    ]


def _item(link_id: str, raw: Mapping[str, Any]) -> Item:
    kind = raw["type"]
    options = tuple(
        AnswerOption(str(place), Value("Coding", Coding(str(place), "", option["en"])), _wording(option))
        for place, option in enumerate(raw.get("options", []), start=1)
    )
    return Item(
        link_id=link_id,
        type=kind,
        wording=_wording(raw["text"]),
        required=raw.get("required") == "true",
        repeats=raw.get("repeats") == "true",
        options=options,
        minimum=_limit(kind, raw.get("min")),
        maximum=_limit(kind, raw.get("max")),
        units=tuple(Coding(code, "http://unitsofmeasure.org", code) for code in raw.get("units", [])),
        codes=tuple(Coding(code, "http://loinc.org") for code in raw.get("codes", [])),
    )


def _wording(texts: Mapping[str, str]) -> Wording:
    return Wording(texts["en"], {"es": texts["es"]})


def _limit(kind: str, limit: str | None) -> Value | None:
    if limit is None:
        return None
    return Value("Integer", int(limit)) if kind == "integer" else Value("Decimal", Decimal(limit))


def written(item: Item, outcome: Outcome) -> str:
    if isinstance(outcome, Taken):
        return " ".join(_plain(item, value) for value in outcome.values)
    if isinstance(outcome, Which):
        return f"which {' '.join(outcome.keys)}"
    return "beyond" if isinstance(outcome, Beyond) else "nothing" if isinstance(outcome, NothingToSay) else "ask"


def _plain(item: Item, value: Value) -> str:
    held = value.value
    if isinstance(held, bool):
        return "yes" if held else "no"
    if isinstance(held, Coding):
        return held.code
    if isinstance(held, Amount):
        return f"{_number(held.value)} {held.code}"
    if isinstance(held, Decimal):
        return _number(held)
    return f"={held}" if value.kind in ("String", "Uri") else str(held)


def _number(value: Decimal) -> str:
    return f"{value.normalize():f}"


async def main(paths: list[Path] | None = None, *, show: bool = False) -> None:
    """Prints a line per type and language, and the median and 95th percentile of the time an answer takes."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    times: list[float] = []
    for path in paths or sorted(TABLES.glob("*.yml")):
        for item, raw in read_items(path):
            for case in (case for language in LANGUAGES for case in cases(item, raw, language)):
                begun = time.perf_counter()
                got = case.got()
                times.append(time.perf_counter() - begun)
                verdict = case.verdict(got)
                counts[item.type, case.language][verdict] += 1
                if show and verdict != "exact":
                    print(f"{verdict:6} {item.link_id:12} {case.language} {case.text!r}: {case.expected} ≠ {got}")
    print(f"{'type':<12} {'language':<9} {'answers':>7} {'exact':>7} {'asked':>7} {'wrong':>7}")
    total: Counter[str] = Counter()
    for (kind, language), found in sorted(counts.items()):
        total += found
        print(_row(kind, language, found))
    print(_row("all", "", total))
    milliseconds = sorted(1000 * spent for spent in times)
    print(
        f"an answer takes {statistics.median(milliseconds):.2f} ms (median), "
        f"{milliseconds[int(len(milliseconds) * 0.95)]:.2f} ms (95th percentile)"
    )


def _row(kind: str, language: str, found: Counter[str]) -> str:
    count = found.total() or 1
    shares = " ".join(f"{100 * found[verdict] / count:6.1f}%" for verdict in ("exact", "asked", "wrong"))
    return f"{kind:<12} {language:<9} {found.total():>7} {shares}"


if __name__ == "__main__":
    import asyncio

    parser = argparse.ArgumentParser(prog="python -m benchmarks.answers", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="tables (default: those of the unit tests)")
    parser.add_argument("--show", action="store_true", help="print every answer that was not taken as meant")
    chosen = parser.parse_args(sys.argv[1:])
    asyncio.run(main(chosen.files or None, show=chosen.show))
