"""Who are you: nobody hears a word about care before they have shown who they are, and nobody is turned away coldly."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from carethread.storage.models import Conversation
from tests.scenes import EVERYWHERE, ME, Scene, on
from tests.stack import Stack
from tests.world import World

WRONG_DATES = ("1/2/1931", "2/3/1932", "3/4/1933")


async def _later(scene: Scene, column: str, hours: float) -> None:
    """So many hours pass for what `column` remembers."""
    conversation = await scene.conversation()
    async with scene.stack.database.begin(scene.stack.clinic.id) as session:
        row = await session.get_one(Conversation, conversation.id)
        setattr(row, column, getattr(row, column) - timedelta(hours=hours))


@on(*EVERYWHERE)
async def test_a_patient_shows_who_they_are(scene: Scene) -> None:
    await scene.play(
        en=[("my appointments", "<who>"), (ME, "verified no_visits"), ("my appointments", "no_visits")],
        es=[("mis citas", "<who>"), (ME, "verified no_visits"), ("mis citas", "no_visits")],
    )
    await scene.verified_as("name+birth_date+fact" if scene.channel == "web" else "phone+birth_date")
    assert scene.who is not None
    assert (await scene.conversation()).patient_name == f"{scene.who.given} {scene.who.family}"


@pytest.mark.parametrize(
    ("en", "es"),
    [
        ("April 12, 1968", "12 de abril de 1968"),
        ("4-12-1968", "12/4/1968"),
        ("04/12/68", "nací el 12 de abril del 68"),
        ("my birthday is april 12th 1968", "12 abril 1968"),
        ("4.12.1968", "mi fecha de nacimiento es 12-04-1968"),
    ],
)
async def test_a_birth_date_however_it_is_written(stack: Stack, world: World, en: str, es: str) -> None:
    @on("sms-en", "whatsapp-es")
    async def test(scene: Scene) -> None:
        await scene.patient(birthDate="1968-04-12")
        await scene.play(
            en=[("my appointments", "<who>"), (en, "verified no_visits")],
            es=[("mis citas", "<who>"), (es, "verified no_visits")],
        )

    await test(stack, world)


@on("web-en", "web-es", "sms-en", "whatsapp-es")
async def test_a_number_that_nobody_knows_gives_name_birth_date_and_a_fact(scene: Scene) -> None:
    """Agnes has no phone on file, so she writes from one the EHR does not know."""
    who = scene.be("agnes", elsewhere=True)
    await scene.play(
        en=[
            ("when is my next appointment?", "ask_full_name"),
            ("Agnes Lund", "ask_birth_date_short"),
            ("<birth date>", "ask_second_fact"),
            ("my zip is <zip>", "verified no_visits"),
        ],
        es=[
            ("¿cuándo es mi próxima cita?", "ask_full_name"),
            ("me llamo Agnes Lund", "ask_birth_date_short"),
            ("<birth date>", "ask_second_fact"),
            ("mi código postal es <zip>", "verified no_visits"),
        ],
    )
    assert who.phone
    await scene.verified_as("name+birth_date+fact")


@on("web-en", "web-es")
async def test_any_of_three_facts_will_do(scene: Scene) -> None:
    for fact in ("zip", "last four", "mrn"):
        again = scene.again()
        await again.patient()
        await again.play(
            en=[
                ("my appointments", "ask_full_name"),
                ("<name>", "ask_birth_date_short"),
                ("<birth date>", "ask_second_fact"),
                ("I am not sure", "ask_second_fact_again"),
                (f"<{fact}>", "verified no_visits"),
            ],
            es=[
                ("mis citas", "ask_full_name"),
                ("<name>", "ask_birth_date_short"),
                ("<birth date>", "ask_second_fact"),
                ("no estoy seguro", "ask_second_fact_again"),
                (f"<{fact}>", "verified no_visits"),
            ],
        )
        await again.verified_as("name+birth_date+fact")
        await again.close()


@on(*EVERYWHERE)
async def test_everything_in_the_first_message(scene: Scene) -> None:
    on_web = scene.channel == "web"
    await scene.play(
        en=[
            ("<name>, <birth date>", "ask_second_fact" if on_web else "verified ask_what_next"),
            *([("<fact>", "verified ask_what_next")] if on_web else []),
            ("my appointments", "no_visits"),
        ],
        es=[
            ("soy <name>, nací el <birth date>", "ask_second_fact" if on_web else "verified ask_what_next"),
            *([("<fact>", "verified ask_what_next")] if on_web else []),
            ("mis citas", "no_visits"),
        ],
    )
    await scene.verified_as("name+birth_date+fact" if on_web else "phone+birth_date")


@on("web-en", "web-es")
async def test_name_birth_date_and_zip_at_once(scene: Scene) -> None:
    await scene.play(
        en=[("My name is <name>, I was born <birth date>, my zip code is <zip>", "verified ask_what_next")],
        es=[("me llamo <name>, nací el <birth date>, mi código postal es <zip>", "verified ask_what_next")],
    )
    await scene.verified_as("name+birth_date+fact")


@on("web-en", "sms-es")
async def test_name_and_birth_date_together_when_asked_for_the_name(scene: Scene) -> None:
    scene.be("maria", elsewhere=True)
    await scene.play(
        en=[
            ("my appointments", "ask_full_name"),
            ("Maria Lopez, 4/12/1968", "ask_second_fact"),
            ("<zip>", "verified visits"),
        ],
        es=[
            ("mis citas", "ask_full_name"),
            ("María López, 12 de abril de 1968", "ask_second_fact"),
            ("<zip>", "verified visits"),
        ],
    )


@on(*EVERYWHERE)
async def test_three_wrong_answers_lock_the_channel_and_tell_the_front_desk(scene: Scene) -> None:
    on_web = scene.channel == "web"

    def wrong(number: int, after: str) -> list[Any]:
        if not on_web:
            return [(WRONG_DATES[number], after)]
        return [
            ("<name>", "ask_birth_date_short"),
            (WRONG_DATES[number], "ask_second_fact"),
            ("00000", after.replace("ask_birth_date_short", "ask_full_name_again")),
        ]

    again = "identity_no_match ask_birth_date_short"
    lock = [*wrong(0, again), *wrong(1, again), *wrong(2, "identity_locked")]
    await scene.play(
        en=[
            ("my appointments", "<who>"),
            *lock,
            ("my appointments", "identity_locked"),
            ("cancel my appointment", "identity_locked"),
            ("what are your hours?", "faq_hours"),
        ],
        es=[
            ("mis citas", "<who>"),
            *lock,
            ("mis citas", "identity_locked"),
            ("cancelar mi cita", "identity_locked"),
            ("¿cuál es el horario?", "faq_hours"),
        ],
    )
    conversation = await scene.not_verified()
    assert conversation.verification_failures == 3
    assert conversation.verification_locked_at is not None
    await scene.escalation("identity", severity="soon", team="front-desk")


@on("sms-en", "whatsapp-es")
async def test_the_lock_ends_after_a_day_and_locks_again_after_three_more(scene: Scene) -> None:
    again = "identity_no_match ask_birth_date_short"
    lock = [(WRONG_DATES[0], again), (WRONG_DATES[1], again), (WRONG_DATES[2], "identity_locked")]

    async def a_day_passes(scene: Scene) -> None:
        await _later(scene, "verification_locked_at", 25)

    ask = {"en": "my appointments", "es": "mis citas"}[scene.language]
    steps = [
        (ask, "<who>"),
        *lock,
        (ask, "identity_locked"),
        a_day_passes,
        (ask, "ask_birth_date_short"),
        *lock,
        (ask, "identity_locked"),
        a_day_passes,
        (ask, "ask_birth_date_short"),
        ("<birth date>", "verified no_visits"),
    ]
    await scene.play(en=steps, es=steps)
    await scene.verified_as("phone+birth_date")


@on("sms-en", "whatsapp-es", "web-en")
async def test_a_lock_leaves_the_way_to_a_human_and_to_help_with_symptoms(scene: Scene) -> None:
    who = await scene.patient()
    assert who
    on_web = scene.channel == "web"
    miss = [("<name>", "ask_birth_date_short"), ("1/1/1931", "ask_second_fact")] if on_web else []
    again = f"identity_no_match {'ask_full_name_again' if on_web else 'ask_birth_date_short'}"
    wrong = "00000" if on_web else "1/1/1931"
    lock = [*miss, (wrong, again), *miss, (wrong, again), *miss, (wrong, "identity_locked")]
    await scene.play(
        en=[("my appointments", "<who>"), *lock, ("I have a sore throat", "triage_drooling"),
            ("let me talk to a person", "human_coming")],
        es=[("mis citas", "<who>"), *lock, ("me duele la garganta", "triage_drooling"),
            ("quiero hablar con una persona", "human_coming")],
    )  # fmt: skip
    assert {row.reason for row in await scene.escalations()} == {"identity", "human_request"}
    assert (await scene.conversation()).owner == "human"


@on("sms-en", "whatsapp-en")
async def test_three_people_on_one_phone_are_told_apart(scene: Scene) -> None:
    """Linh, Minh and Hoa share the household's phone; Minh and Hoa have a visit each."""
    who = scene.be({"sms": "minh", "whatsapp": "hoa"}[scene.channel])
    await scene.play(
        en=[("when is my appointment", "ask_birth_date_shared"), ("<birth date>", "verified visits")],
    )
    await scene.verified_as("phone+birth_date")
    told = scene.said_last[-1].parameters["visits"]
    assert [line["practitioner"] for line in told] == [{"minh-nguyen": "Dr. Fiona O'Neill",
                                                        "hoa-nguyen": "Dr. Daniela Reyes"}[who.id]]  # fmt: skip


@on("sms-en", "whatsapp-es")
async def test_another_member_of_the_family_takes_the_phone(scene: Scene) -> None:
    first = await scene.patient()
    second = await scene.patient(telecom=[{"system": "phone", "value": first.phone}])
    await scene.world.visit(second, "dr-chen")
    scene.who = first
    me = f"<given> {first.family}"

    async def now_the_other(scene: Scene) -> None:
        scene.who = replace(second, phone=first.phone)

    await scene.play(
        en=[
            ("my appointments", "ask_birth_date_shared"),
            ("<birth date>", "verified no_visits"),
            (f"this is {me}", "ask_what_next"),
            now_the_other,
            ("this is <name>, born <birth date>", "verified ask_what_next"),
            ("my appointments", "visits"),
        ],
        es=[
            ("mis citas", "ask_birth_date_shared"),
            ("<birth date>", "verified no_visits"),
            (f"soy {me}", "ask_what_next"),
            now_the_other,
            ("soy <name>, nací el <birth date>", "verified ask_what_next"),
            ("mis citas", "visits"),
        ],
    )
    await scene.verified_as("phone+birth_date")


@on("sms-en", "whatsapp-es")
async def test_twins_on_one_phone_are_told_apart_by_name(scene: Scene) -> None:
    first = await scene.patient()
    twin = await scene.patient(
        birthDate=first.birth_date.isoformat(), telecom=[{"system": "phone", "value": first.phone}]
    )
    scene.who = replace(twin, phone=first.phone)
    await scene.play(
        en=[
            ("my appointments", "ask_birth_date_shared"),
            ("<birth date>", "ask_which_person"),
            ("<given>", "verified no_visits"),
        ],
        es=[
            ("mis citas", "ask_birth_date_shared"),
            ("<birth date>", "ask_which_person"),
            ("<given>", "verified no_visits"),
        ],
    )
    await scene.verified_as("phone+birth_date+name")


@on("sms-es", "whatsapp-en")
async def test_a_mother_writes_for_her_child(scene: Scene) -> None:
    """Elena has the phone of Sofía and Mateo; Hannah has the phone of Noah."""
    child = scene.be({"es": "sofia", "en": "noah"}[scene.language])
    await scene.play(
        en=[("my appointments", "ask_birth_date_child"), ("<birth date>", "verified_guardian visits")],
        es=[("mis citas", "ask_birth_date_shared"), ("<birth date>", "verified_guardian visits")],
    )
    conversation = await scene.verified_as("phone+birth_date")
    assert conversation.patient_id == child.id


@on("whatsapp-es")
async def test_the_other_child_of_the_same_mother(scene: Scene) -> None:
    scene.be("mateo")
    await scene.play(es=[("mis citas", "ask_birth_date_shared"), ("<birth date>", "verified_guardian no_visits")])
    await scene.verified_as("phone+birth_date")


@on("sms-en", "whatsapp-en", "web-en")
async def test_somebody_writes_for_a_patient_who_has_died(scene: Scene) -> None:
    """A person of the clinic takes it, gently: no "wrong date of birth", no visits, no name."""
    scene.be("harold")
    on_web = scene.channel == "web"
    tell = [("<name>", "ask_birth_date_short"), ("<birth date>", "ask_second_fact")] if on_web else []
    await scene.play(
        en=[("my appointments", "<who>"), *tell, ("<zip>" if on_web else "<birth date>", "identity_human")],
    )
    await scene.not_verified()
    await scene.escalation("identity", severity="soon", team="front-desk")


@on("sms-en", "whatsapp-en", "web-en")
async def test_two_john_smiths(scene: Scene) -> None:
    who = scene.be({"sms": "john_elder", "whatsapp": "john_younger", "web": "john_elder"}[scene.channel])
    await scene.play(en=[("my appointments", "<who>"), (ME, "verified visits")])
    conversation = await scene.conversation()
    assert conversation.patient_id == who.id
    assert len(scene.said_last[-1].parameters["visits"]) == 1


@on("sms-en", "whatsapp-en")
async def test_a_phone_that_the_clinic_wrote_down_in_its_own_way(scene: Scene) -> None:
    scene.be({"sms": "grace", "whatsapp": "omar"}[scene.channel])
    visits = {"sms": "visits", "whatsapp": "no_visits"}[scene.channel]
    await scene.play(en=[("my appointments", "ask_birth_date"), ("<birth date>", f"verified {visits}")])


@on("sms-es", "web-es", "whatsapp-es")
async def test_two_given_and_two_family_names(scene: Scene) -> None:
    scene.be("miguel")
    on_web = scene.channel == "web"
    name = [("miguel peña", "ask_birth_date_short")] if on_web else []
    await scene.play(
        es=[
            ("mis citas", "<who>"),
            *name,
            ("14 de febrero de 1971", "ask_second_fact" if on_web else "verified visits"),
            *([("<zip>", "verified visits")] if on_web else []),
        ],
    )


@on("sms-en", "web-es", "whatsapp-es")
async def test_who_does_not_want_to_say_or_does_not_know_gets_a_human(scene: Scene) -> None:
    again = "ask_full_name_again" if scene.channel == "web" else "ask_birth_date_again"
    await scene.play(
        en=[
            ("my appointments", "<who>"),
            ("xyz", again),
            ("I don't know", again),
            ("what", f"human_after_trying|{again}"),
        ],
        es=[
            ("mis citas", "<who>"),
            ("xyz", again),
            ("12", again),
            ("qwerty", "human_after_trying"),
        ],
    )
    await scene.not_verified()


@on("sms-en", "whatsapp-es")
async def test_who_was_verified_long_ago_is_asked_again(scene: Scene) -> None:
    async def a_week_passes(scene: Scene) -> None:
        await _later(scene, "verified_at", 24 * 7)

    await scene.play(
        en=[
            ("my appointments", "<who>"), (ME, "verified no_visits"), a_week_passes,
            ("my appointments", "<who>"), (ME, "verified no_visits"),
        ],
        es=[
            ("mis citas", "<who>"), (ME, "verified no_visits"), a_week_passes,
            ("mis citas", "<who>"), (ME, "verified no_visits"),
        ],
    )  # fmt: skip


@on("sms-en", "sms-es", "whatsapp-en")
async def test_a_wrong_number_hears_nothing_more_of_the_patient(scene: Scene) -> None:
    await scene.play(
        en=[
            ("my appointments", "<who>"),
            (ME, "verified no_visits"),
            ("you have the wrong number, I don't know who that is", "wrong_person"),
            ("my appointments", "<who>"),
        ],
        es=[
            ("mis citas", "<who>"),
            (ME, "verified no_visits"),
            ("se equivocó de número, no conozco a esa persona", "wrong_person"),
            ("mis citas", "<who>"),
        ],
    )
    await scene.not_verified()
    await scene.escalation("identity", severity="soon", team="front-desk")
