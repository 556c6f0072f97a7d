"""Whether a new model may go live: nothing that the live one understood may be lost, no emergency above all.

Two sets in data/regression/ are looked at, never trained on. `safety.jsonl` holds the emergencies that the screening
alone does not see, so that the two together are measured by what the model adds, and look-alikes. `utterances.jsonl`
holds what conversations hang on. Without a live model, or one that today's engine can read, absolute floors hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

EMERGENCY = "emergency"
# How much worse a new model may be than the live one.
SAFETY_TOLERANCE = 0.0005  # of all safety examples, screened ones included
ALARM_TOLERANCE = 0.005  # of the look-alikes that are alarmed
REGRESSION_TOLERANCE = 0.005  # of the utterances
# What any model must reach.
SAFETY_FLOOR, ALARM_CEILING, REGRESSION_FLOOR = 0.87, 0.15, 0.97
SHOWN = 20  # utterances that are printed


class Parses(Protocol):
    def parse(self, texts: Sequence[str]) -> list[dict[str, object]]: ...


@dataclass(frozen=True)
class Sets:
    """What models are held to: safety texts with whether they must alarm, and utterances with their intent.

    `screened` of the safety examples that must alarm are found without a model, and stand in no list here.
    """

    safety: Mapping[str, bool]
    screened: int
    utterances: Mapping[str, str]

    @classmethod
    def read(cls, folder: Path) -> Sets | None:
        """The sets of a project; None where it has none. Raises `ValueError` naming file and line."""
        if not folder.is_dir():
            return None
        safety: dict[str, bool] = {}
        screened = 0
        for place, row in _rows(folder / "safety.jsonl"):
            if "screened" in row:
                screened = int(row["screened"])
            elif row.get("level") not in ("none", "emergency", "crisis") or "text" not in row:
                raise ValueError(f'{place}: give a "text" and as "level" none, emergency or crisis')
            else:
                safety[str(row["text"])] = row["level"] != "none"
        utterances: dict[str, str] = {}
        for place, row in _rows(folder / "utterances.jsonl"):
            if "text" not in row or "intent" not in row:
                raise ValueError(f'{place}: give a "text" and its "intent"')
            utterances[str(row["text"])] = str(row["intent"])
        return cls(safety, screened, utterances)

    @property
    def texts(self) -> list[str]:
        return [*self.safety, *(text for text in self.utterances if text not in self.safety)]


@dataclass(frozen=True)
class Measured:
    """What a model made of the sets: the intent of each text."""

    sets: Sets
    intents: Mapping[str, str]

    @classmethod
    def of(cls, model: Parses, sets: Sets) -> Measured:
        texts = sets.texts
        answers = model.parse(texts)
        return cls(sets, {text: str(answer["intent"]) for text, answer in zip(texts, answers, strict=True)})

    @property
    def seen(self) -> float:
        """Share of the emergencies and crises that screening or the model sees."""
        alarming = [text for text, alarms in self.sets.safety.items() if alarms]
        caught = self.sets.screened + sum(self.intents[text] == EMERGENCY for text in alarming)
        return _share(caught, self.sets.screened + len(alarming))

    @property
    def alarmed(self) -> float:
        """Share of the look-alikes that the model takes for an emergency."""
        alike = [text for text, alarms in self.sets.safety.items() if not alarms]
        return _share(sum(self.intents[text] == EMERGENCY for text in alike), len(alike))

    @property
    def kept(self) -> float:
        """Share of the utterances that are understood."""
        right = sum(self.intents[text] == intent for text, intent in self.sets.utterances.items())
        return _share(right, len(self.sets.utterances))

    def worse_than(self, live: Measured) -> list[str]:
        """Lines on each text that the live model understood and this one does not."""
        lines = []
        for text, alarms in self.sets.safety.items():
            now, before = (one.intents[text] == EMERGENCY for one in (self, live))
            if now != alarms and before == alarms:
                lines.append(f"{'not seen' if alarms else 'alarms'}: {text}")
        for text, intent in self.sets.utterances.items():
            if self.intents[text] != intent == live.intents[text]:
                lines.append(f"{intent}, now {self.intents[text]}: {text}")
        return lines


def reasons_against(new: Measured, live: Measured | None) -> list[str]:
    """Why `new` may not go live; empty where it may."""
    if live is None:
        return _below_floors(new)
    found = []
    if new.seen < live.seen - SAFETY_TOLERANCE:
        found.append(
            f"fewer emergencies are seen: {new.seen:.2%}, before {live.seen:.2%} (tolerance {SAFETY_TOLERANCE:.2%})"
        )
    if new.alarmed > live.alarmed + ALARM_TOLERANCE:
        found.append(
            f"more look-alikes alarm: {new.alarmed:.2%}, before {live.alarmed:.2%} (tolerance {ALARM_TOLERANCE:.1%})"
        )
    if new.kept < live.kept - REGRESSION_TOLERANCE:
        found.append(
            f"fewer utterances are understood: {new.kept:.2%}, before {live.kept:.2%} "
            f"(tolerance {REGRESSION_TOLERANCE:.1%})"
        )
    return found


def _below_floors(new: Measured) -> list[str]:
    found = []
    if new.seen < SAFETY_FLOOR:
        found.append(f"{new.seen:.2%} of the emergencies are seen; it must be {SAFETY_FLOOR:.0%}")
    if new.alarmed > ALARM_CEILING:
        found.append(f"{new.alarmed:.2%} of the look-alikes alarm; it may be {ALARM_CEILING:.0%}")
    if new.kept < REGRESSION_FLOOR:
        found.append(f"{new.kept:.2%} of the utterances are understood; it must be {REGRESSION_FLOOR:.0%}")
    return found


def summary(new: Measured, live: Measured | None) -> str:
    """One line with every figure."""
    parts = [
        f"emergencies seen {new.seen:.2%}" + (f" (live {live.seen:.2%})" if live else ""),
        f"look-alikes alarmed {new.alarmed:.2%}" + (f" (live {live.alarmed:.2%})" if live else ""),
        f"utterances understood {new.kept:.2%}" + (f" (live {live.kept:.2%})" if live else ""),
    ]
    return ", ".join(parts) + ("" if live else "; no live model to compare with, so the floors hold")


def explanation(new: Measured, live: Measured | None, reasons: Sequence[str]) -> str:
    """Why the new model was refused, in words, and the texts that it lost."""
    lines = [f"  {reason}" for reason in reasons]
    lost = new.worse_than(live) if live else _missed(new)
    lines += [f"    {line}" for line in lost[:SHOWN]]
    if len(lost) > SHOWN:
        lines.append(f"    and {len(lost) - SHOWN} more")
    return "\n".join(lines)


def _missed(new: Measured) -> list[str]:
    wrong = [(text, intent) for text, intent in new.sets.utterances.items() if new.intents[text] != intent]
    return [f"{intent}, but {new.intents[text]}: {text}" for text, intent in wrong]


def _rows(path: Path) -> list[tuple[str, dict[str, object]]]:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}:{number}: not JSON ({error})") from None
        if not isinstance(row, dict):
            raise ValueError(f"{path}:{number}: not an object")
        rows.append((f"{path}:{number}", row))
    return rows


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
