"""Readers of free text in English and Spanish: pure functions from a patient's words to a value and a confidence."""

from carethread.questionnaires.readings.choice import Choice, Option, read_choice
from carethread.questionnaires.readings.dates import read_birth_date
from carethread.questionnaires.readings.names import read_person_name
from carethread.questionnaires.readings.polarity import read_yes_no
from carethread.questionnaires.readings.reading import SURE, How, Reading

__all__ = [
    "SURE",
    "Choice",
    "How",
    "Option",
    "Reading",
    "read_birth_date",
    "read_choice",
    "read_person_name",
    "read_yes_no",
]
