"""Readers of free text in English and Spanish: pure functions from a patient's words to a value and a confidence."""

from carethread.questionnaires.readings.asking import asked_period, asked_units, asks_ahead, asks_birth, topics
from carethread.questionnaires.readings.choice import (
    Choice,
    Option,
    alike,
    is_empty_option,
    is_negated,
    only_first,
    opens_with_none,
    polar_options,
    read_choice,
    read_label,
    says_no_option,
)
from carethread.questionnaires.readings.contrast import current_part
from carethread.questionnaires.readings.control import (
    Control,
    asks_back,
    corrected,
    only_takes_back,
    read_control,
    read_correction,
    says_instead,
)
from carethread.questionnaires.readings.dates import read_birth_date, read_date
from carethread.questionnaires.readings.intervals import read_in_interval
from carethread.questionnaires.readings.moments import read_moment, read_time
from carethread.questionnaires.readings.names import read_person_name
from carethread.questionnaires.readings.numbers import Scale, read_fraction, read_number, read_sum
from carethread.questionnaires.readings.polarity import read_yes_no, says_nothing, takes_back
from carethread.questionnaires.readings.pressure import read_pressure
from carethread.questionnaires.readings.quantities import Quantity, is_usual, read_quantity
from carethread.questionnaires.readings.reading import SURE, How, Reading
from carethread.questionnaires.readings.scales import OnScale, is_a_scale, place_on, read_on_scale
from carethread.questionnaires.readings.several import Several, names_something, read_several
from carethread.questionnaires.readings.severity import Severity, read_severity
from carethread.questionnaires.readings.similarity import Encoder, read_similar
from carethread.questionnaires.readings.since import Since, read_since
from carethread.questionnaires.readings.spelling import respelled
from carethread.questionnaires.readings.states import (
    is_about_the_question,
    is_undermined,
    read_none,
    read_one,
    read_state,
)
from carethread.questionnaires.readings.urls import read_url
from carethread.questionnaires.readings.vitals import measure_of, usual_units

__all__ = [
    "SURE",
    "Choice",
    "Control",
    "Encoder",
    "How",
    "OnScale",
    "Option",
    "Quantity",
    "Reading",
    "Scale",
    "Several",
    "Severity",
    "Since",
    "alike",
    "asked_period",
    "asked_units",
    "asks_ahead",
    "asks_back",
    "asks_birth",
    "corrected",
    "current_part",
    "is_a_scale",
    "is_about_the_question",
    "is_empty_option",
    "is_negated",
    "is_undermined",
    "is_usual",
    "measure_of",
    "names_something",
    "only_first",
    "only_takes_back",
    "opens_with_none",
    "place_on",
    "polar_options",
    "read_birth_date",
    "read_choice",
    "read_control",
    "read_correction",
    "read_date",
    "read_fraction",
    "read_in_interval",
    "read_label",
    "read_moment",
    "read_none",
    "read_number",
    "read_on_scale",
    "read_one",
    "read_person_name",
    "read_pressure",
    "read_quantity",
    "read_several",
    "read_severity",
    "read_similar",
    "read_since",
    "read_state",
    "read_sum",
    "read_time",
    "read_url",
    "read_yes_no",
    "respelled",
    "says_instead",
    "says_no_option",
    "says_nothing",
    "takes_back",
    "topics",
    "usual_units",
]
