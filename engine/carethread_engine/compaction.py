"""Keeps a conversation's stored events few, and the next prediction the same as if all of them were still there.

Whole turns are dropped, oldest first. In the place of dropped turns stand the slots they set and the loop they left
active. Three kinds of turn stay: the last ones, the one that started the active loop (its trigger message matters to
the form), and the last ones that stories saw (rules hide their turns from stories, so a story may look far back).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rasa.shared.core.constants import ACTION_LISTEN_NAME, ACTION_SESSION_START_NAME
from rasa.shared.core.events import (
    ActionExecuted,
    ActionExecutionRejected,
    ActionReverted,
    ActiveLoop,
    Event,
    SessionStarted,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from rasa.shared.core.slots import Slot
from rasa.shared.core.trackers import DialogueStateTracker

LAST_TURNS = 8
# AugmentedMemoizationPolicy looks at 6 states (config.yml), which are at most 6 turns and usually 3.
STORY_TURNS = 6


@dataclass(frozen=True)
class State:
    """What a conversation is in between two turns."""

    slots: dict[str, Any]
    loop: str | None
    loop_rejected: bool

    @classmethod
    def of(cls, tracker: DialogueStateTracker) -> State:
        return cls(tracker.current_slot_values(), tracker.active_loop_name, tracker.is_active_loop_rejected)


@dataclass(frozen=True)
class Turn:
    """A user message and all that followed it, with the state before it and after it."""

    events: tuple[Event, ...]
    before: State
    after: State

    @property
    def reverts(self) -> int:
        return sum(isinstance(event, UserUtteranceReverted | ActionReverted) for event in self.events)

    @property
    def seen_by_stories(self) -> bool:
        return any(
            isinstance(event, ActionExecuted) and event.action_name != ACTION_LISTEN_NAME and not event.hide_rule_turn
            for event in self.events
        )

    def starts(self, loop: str) -> bool:
        return any(isinstance(event, ActiveLoop) and event.name == loop for event in self.events)


def compact(
    events: Sequence[Event], slots: Iterable[Slot], last: int = LAST_TURNS, story: int = STORY_TURNS
) -> list[Event]:
    """The events to keep, in order; `events` itself while there are no more turns than are kept anyway."""
    if sum(isinstance(event, UserUttered) for event in events) <= last:
        return list(events)
    slots = list(slots)
    opening, turns = split(events, slots)
    kept = chosen(turns, last, story)
    if len(kept) == len(turns):
        return list(events)
    initial = {slot.name: slot.initial_value for slot in slots}
    result = list(opening) if 0 in kept else fresh_opening(turns[kept[0]], initial, opening)
    for previous, index in zip([None, *kept], kept, strict=False):
        if previous is not None and index != previous + 1:
            bridge(result, turns[previous].after, turns[index])
        result.extend(turns[index].events)
    return result


def split(events: Sequence[Event], slots: Sequence[Slot]) -> tuple[tuple[Event, ...], list[Turn]]:
    """What stands before the first message, and the turns."""
    tracker = DialogueStateTracker("", slots)
    groups: list[list[Event]] = [[]]
    states: list[State] = []
    for event in events:
        if isinstance(event, UserUttered):
            groups.append([])
            states.append(State.of(tracker))
        groups[-1].append(event)
        _apply(tracker, event)
    states.append(State.of(tracker))
    turns = [Turn(tuple(group), states[index], states[index + 1]) for index, group in enumerate(groups[1:])]
    return tuple(groups[0]), turns


def chosen(turns: Sequence[Turn], last: int, story: int) -> list[int]:
    """The numbers of the turns to keep, ascending."""
    start = max(0, len(turns) - last)
    while start > 0 and _reaches_back(turns[start:]):
        start -= 1
    kept = set(range(start, len(turns)))
    loop = turns[start].before.loop
    if loop is not None:
        starting = [index for index in range(start) if turns[index].starts(loop)]
        kept.update(starting[-1:])
    seen = [index for index, turn in enumerate(turns) if turn.seen_by_stories and turn.reverts == 0]
    kept.update(seen[-story:] if story else ())
    return sorted(kept)


def fresh_opening(turn: Turn, initial: dict[str, Any], opening: Sequence[Event]) -> list[Event]:
    """A session that begins in the state that `turn` begins in."""
    time = turn.events[0].timestamp
    first = opening[0].timestamp if opening else time
    return [
        ActionExecuted(ACTION_SESSION_START_NAME, timestamp=first),
        SessionStarted(timestamp=first),
        *changes(initial, turn.before.slots, time),
        *loop_changes(State(initial, None, False), turn.before, time),
        ActionExecuted(ACTION_LISTEN_NAME, timestamp=time),
    ]


def bridge(kept: list[Event], left: State, turn: Turn) -> None:
    """Make `kept`, which ends in the state `left`, end in the state that `turn` begins in."""
    time = turn.events[0].timestamp
    # Where a form stays active, Rasa keeps slots before the last listening; so do we.
    listening = [kept.pop()] if _is_listen(kept[-1]) else []
    kept += changes(left.slots, turn.before.slots, time)
    kept += loop_changes(left, turn.before, time)
    kept += listening or [ActionExecuted(ACTION_LISTEN_NAME, timestamp=time)]


def changes(old: dict[str, Any], new: dict[str, Any], time: float | None) -> Iterator[Event]:
    return (SlotSet(name, value, timestamp=time) for name, value in new.items() if old.get(name) != value)


def loop_changes(old: State, new: State, time: float | None) -> Iterator[Event]:
    if old.loop != new.loop:
        yield ActiveLoop(new.loop, timestamp=time)
    if new.loop and new.loop_rejected and not (old.loop == new.loop and old.loop_rejected):
        yield ActionExecutionRejected(new.loop, timestamp=time)


def _reaches_back(turns: Sequence[Turn]) -> bool:
    """Whether a revert in these turns undoes something from before the first of them."""
    reverts = 0
    for index, turn in enumerate(turns):
        reverts += turn.reverts
        if reverts > index:
            return True
    return False


def _apply(tracker: DialogueStateTracker, event: Event) -> None:
    # As DialogueStateTracker.update, without stamping the event with a model.
    tracker.events.append(event)
    event.apply_to(tracker)


def _is_listen(event: Event) -> bool:
    return isinstance(event, ActionExecuted) and event.action_name == ACTION_LISTEN_NAME
