"""Blood pressure as people say it: "120 over 80", "120/80", "one twenty over eighty", "ciento veinte con ochenta"."""

from carethread.questionnaires.readings.figures import read_figures
from carethread.questionnaires.readings.lexicon import rule
from carethread.questionnaires.readings.reading import Reading
from carethread.questionnaires.readings.vitals import limits_of

_PAIR = (rule("NUM=s OVER|SLASH NUM=d"), rule("NUM=s P:/|P:-|P:\\ NUM=d"), rule("NUM=s NUM=d"))


def read_pressure(text: str, language: str) -> Reading[tuple[int, int]] | None:
    """Systolic and diastolic in mmHg, the larger first however they were said; None where no pair is plausible.

    Limits: `words/vitals.yml`.
    """
    line = read_figures(text, language, hundreds=True).line.without("EVEN")
    systolic, diastolic = limits_of("systolic", "mm[Hg]"), limits_of("diastolic", "mm[Hg]")
    for pattern in _PAIR:
        for hit in line.find_all(pattern):
            one, other = hit.values["s"] or "", hit.values["d"] or ""
            if not (one.isdigit() and other.isdigit()):
                continue
            high, low = max(int(one), int(other)), min(int(one), int(other))
            if high == low or systolic is None or diastolic is None:
                continue
            if systolic.is_usual(high) and diastolic.is_usual(low):
                return Reading((high, low), 0.95 if hit.exact else 0.8, hit.span, "number")
    return None
