"""When a patient wants to come, in free words. It is Wednesday, 4 March 2026, ten in the morning in Chicago."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carethread.questionnaires.readings.days import Span
from carethread.scheduling.when import TimePreference, moved_to, read_when

ZONE = ZoneInfo("America/Chicago")
NOW = datetime(2026, 3, 4, 10, 0, tzinfo=ZONE)


def wish(text: str, language: str = "en") -> TimePreference:
    read = read_when(text, language=language, now=NOW)
    assert read is not None, text
    assert read.understood, text
    return read


def d(text: str) -> date:
    """ "3-10" is 10 March 2026."""
    month, day = text.split("-")
    return date(2026, int(month), int(day))


def at(text: str) -> datetime:
    """ "3-10 14:30" in the clinic's zone."""
    day, clock = text.split(" ")
    return datetime.combine(d(day), time.fromisoformat(clock), ZONE)


ONE_DAY = [
    ("en", "today", "3-4"),
    ("en", "tomorrow", "3-5"),
    ("en", "tmrw", "3-5"),
    ("en", "tommorow pls", "3-5"),
    ("en", "day after tomorrow", "3-6"),
    ("en", "friday", "3-6"),
    ("en", "fri", "3-6"),
    ("en", "tuesday", "3-10"),
    ("en", "tues", "3-10"),
    ("en", "Tueday", "3-10"),
    ("en", "wednesday", "3-11"),
    ("en", "this wednesday", "3-4"),
    ("en", "this friday", "3-6"),
    ("en", "next friday", "3-13"),
    ("en", "next Tuesday afternoon", "3-10"),
    ("en", "nxt tues aft", "3-10"),
    ("en", "this coming friday", "3-6"),
    ("en", "a week from Thursday", "3-12"),
    ("en", "the 3rd", "4-3"),
    ("en", "the 15th", "3-15"),
    ("en", "tuesday the 10th", "3-10"),
    ("en", "Wed 11th", "3-11"),
    ("en", "March 9th at 9", "3-9"),
    ("en", "December 5", "12-5"),
    ("en", "5 dec", "12-5"),
    ("en", "may 5", "5-5"),
    ("en", "12/5 at 10", "12-5"),
    ("en", "12/5/26 3pm", "12-5"),
    ("en", "monday 3/9", "3-9"),
    ("en", "2026-03-12", "3-12"),
    ("en", "in 3 days", "3-7"),
    ("en", "thrs 2p", "3-5"),
    ("en", "two tuesdays from now", "3-17"),
    ("en", "three weeks from monday", "3-30"),
    ("en", "friday the 13th", "3-13"),
    ("en", "my pain started 3 days ago, can I come tomorrow?", "3-5"),
    ("en", "christmas", "12-25"),
    ("en", "I need to see a doctor for my knee on Friday after 2", "3-6"),
    ("es", "hoy", "3-4"),
    ("es", "esta tarde", "3-4"),
    ("es", "esta mañana", "3-4"),
    ("es", "mañana", "3-5"),
    ("es", "manana", "3-5"),
    ("es", "mañana por la mañana", "3-5"),
    ("es", "manana en la tarde", "3-5"),
    ("es", "pasado mañana", "3-6"),
    ("es", "el viernes", "3-6"),
    ("es", "biernes", "3-6"),
    ("es", "el martes por la tarde", "3-10"),
    ("es", "el próximo martes", "3-10"),
    ("es", "el proximo jueves", "3-5"),
    ("es", "el martes que viene", "3-10"),
    ("es", "del jueves en ocho", "3-12"),
    ("es", "este viernes", "3-6"),
    ("es", "el 3", "4-3"),
    ("es", "el día 15", "3-15"),
    ("es", "el miércoles 11 a las 10", "3-11"),
    ("es", "5 de diciembre", "12-5"),
    ("es", "11 de marzo", "3-11"),
    ("es", "13/3 a las 9", "3-13"),
    ("es", "en dos días", "3-6"),
    ("es", "navidad", "12-25"),
    ("es", "quiero una cita para el lunes", "3-9"),
]

SEVERAL_DAYS = [
    ("en", "monday or tuesday", [("3-9", "3-9"), ("3-10", "3-10")]),
    ("en", "tomorrow or friday", [("3-5", "3-5"), ("3-6", "3-6")]),
    ("en", "this week", [("3-4", "3-8")]),
    ("en", "next week", [("3-9", "3-15")]),
    ("en", "early next week", [("3-9", "3-11")]),
    ("en", "the week after next", [("3-16", "3-22")]),
    ("en", "the week of december 5", [("11-30", "12-6")]),
    ("en", "this weekend", [("3-7", "3-8")]),
    ("en", "next month", [("4-1", "4-30")]),
    ("en", "in may", [("5-1", "5-31")]),
    ("en", "end of the month", [("3-21", "3-31")]),
    ("en", "beginning of april", [("4-1", "4-10")]),
    ("en", "in two weeks", [("3-15", "3-21")]),
    ("en", "two weeks from today", [("3-15", "3-21")]),
    ("en", "within 3 days", [("3-4", "3-7")]),
    ("en", "in the next two weeks", [("3-4", "3-18")]),
    ("en", "march 5-10", [("3-5", "3-10")]),
    ("en", "first week of april", [("4-1", "4-7")]),
    ("en", "last week of march", [("3-25", "3-31")]),
    ("en", "in a few days", [("3-6", "3-9")]),
    ("en", "within a week", [("3-4", "3-11")]),
    ("es", "la primera semana de abril", [("4-1", "4-7")]),
    ("es", "en unas semanas", [("3-22", "3-28")]),
    ("es", "cualquier mañana de la próxima semana", [("3-9", "3-15")]),
    ("es", "la próxima semana", [("3-9", "3-15")]),
    ("es", "la semana que viene por la mañana", [("3-9", "3-15")]),
    ("es", "dentro de dos semanas", [("3-15", "3-21")]),
    ("es", "el próximo mes", [("4-1", "4-30")]),
    ("es", "fin de mes", [("3-21", "3-31")]),
    ("es", "a mediados de abril", [("4-11", "4-20")]),
    ("es", "del 5 al 10 de marzo", [("3-5", "3-10")]),
    ("es", "lunes o miercoles", [("3-9", "3-9"), ("3-11", "3-11")]),
    ("es", "mañana o pasado", [("3-5", "3-5"), ("3-6", "3-6")]),
    ("es", "5/12", [("5-12", "5-12"), ("12-5", "12-5")]),  # day first, but patients in the US mix both
]

HOURS = [
    ("en", "mornings only", "06:00", "12:00"),
    ("en", "next Tuesday afternoon", "12:00", "18:00"),
    ("en", "weekdays after work", "17:00", "22:00"),
    ("en", "after 3pm", "15:00", "23:59:59"),
    ("en", "after 3", "15:00", "23:59:59"),
    ("en", "after 10", "10:00", "23:59:59"),
    ("en", "before 10", "00:00", "10:00"),
    ("en", "before noon", "00:00", "12:00"),
    ("en", "between 2 and 4", "14:00", "16:00"),
    ("en", "2-4pm", "14:00", "16:00"),
    ("en", "10-2pm", "10:00", "14:00"),
    ("en", "tuesday afternoon after 3", "15:00", "18:00"),
    ("en", "lunch", "11:30", "13:30"),
    ("en", "i work until 5 so after that", "17:00", "23:59:59"),
    ("en", "2 pm or later", "14:00", "23:59:59"),
    ("en", "kids school ends at 3 so 330 or later", "15:00", "23:59:59"),
    ("es", "salgo a las 3 del trabajo", "15:00", "23:59:59"),
    ("en", "tmrw am", "00:00", "12:00"),
    ("es", "en la tarde", "12:00", "18:00"),
    ("es", "mañana por la mañana", "06:00", "12:00"),
    ("es", "el lunes mañana", "06:00", "12:00"),
    ("es", "después de las 3", "15:00", "23:59:59"),
    ("es", "despues de las cinco y media", "17:30", "23:59:59"),
    ("es", "de 2 a 4 de la tarde", "14:00", "16:00"),
    ("es", "entre las 2 y las 4", "14:00", "16:00"),
    ("es", "de 9 a 11", "09:00", "11:00"),
    ("es", "solo en las mañanas", "06:00", "12:00"),
    ("es", "después del trabajo", "17:00", "22:00"),
]

CLOCK = [
    ("en", "12/5 at 10", "10:00"),
    ("en", "friday at 3", "15:00"),
    ("en", "fri @ 10a", "10:00"),
    ("en", "thrs 2p", "14:00"),
    ("en", "at nine thirty", "09:30"),
    ("en", "friday 3pm", "15:00"),
    ("en", "monday at 330", "15:30"),
    ("en", "tomorrow at 10:30 am", "10:30"),
    ("en", "half past 2", "14:30"),
    ("en", "quarter to 4 on monday", "15:45"),
    ("en", "around 10", "10:00"),
    ("en", "next friday in the evening at 7", "19:00"),
    ("en", "tuesday 3", "15:00"),
    ("es", "mañana a las 3", "15:00"),
    ("es", "a las 3 y media", "15:30"),
    ("es", "a las 8 de la mañana", "08:00"),
    ("es", "viernes a la 1", "13:00"),
    ("es", "el próximo jueves a las dos de la tarde", "14:00"),
    ("es", "el 10 de marzo a las 4 pm", "16:00"),
    ("es", "viernes 6 de marzo a las 10:30 de la mañana", "10:30"),
]

NOTHING_ABOUT_TIME = [
    ("en", ""),
    ("en", "hello"),
    ("en", "i have a cough"),
    ("en", "the second one"),
    ("en", "2"),
    ("en", "may i book"),
    ("en", "i sat down and it hurt"),
    ("en", "for 2 people"),
    ("en", "I've had a cough for 3 weeks"),
    ("es", "hola"),
    ("es", "la primera"),
    ("es", "tengo tos"),
    ("es", "me duele la cabeza"),
]


@pytest.mark.parametrize(("language", "text", "day"), ONE_DAY)
def test_one_day(language: str, text: str, day: str) -> None:
    assert wish(text, language).days == (Span(d(day), d(day)),)


@pytest.mark.parametrize(("language", "text", "days"), SEVERAL_DAYS)
def test_several_days(language: str, text: str, days: list[tuple[str, str]]) -> None:
    read = [(span.first, span.last) for span in wish(text, language).days]
    assert read == [(d(first), d(last)) for first, last in days]


@pytest.mark.parametrize(("language", "text", "start", "end"), HOURS)
def test_hours(language: str, text: str, start: str, end: str) -> None:
    (hours,) = wish(text, language).hours
    assert (hours.start, hours.end) == (time.fromisoformat(start), time.fromisoformat(end))


@pytest.mark.parametrize(("language", "text", "clock"), CLOCK)
def test_a_time_of_day(language: str, text: str, clock: str) -> None:
    assert wish(text, language).at == time.fromisoformat(clock)


@pytest.mark.parametrize(("language", "text"), NOTHING_ABOUT_TIME)
def test_nothing_about_time(language: str, text: str) -> None:
    assert read_when(text, language=language, now=NOW) is None


@pytest.mark.parametrize(
    ("language", "text", "excluded"),
    [
        ("en", "not mondays", {0}),
        ("en", "any day but friday", {4}),
        ("en", "not mondays or fridays", {0, 4}),
        ("en", "mondays dont work for me", {0}),
        ("es", "los lunes no", {0}),
        ("es", "no puedo los lunes", {0}),
        ("es", "cualquier día menos el viernes", {4}),
    ],
)
def test_weekdays_ruled_out(language: str, text: str, excluded: set[int]) -> None:
    read = wish(text, language)
    assert read.not_weekdays == excluded
    assert not read.days


@pytest.mark.parametrize(
    ("language", "text", "weekdays"),
    [
        ("en", "weekdays after work", {0, 1, 2, 3, 4}),
        ("en", "weekends", {5, 6}),
        ("en", "mondays and wednesdays", {0, 2}),
        ("en", "monday through thursday after 4", {0, 1, 2, 3}),
        ("en", "next week tuesday or thursday", {1, 3}),
        ("es", "entre semana", {0, 1, 2, 3, 4}),
        ("es", "de lunes a jueves", {0, 1, 2, 3}),
        ("es", "los martes y jueves", {1, 3}),
        ("es", "el martes de la próxima semana", {1}),
    ],
)
def test_weekdays_asked_for(language: str, text: str, weekdays: set[int]) -> None:
    assert wish(text, language).weekdays == weekdays


@pytest.mark.parametrize(
    ("language", "text", "earliest", "latest"),
    [
        ("en", "after the 15th", "3-16", None),
        ("en", "starting the 15th", "3-15", None),
        ("en", "after next week", "3-16", None),
        ("en", "not until april", "4-1", None),
        ("en", "before the end of the month", None, "3-20"),
        ("en", "before friday", None, "3-5"),
        ("en", "by friday", None, "3-6"),
        ("es", "a partir del 15", "3-15", None),
        ("es", "después del 15", "3-16", None),
        ("es", "antes del viernes", None, "3-5"),
        ("es", "hasta el viernes", None, "3-6"),
    ],
)
def test_first_and_last_day(language: str, text: str, earliest: str | None, latest: str | None) -> None:
    read = wish(text, language)
    assert (read.earliest, read.latest) == (earliest and d(earliest), latest and d(latest))


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "asap"),
        ("en", "as soon as possible"),
        ("en", "next available"),
        ("es", "lo antes posible"),
        ("es", "urgente"),
    ],
)
def test_as_soon_as_possible(language: str, text: str) -> None:
    read = wish(text, language)
    assert read.asap
    assert read.score(at("3-4 11:00")) > read.score(at("3-5 11:00")) > read.score(at("3-12 11:00"))


@pytest.mark.parametrize(
    ("language", "text"), [("en", "anytime"), ("en", "whenever"), ("es", "cuando sea"), ("es", "cualquier día")]
)
def test_any_time(language: str, text: str) -> None:
    read = wish(text, language)
    assert read.anytime
    assert read.matches(at("3-20 09:00"))


@pytest.mark.parametrize(("language", "text"), [("en", "before my trip"), ("es", "antes de mi viaje")])
def test_about_time_but_not_resolvable(language: str, text: str) -> None:
    read = read_when(text, language=language, now=NOW)
    assert read is not None
    assert not read.understood


@pytest.mark.parametrize(
    ("text", "start", "matches"),
    [
        ("next Tuesday afternoon", "3-10 14:00", True),
        ("next Tuesday afternoon", "3-10 09:00", False),
        ("next Tuesday afternoon", "3-11 14:00", False),
        ("not mondays", "3-9 09:00", False),
        ("not mondays", "3-10 09:00", True),
        ("no mornings", "3-10 09:00", False),
        ("no mornings", "3-10 13:00", True),
        ("friday at 3", "3-6 15:00", True),
        ("friday at 3", "3-6 15:30", True),
        ("friday at 3", "3-6 11:00", False),
        ("not this week", "3-6 15:00", False),
        ("not this week", "3-9 15:00", True),
        ("today", "3-4 09:00", False),  # already past
        ("monday at 9 or tuesday at 10", "3-9 09:00", True),
        ("10am or 2pm", "3-9 14:00", True),
        ("10am or 2pm", "3-9 12:00", False),
        ("before 9 or after 4", "3-9 08:30", True),
        ("before 9 or after 4", "3-9 12:00", False),
        ("before 9 or after 4", "3-9 16:30", True),
        ("monday morning or tuesday afternoon", "3-9 09:00", True),
        ("monday morning or tuesday afternoon", "3-10 14:00", True),
        ("monday morning or tuesday afternoon", "3-9 14:00", False),
        ("monday morning or tuesday afternoon", "3-10 09:00", False),
    ],
)
def test_matches(text: str, start: str, matches: bool) -> None:
    assert wish(text).matches(at(start)) is matches


def test_slots_are_told_in_the_patients_zone() -> None:
    assert wish("tuesday afternoon").matches(datetime(2026, 3, 10, 19, 0, tzinfo=UTC))  # 14:00 in Chicago
    assert not wish("tuesday afternoon").matches(datetime(2026, 3, 10, 14, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "ranked"),
    [
        ("next Tuesday afternoon", ["3-10 14:00", "3-10 11:00", "3-11 14:00", "3-17 09:00"]),
        ("in two weeks", ["3-18 09:00", "3-17 09:00", "3-20 09:00", "3-25 09:00"]),
        ("friday at 3", ["3-6 15:00", "3-6 16:00", "3-6 09:00", "3-10 09:00"]),
        ("any day but friday", ["3-9 09:00", "3-6 09:00"]),
    ],
)
def test_near_slots_rank_by_nearness(text: str, ranked: list[str]) -> None:
    read = wish(text)
    best_first = [at(start) for start in ranked]
    starts = best_first[::-1]
    assert sorted(starts, key=lambda start: (-read.score(start), start)) == best_first


def test_dates_roll_over_the_end_of_the_year() -> None:
    now = datetime(2026, 12, 30, 9, 0, tzinfo=ZONE)
    read = read_when("january 5", language="en", now=now)
    assert read is not None
    assert read.days == (Span(date(2027, 1, 5), date(2027, 1, 5)),)


def test_the_clock_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        read_when("tomorrow", language="en", now=datetime(2026, 3, 4))  # noqa: DTZ001 - that is the point


_VOCABULARY = (
    "next this tuesday monday lunes el la a las after before not no mañana tomorrow 3 15 31 12/5 2/30 pm am at in "
    "two dos weeks semanas months may mayo december 5 de and or o y to - , between entre week from the 3rd 99999 "
    "asap weekend morning tarde year ocho en fin mes half y media 0 :"
)
_WORDS = st.sampled_from(_VOCABULARY.split())


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.text(max_size=60), st.lists(_WORDS, max_size=9).map(" ".join)),
    st.sampled_from(["en", "es"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 12, 31)),  # noqa: DTZ001 - the zone is added below
)
def test_any_text_is_survived_and_days_lie_ahead(text: str, language: str, naive: datetime) -> None:
    now = naive.replace(tzinfo=ZONE)
    read = read_when(text, language=language, now=now)
    if read is None:
        return
    assert all(span.first <= span.last for span in (*read.days, *read.not_days))
    assert all(hours.start < hours.end for hours in read.hours)
    for days in (0, 1, 6, 40):
        start = now + timedelta(days=days, hours=1)
        assert 0 <= read.score(start) <= 1
        if read.matches(start) and not read.asap and not any(span.wish for span in read.days):
            assert read.score(start) == 1


@pytest.mark.parametrize(
    ("language", "text", "parts"),
    [
        (
            "en",
            "can you move my Tuesday appointment to Thursday?",
            ("can you move my Tuesday appointment ", "Thursday?"),
        ),
        ("en", "can I move my appointment to next month?", ("can I move my appointment ", "next month?")),
        ("en", "pls change my visit 2 friday at 3", ("pls change my visit ", "friday at 3")),
        ("en", "change my monday visit for wednesday", ("change my monday visit ", "wednesday")),
        ("en", "I need to move my appointment on Tuesday", None),
        ("en", "I want to change my appointment for Friday", None),
        ("en", "can you move it, I am free from 2 to 4", None),
        ("en", "I go to work on Friday", None),
        ("en", "move it to another day", None),
        ("es", "quiero pasar mi cita del martes al jueves", ("quiero pasar mi cita del martes ", "jueves")),
        ("es", "me la puede cambiar a las 3", ("me la puede cambiar ", "las 3")),
        ("es", "cambiar mi cita del lunes para el viernes", ("cambiar mi cita del lunes ", "el viernes")),
        ("es", "quiero cambiar mi cita para el martes", None),
        ("es", "necesito cambiar mi cita", None),
    ],
)
def test_where_a_visit_is_moved_to(language: str, text: str, parts: tuple[str, str] | None) -> None:
    assert moved_to(text, language=language, now=NOW) == parts
