"""My appointments: when, where, with whom, how to get ready, and the link of a video visit."""

from __future__ import annotations

from tests.scenes import EVERYWHERE, ME, Scene, on

FAST = "Eat nothing for 8 hours before."


def _told(scene: Scene) -> list[dict[str, str]]:
    """The visits that the patient was told last."""
    return list(scene.said_last[-1].parameters["visits"])


@on(*EVERYWHERE)
async def test_what_is_coming_when_where_with_whom_and_how_to_get_ready(scene: Scene) -> None:
    who = await scene.patient()
    first = await scene.world.visit(who, "dr-okafor", days=3, prepare=FAST)
    second = await scene.world.visit(who, "dr-chen", days=9)
    await scene.play(
        en=[("when is my next appointment?", "<who>"), (ME, "verified visits")],
        es=[("¿cuándo es mi próxima cita?", "<who>"), (ME, "verified visits")],
    )
    told = _told(scene)
    assert [line["practitioner"] for line in told] == ["Dr. Ngozi Okafor", "Dr. Grace Chen"]
    assert scene.same_moments([line["start"] for line in told], [first["start"], second["start"]])
    assert all("200 River Street" in line["place"] for line in told)
    text = scene.said_last[-1].text
    assert FAST in text
    assert "200 River Street" in text
    assert "Okafor" in text
    await scene.no_escalation()


@on("sms-en", "web-es", "whatsapp-es", "web-en")
async def test_many_ways_to_ask(scene: Scene) -> None:
    who = await scene.patient()
    await scene.world.visit(who, "dr-patel", days=4)
    await scene.play(
        en=[
            ("my appointments", "<who>"),
            (ME, "verified visits"),
            ("what time do I have to be there?", "visits"),
            ("who am I seeing", "visits"),
            ("where is my appointment", "visits"),
            ("do I have any visits coming up?", "visits"),
            ("wen is my apointment", "visits"),
        ],
        es=[
            ("mis citas", "<who>"),
            (ME, "verified visits"),
            ("¿a qué hora es mi cita?", "visits"),
            ("¿con qué doctor me toca?", "visits"),
            ("¿dónde es mi cita?", "visits"),
            ("¿tengo alguna cita pronto?", "visits"),
            ("cuando es mi sita", "visits"),
        ],
    )


@on(*EVERYWHERE)
async def test_the_link_of_a_video_visit(scene: Scene) -> None:
    who = await scene.patient()
    await scene.world.visit(who, "dr-chen", days=2)
    visit = await scene.world.visit(who, "dr-patel", days=3, video=True)
    await scene.play(
        en=[("where is the link for my video visit?", "<who>"), (ME, "verified video_links")],
        es=[("¿dónde está el enlace de mi cita por video?", "<who>"), (ME, "verified video_links")],
    )
    link = f"https://video.example.org/visit/{visit['slot'][0]['reference'].removeprefix('Slot/')}"
    assert [line["video"] for line in _told(scene)] == [link]
    assert link in scene.said_last[-1].text


@on("sms-es", "web-en")
async def test_no_video_visit_and_nothing_to_prepare(scene: Scene) -> None:
    who = await scene.patient()
    await scene.world.visit(who, "dr-chen", days=2)
    await scene.play(
        en=[
            ("send me the video link please", "<who>"),
            (ME, "verified no_video"),
            ("do I need to fast?", "no_preparation"),
        ],
        es=[
            ("necesito el enlace de mi cita por video", "<who>"),
            (ME, "verified no_video"),
            ("¿tengo que ir en ayunas?", "no_preparation"),
        ],
    )


@on("whatsapp-en", "sms-es", "web-es")
async def test_how_to_get_ready(scene: Scene) -> None:
    who = await scene.patient()
    await scene.world.visit(who, "dr-chen", days=2)
    await scene.world.visit(who, "dr-okafor", days=5, prepare=FAST)
    await scene.play(
        en=[("how do I prepare for my appointment?", "<who>"), (ME, "verified preparation")],
        es=[("¿cómo me preparo para mi cita?", "<who>"), (ME, "verified preparation")],
    )
    assert FAST in scene.said_last[-1].text


@on("sms-en", "web-es", "whatsapp-en")
async def test_no_visits_then_one_is_booked(scene: Scene) -> None:
    await scene.play(
        en=[
            ("what appointments do I have", "<who>"),
            (ME, "verified no_visits"),
            ("yes", "ask_visit_service"),
            ("family medicine", "ask_visit_reason"),
            ("a check-up", "ask_visit_time"),
            ("in two weeks", "offer_slots|offer_nearest"),
            ("1", "booked"),
            ("my appointments", "visits"),
        ],
        es=[
            ("¿qué citas tengo?", "<who>"),
            (ME, "verified no_visits"),
            ("sí", "ask_visit_service"),
            ("medicina familiar", "ask_visit_reason"),
            ("un chequeo", "ask_visit_time"),
            ("en dos semanas", "offer_slots|offer_nearest"),
            ("1", "booked"),
            ("mis citas", "visits"),
        ],
    )
    assert scene.who is not None
    visit = await scene.world.appointment(scene.who)
    assert scene.same_moments([_told(scene)[0]["start"]], [visit["start"]])


@on("sms-en", "web-en")
async def test_visits_that_are_over_or_off_are_not_told(scene: Scene) -> None:
    """Chloe has three visits coming and one that was cancelled; Kevin has missed his last two."""
    scene.be({"sms": "kevin", "web": "chloe"}[scene.channel])
    expected = {"sms": "no_visits", "web": "visits"}[scene.channel]
    await scene.play(en=[("my appointments", "<who>"), (ME, f"verified {expected}")])
    if scene.channel == "web":
        told = _told(scene)
        assert [line["number"] for line in told] == [1, 2, 3]
        assert [bool(line["video"]) for line in told] == [False, True, False]
        assert [line["start"] for line in told] == sorted(line["start"] for line in told)
