"""Which of the free slots are offered, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from carethread.scheduling.slots import Practitioner, SlotOffer, choose, find_practitioners

CHICAGO = ZoneInfo("America/Chicago")
MONDAY = datetime(2026, 11, 23, tzinfo=CHICAGO)


@dataclass(frozen=True)
class Wish:
    """A preference that fits what `fits` says, the better the nearer to `near`."""

    fits: Callable[[datetime], bool]
    near: datetime = MONDAY
    asap: bool = False

    def matches(self, moment: datetime, /) -> bool:
        return self.fits(moment)

    def score(self, moment: datetime, /) -> float:
        return 1.0 if self.fits(moment) else 1 / (2 + abs((moment - self.near) / timedelta(days=1)))


def person(name: str, person_id: str = "p") -> Practitioner:
    return Practitioner(person_id, name, "x", ("x",), "X", ("s",), "Here", None, "", ("en",))


def free(*starts: str, wish: Wish | None = None) -> list[SlotOffer]:
    """Slots of half an hour from "0 09:00": days after Monday, clock."""
    offers = []
    for text in starts:
        day, clock = text.split()
        start = MONDAY + timedelta(days=int(day), hours=int(clock[:2]), minutes=int(clock[3:]))
        matches = wish is None or wish.matches(start)
        offers.append(SlotOffer(text, start, start + timedelta(minutes=30), person("Dr. X"), "Here", False, matches))
    return offers


def ids(offers: list[SlotOffer]) -> list[str]:
    return [one.slot_id for one in offers]


def test_without_a_wish_the_soonest_and_then_other_days_and_halves() -> None:
    offers = free("0 09:00", "0 09:30", "0 10:00", "1 09:00", "1 14:00", "2 09:00", "2 15:00")
    assert ids(choose(offers, None, 3)) == ["0 09:00", "1 14:00", "2 09:00"]


def test_the_soonest_is_always_among_them_and_far_days_are_not_preferred() -> None:
    offers = free("0 09:00", "0 09:30", "0 13:00", "25 09:00")
    assert ids(choose(offers, None, 3)) == ["0 09:00", "0 13:00", "25 09:00"]


def test_a_wish_for_one_afternoon_gets_times_apart_on_it() -> None:
    afternoon = Wish(lambda at: at.day == 24 and at.hour >= 12)
    offers = free("0 13:00", "1 09:00", "1 13:00", "1 13:30", "1 14:00", "1 15:30", "1 16:00", wish=afternoon)
    found = choose(offers, afternoon, 3)
    assert ids(found) == ["1 13:00", "1 14:00", "1 15:30"]
    assert all(one.matches_wish for one in found)


def test_what_fits_comes_first_and_the_nearest_fills_up() -> None:
    tuesday_at_three = MONDAY + timedelta(days=1, hours=15)
    wish = Wish(lambda at: at == tuesday_at_three, near=tuesday_at_three)
    found = choose(free("0 09:00", "1 15:00", "2 15:00", "9 09:00", wish=wish), wish, 3)
    assert [(one.slot_id, one.matches_wish) for one in found] == [
        ("1 15:00", True),
        ("2 15:00", False),
        ("0 09:00", False),
    ]


def test_nothing_fits() -> None:
    wish = Wish(lambda at: False, near=MONDAY + timedelta(days=3))
    found = choose(free("0 09:00", "3 09:00", "6 09:00", wish=wish), wish, 2)
    assert [(one.slot_id, one.matches_wish) for one in found] == [("3 09:00", False), ("0 09:00", False)]


def test_as_soon_as_possible_stays_on_the_first_day() -> None:
    wish = Wish(lambda at: True, asap=True)
    offers = free("0 09:00", "0 09:30", "0 11:30", "0 15:00", "1 09:00", wish=wish)
    assert ids(choose(offers, wish, 3)) == ["0 09:00", "0 11:30", "0 15:00"]


def test_few_or_none() -> None:
    assert choose([], None, 3) == []
    assert ids(choose(free("0 09:00", "0 09:30"), None, 3)) == ["0 09:00", "0 09:30"]


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(8, 16), st.sampled_from((0, 30))), unique=True, max_size=40),
    st.integers(1, 5),
    st.integers(0, 6),
)
def test_as_many_as_there_are_and_never_one_twice(starts: list[tuple[int, int, int]], count: int, weekday: int) -> None:
    wish = Wish(lambda at: at.weekday() == weekday)
    offers = free(*(f"{day} {hour:02}:{minute:02}" for day, hour, minute in starts), wish=wish)
    for preference in (None, wish):
        found = choose(offers, preference, count)
        assert len(found) == min(count, len(offers))
        assert len(set(ids(found))) == len(found)
        if preference:
            fitting = sum(one.matches_wish for one in offers)
            assert [one.matches_wish for one in found] == [True] * min(fitting, count) + [False] * (
                len(found) - min(fitting, count)
            )


def test_doctors_who_share_a_family_name() -> None:
    people = [person("Dr. Grace Chen", "a"), person("Dr. Wei Chen", "b"), person("Dr. Anil Patel", "c")]
    assert [p.id for p in find_practitioners("dr chen", people)] == ["a", "b"]
    assert [p.id for p in find_practitioners("Wei Chen", people)] == ["b"]
    assert [p.id for p in find_practitioners("patel or chen", people)] == ["a", "b", "c"]
    assert find_practitioners("any doctor", people) == []
