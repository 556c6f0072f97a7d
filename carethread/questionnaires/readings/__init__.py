"""Readers of free text in English and Spanish: pure functions from a patient's words to a value and a confidence."""

from carethread.questionnaires.readings.choice import Choice, Option, read_choice
from carethread.questionnaires.readings.control import Control, read_control, read_correction
from carethread.questionnaires.readings.dates import read_birth_date, read_date
from carethread.questionnaires.readings.names import read_person_name
from carethread.questionnaires.readings.numbers import Scale, read_number
from carethread.questionnaires.readings.polarity import read_yes_no, says_nothing, takes_back
from carethread.questionnaires.readings.quantities import Quantity, read_quantity
from carethread.questionnaires.readings.reading import SURE, How, Reading
from carethread.questionnaires.readings.severity import Severity, read_severity
from carethread.questionnaires.readings.since import Since, read_since

__all__ = [
    "SURE",
    "Choice",
    "Control",
    "How",
    "Option",
    "Quantity",
    "Reading",
    "Scale",
    "Severity",
    "Since",
    "read_birth_date",
    "read_choice",
    "read_control",
    "read_correction",
    "read_date",
    "read_number",
    "read_person_name",
    "read_quantity",
    "read_severity",
    "read_since",
    "read_yes_no",
    "says_nothing",
    "takes_back",
]
