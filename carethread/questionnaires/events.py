"""What happened in a step of a questionnaire, for the record, for rules and for staff."""

from dataclasses import dataclass

from carethread.questionnaires.values import Value


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer was taken. `rest` is what the patient said besides; `message_id` is the message it came from."""

    link_id: str
    values: tuple[Value, ...]
    how: str
    confidence: float
    message_id: str
    rest: str = ""


@dataclass(frozen=True, slots=True)
class Corrected:
    """The patient took back an answer and gave another one ("no wait 3")."""

    link_id: str
    before: tuple[Value, ...]
    values: tuple[Value, ...]
    message_id: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A question was left unanswered; `why` is skip, dont_know, decline, nothing, misunderstood, constraint, or
    no_media where the channel takes no photos.
    """

    link_id: str
    why: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Misunderstood:
    """The text was no answer the engine is sure of; `attempt` counts from 1."""

    link_id: str
    attempt: int
    message_id: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """The text fits several answers; the patient is asked which."""

    link_id: str
    between: tuple[str, ...]
    message_id: str


@dataclass(frozen=True, slots=True)
class OutOfRange:
    """A number or date beyond what the question takes; it is questioned."""

    link_id: str
    said: str
    message_id: str


@dataclass(frozen=True, slots=True)
class AskedBack:
    """The patient asked about the question: repeat, why or what."""

    link_id: str
    request: str
    message_id: str


@dataclass(frozen=True, slots=True)
class WentBack:
    """The patient returned to an earlier question, whose answer is dropped."""

    link_id: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Restarted:
    message_id: str


@dataclass(frozen=True, slots=True)
class Postponed:
    """The patient will go on later; the session keeps its place."""

    link_id: str
    message_id: str


@dataclass(frozen=True, slots=True)
class NeedsHuman:
    """A required question could not be answered; `why` is misunderstood, constraint, dont_know, decline or skip."""

    link_id: str
    why: str
    message_id: str


@dataclass(frozen=True, slots=True)
class ConstraintBroken:
    """An answer does not meet a constraint of the form; it is questioned. `kept` says that it was taken all the same:
    the form only warns, or the patient said it again.
    """

    link_id: str
    key: str
    message_id: str
    kept: bool = False


@dataclass(frozen=True, slots=True)
class WrongFormat:
    """A text is not of the form that the question asks for: its regex, or its least length."""

    link_id: str
    said: str
    message_id: str


@dataclass(frozen=True, slots=True)
class RowAdded:
    """The patient has one more of what a group repeats; `row` counts from 0."""

    link_id: str
    row: int
    message_id: str


@dataclass(frozen=True, slots=True)
class ExpressionFailed:
    """An expression of the form (`what`) had no value because of `reason`; it was done without."""

    link_id: str
    what: str
    reason: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The patient agreed to the summary of the answers."""

    message_id: str


@dataclass(frozen=True, slots=True)
class Completed:
    """Nothing is left to ask."""


Event = (
    Answered
    | Corrected
    | Skipped
    | Misunderstood
    | Unclear
    | OutOfRange
    | AskedBack
    | WentBack
    | Restarted
    | Postponed
    | NeedsHuman
    | ConstraintBroken
    | WrongFormat
    | RowAdded
    | ExpressionFailed
    | Confirmed
    | Completed
)
