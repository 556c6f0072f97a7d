"""Check-ins that the platform starts by itself: when they are due, at a decent hour, once. The clock is an argument."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta

import pytest

from carethread.clinic import Hours
from carethread.programs.enrolment import enrol_discharged
from carethread.programs.library import Programs, load_programs
from carethread.programs.runs import opened
from carethread.programs.touchpoints import last_started, start_due
from carethread.questionnaires import load
from carethread.storage.models import QuestionnaireRun
from tests.scenes import Scene, on

pytestmark = pytest.mark.stack

LAUNCH = {
    "url": "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-launchContext",
    "extension": [{"url": "name", "valueCoding": {"code": "patient"}}, {"url": "type", "valueCode": "Patient"}],
}
FROM_THE_RECORD = {
    "url": "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-initialExpression",
    "valueExpression": {"language": "text/fhirpath", "expression": "%patient.birthDate"},
}
NIGHT = Hours(start=time(20), end=time(8))


def programs(scene: Scene) -> Programs:
    clinic = scene.stack.clinic
    return load_programs(scene.stack.settings.programs_dir, {clinic.id: clinic})


async def discharged(scene: Scene) -> str:
    """Somebody who went home an hour ago and is enrolled."""
    who = await scene.patient()
    await scene.world.discharge(who)
    stack = scene.stack
    await enrol_discharged(stack.database, stack.ehr, stack.clinic, programs(scene), now=scene.world.now())
    return who.id


async def runs_at(scene: Scene, moment: datetime) -> list[QuestionnaireRun]:
    """The patient's check-ins after everything was started that is due at `moment`."""
    await started(scene, programs(scene), moment)
    return await scene.runs()


async def started(scene: Scene, known: Programs, moment: datetime) -> None:
    stack = scene.stack
    clinic = stack.clinic.model_copy(update={"quiet_hours": NIGHT})
    await start_due(stack.database, stack.ehr, clinic, known, now=moment)


def tomorrow(scene: Scene, hour: int, days: int = 1) -> datetime:
    local = scene.world.now().astimezone(scene.stack.clinic.zone) + timedelta(days=days)
    return local.replace(hour=hour, minute=30, second=0, microsecond=0)


@on("sms-es")
async def test_a_check_in_comes_by_itself_when_it_is_due(scene: Scene) -> None:
    patient_id = await discharged(scene)
    stack = scene.stack
    assert await runs_at(scene, scene.world.now() + timedelta(hours=2)) == []
    assert await last_started(stack.database, stack.clinic, patient_id) is None
    # Sixteen hours after going home at the earliest, so the second morning is late enough for everybody.
    assert len(await runs_at(scene, tomorrow(scene, 10, days=2))) == 1
    assert await last_started(stack.database, stack.clinic, patient_id) == tomorrow(scene, 10, days=2)
    await scene.expect_news("checkin_invitation <who>")
    assert len(await runs_at(scene, tomorrow(scene, 11, days=2))) == 1


@on("sms-en")
async def test_a_form_fills_in_what_the_ehr_knows_of_the_patient(scene: Scene) -> None:
    patient_id = await discharged(scene)
    form = load(
        {
            "resourceType": "Questionnaire",
            "status": "active",
            "extension": [LAUNCH],
            "item": [{"linkId": "born", "type": "date", "text": "Born?", "extension": [FROM_THE_RECORD]}],
        }
    )
    known = programs(scene)
    program = known["post_discharge"]
    name = program.definition.touchpoints[0].questionnaire
    replaced = Programs({"post_discharge": replace(program, questionnaires={name: form})})
    moment = tomorrow(scene, 10, days=2)
    await started(scene, replaced, moment)
    [run] = await scene.runs()
    assert run.launch is not None
    assert "photo" not in run.launch
    record = await scene.stack.ehr.read("Patient", patient_id)
    assert record is not None
    born = record.raw["birthDate"]
    step = opened(replaced["post_discharge"], form, run, language="en", now=moment)
    assert step.question is not None
    assert [proposed.key for proposed in step.question.proposed] == [born]


@on("sms-en")
async def test_nobody_is_written_to_at_night(scene: Scene) -> None:
    await discharged(scene)
    assert await runs_at(scene, tomorrow(scene, 21, days=2)) == []
    assert await runs_at(scene, tomorrow(scene, 6, days=3)) == []
    assert len(await runs_at(scene, tomorrow(scene, 8, days=3))) == 1
    await scene.expect_news("checkin_invitation <who>")


@on("sms-en")
async def test_a_check_in_that_comes_too_late_does_not_come(scene: Scene) -> None:
    await discharged(scene)
    assert await runs_at(scene, tomorrow(scene, 12, days=9)) == []
    assert await runs_at(scene, tomorrow(scene, 10, days=2)) == []
