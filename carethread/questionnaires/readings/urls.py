"""A web address: "www.clinic.org", "clinica punto com", "it's https://clinic.org/maria"."""

import re

from carethread.questionnaires.readings.reading import Reading

_SPOKEN = re.compile(r"\s*(?:\bdot\b|\bpunto\b)\s*|\s+\.\s*(?=[a-z])", re.IGNORECASE)
_SLASH = re.compile(r"\s*\b(?:slash|diagonal|barra)\b\s*", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?<![\w@.])(?:(?P<scheme>https?)://)?(?P<host>(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,24})(?P<port>:\d{1,5})?"
    r"(?P<path>[/?#][^\s<>\"]*)?",
    re.IGNORECASE,
)


def read_url(text: str, language: str) -> Reading[str] | None:
    """The address, with `https://` where no scheme was written; None where there is none, or more than one."""
    written = _SLASH.sub("/", _SPOKEN.sub(".", text)) if re.search(r"\b(?:dot|punto)\b|\s\.\s?\w", text, re.I) else text
    found = [match for match in _ADDRESS.finditer(written) if "@" not in written[match.end() : match.end() + 1]]
    addresses = {_whole(match) for match in found}
    if len(addresses) != 1:
        return None
    confidence = 0.97 if written == text else 0.85
    return Reading(addresses.pop(), confidence, (0, len(text)), "exact")


def _whole(match: "re.Match[str]") -> str:
    scheme = (match["scheme"] or "https").lower()
    path = (match["path"] or "").rstrip(".,;:!)")
    return f"{scheme}://{match['host'].lower()}{match['port'] or ''}{path}"
