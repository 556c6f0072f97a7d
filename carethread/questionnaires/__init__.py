"""FHIR Questionnaires as conversations, and the understanding of what patients answer. Pure: no I/O, no clock."""

from carethread.questionnaires.conversation import Input, Step, answer, resume, start
from carethread.questionnaires.definition import Problem, Questionnaire
from carethread.questionnaires.events import (
    Answered,
    AskedBack,
    Completed,
    Corrected,
    Event,
    Misunderstood,
    NeedsHuman,
    OutOfRange,
    Postponed,
    Restarted,
    Skipped,
    Unclear,
    WentBack,
)
from carethread.questionnaires.loading import QuestionnaireRefused, load
from carethread.questionnaires.questions import Question, QuestionOption
from carethread.questionnaires.responses import to_response
from carethread.questionnaires.sessions import Given, Session
from carethread.questionnaires.values import Amount, Coding, Value

__all__ = [
    "Amount",
    "Answered",
    "AskedBack",
    "Coding",
    "Completed",
    "Corrected",
    "Event",
    "Given",
    "Input",
    "Misunderstood",
    "NeedsHuman",
    "OutOfRange",
    "Postponed",
    "Problem",
    "Question",
    "QuestionOption",
    "Questionnaire",
    "QuestionnaireRefused",
    "Restarted",
    "Session",
    "Skipped",
    "Step",
    "Unclear",
    "Value",
    "WentBack",
    "answer",
    "load",
    "resume",
    "start",
    "to_response",
]
