"""Keeps a conversation's stored events few, and the next prediction the same as if all of them were still there.

Whole turns are dropped, oldest first. In the place of dropped turns stand the slots they set and the loop they left
active. What stays: the last turns (and the last that were not undone), the one that started the active loop (its
trigger message matters to the form), and the last that stories saw (rules hide their turns from stories, so a story
may look far back).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rasa.shared.core.constants import ACTION_LISTEN_NAME, ACTION_SESSION_START_NAME
from rasa.shared.core.events import (
    ActionExecuted,
    ActionExecutionRejected,
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
# As many as the states that StoryPolicy looks at (max_history in config.yml): a turn is at least one state.
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
    """A user message and all that followed it until Rasa listened again, with the state before it and after it."""

    events: tuple[Event, ...]
    before: State
    after: State

    @property
    def reverts(self) -> int:
        return sum(isinstance(event, UserUtteranceReverted) for event in self.events)

    @property
    def seen_by_stories(self) -> bool:
        return any(isinstance(event, ActionExecuted) and not event.hide_rule_turn for event in self.events)

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
    starts = set(beginnings(events))
    tracker = DialogueStateTracker("", slots)
    groups: list[list[Event]] = [[]]
    states: list[State] = []
    for index, event in enumerate(events):
        if index in starts:
            groups.append([])
            states.append(State.of(tracker))
        groups[-1].append(event)
        _apply(tracker, event)
    states.append(State.of(tracker))
    turns = [Turn(tuple(group), states[index], states[index + 1]) for index, group in enumerate(groups[1:])]
    return tuple(groups[0]), turns


def beginnings(events: Sequence[Event]) -> Iterator[int]:
    """Where turns begin: right behind the listening that the message ended, so with what was prepared for it."""
    behind_listening = 0
    for index, event in enumerate(events):
        if isinstance(event, UserUttered):
            yield behind_listening
            behind_listening = index + 1
        elif _is_listen(event):
            behind_listening = index + 1


def chosen(turns: Sequence[Turn], last: int, story: int) -> list[int]:
    """The numbers of the turns to keep, ascending."""
    grounds, standing = reverted(turns)
    start = max(0, len(turns) - last)
    kept = set(range(start, len(turns))) | set(standing[-1][-last:])
    loop = turns[start].before.loop
    if loop is not None:
        starting = [index for index in range(start) if turns[index].starts(loop)]
        kept.update(starting[-1:])
    seen = [index for index in standing[-1] if turns[index].seen_by_stories]
    kept.update(seen[-story:] if story else ())
    for index in sorted(kept, reverse=True):
        kept.update(grounds[index])
    return sorted(kept)


def reverted(turns: Sequence[Turn]) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """For each turn: the turns that it undoes and falls back on; and the turns that stand once it is over.

    A turn that Rasa reverts (the fallback does) undoes itself: the next prediction is made from the last turn that
    stands, which may lie far back behind others that were undone.
    """
    standing: list[int] = []
    grounds: list[tuple[int, ...]] = []
    after: list[tuple[int, ...]] = []
    for index, turn in enumerate(turns):
        standing.append(index)
        undone = standing[-turn.reverts :] if turn.reverts else []
        del standing[len(standing) - len(undone) :]
        grounds.append((*undone, *standing[-1:]) if undone else ())
        after.append(tuple(standing))
    return grounds, after


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


def _apply(tracker: DialogueStateTracker, event: Event) -> None:
    # As DialogueStateTracker.update, without stamping the event with a model.
    tracker.events.append(event)
    event.apply_to(tracker)


def _is_listen(event: Event) -> bool:
    return isinstance(event, ActionExecuted) and event.action_name == ACTION_LISTEN_NAME
