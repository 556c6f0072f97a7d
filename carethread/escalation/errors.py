"""Why a deed of the staff's cannot be done. Pages show these; none of them changes anything."""

from __future__ import annotations

import uuid
from datetime import datetime


class Missing(LookupError):
    """No such row in this tenant."""


class Held(Exception):
    """A colleague was first: who has it, and since when."""

    def __init__(self, what: str, holder_id: uuid.UUID, holder: str, since: datetime | None) -> None:
        super().__init__(f"{what} is held by staff {holder_id}")
        self.what = what
        self.holder_id = holder_id
        self.holder = holder
        self.since = since


class Resolved(Exception):
    """The escalation is closed already: by whom, and when."""

    def __init__(self, by: str | None, at: datetime | None) -> None:
        super().__init__("the escalation is resolved")
        self.by = by
        self.at = at
