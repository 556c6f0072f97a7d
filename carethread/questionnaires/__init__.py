"""FHIR Questionnaires as conversations, and the understanding of what patients answer. Pure: no I/O, no clock."""

from carethread.questionnaires.conversation import Input, Step, answer, resume, start
from carethread.questionnaires.definition import Problem, Questionnaire
from carethread.questionnaires.events import (
    Answered,
    AskedBack,
    Completed,
    Confirmed,
    ConstraintBroken,
    Corrected,
    Event,
    ExpressionFailed,
    Misunderstood,
    NeedsHuman,
    OutOfRange,
    Postponed,
    Restarted,
    RowAdded,
    Skipped,
    Unclear,
    WentBack,
    WrongFormat,
)
from carethread.questionnaires.loading import QuestionnaireRefused, load
from carethread.questionnaires.observations import to_observations
from carethread.questionnaires.questions import Question, QuestionOption, SummaryLine, current_question, summary
from carethread.questionnaires.responses import to_response
from carethread.questionnaires.sessions import Given, Place, Rows, Session
from carethread.questionnaires.values import Amount, Attachment, Coding, Reference, Value

__all__ = [
    "Amount",
    "Answered",
    "AskedBack",
    "Attachment",
    "Coding",
    "Completed",
    "Confirmed",
    "ConstraintBroken",
    "Corrected",
    "Event",
    "ExpressionFailed",
    "Given",
    "Input",
    "Misunderstood",
    "NeedsHuman",
    "OutOfRange",
    "Place",
    "Postponed",
    "Problem",
    "Question",
    "QuestionOption",
    "Questionnaire",
    "QuestionnaireRefused",
    "Reference",
    "Restarted",
    "RowAdded",
    "Rows",
    "Session",
    "Skipped",
    "Step",
    "SummaryLine",
    "Unclear",
    "Value",
    "WentBack",
    "WrongFormat",
    "answer",
    "current_question",
    "load",
    "resume",
    "start",
    "summary",
    "to_observations",
    "to_response",
]
