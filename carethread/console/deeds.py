"""What staff do: each is a form, one transaction, and a redirect. Who comes second is told who was first."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import redirect
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.console.auth import digest
from carethread.console.pages import thread_page
from carethread.console.site import NoPage, Refused, Site, Visit
from carethread.escalation import Held, Missing, Resolved, hand_back, release, resolve, take, take_over
from carethread.messaging.introduction import introduced
from carethread.messaging.outbox import Say, queue
from carethread.messaging.staff import NotYours, OptedOut, Unsendable, say_as_staff
from carethread.programs.runs import waiting
from carethread.storage.models import Conversation, Escalation

Deed = Callable[[AsyncSession, Visit, dict[str, str]], Awaitable[None]]


def add(bp: Blueprint, site: Site) -> None:
    """Register the forms' targets."""

    async def _tell(session: AsyncSession, visit: Visit, conversation: Conversation, say: Say) -> None:
        """The patient hears who speaks with them now; said once for each change of hands."""
        key = f"owner:{conversation.id}:{say.key}:{visit.now.isoformat()}"
        await queue(session, visit.clinic, site.content.current, conversation, [say], key=key, now=visit.now)

    async def _back(session: AsyncSession, visit: Visit, conversation: Conversation) -> None:
        if conversation.owner == "assistant":
            return
        await hand_back(session, conversation, visit.staff, visit.now)
        # A patient whom only people have answered so far does not know of any assistant that could be back.
        first = introduced(conversation, [Say("utter_handed_back", {})], visit.now)[0]
        await _tell(session, visit, conversation, first)
        if await waiting(session, conversation.id) is not None:
            await _tell(session, visit, conversation, Say("utter_checkin_open", {}))

    @bp.post("/<tenant:str>/conversations/<conversation_id:uuid>/take-over", name="take_over")
    async def over(request: Request, tenant: str, conversation_id: uuid.UUID) -> HTTPResponse:
        async def deed(session: AsyncSession, visit: Visit, form: dict[str, str]) -> None:
            conversation = await _conversation(session, conversation_id)
            if conversation.owner_staff_id != visit.staff.id:
                await take_over(session, conversation, visit.staff, visit.now, instead_of=_holder(form))
                await _tell(session, visit, conversation, Say("utter_taken_over", {"name": visit.staff.name}))
            # Who speaks with the patient works what nobody else has of this conversation.
            for escalation_id in await _open_here(session, conversation_id):
                await take(session, visit.clinic, escalation_id, visit.staff, visit.now)

        return await _do(site, request, tenant, conversation_id, deed, done="taken_over")

    @bp.post("/<tenant:str>/conversations/<conversation_id:uuid>/hand-back", name="hand_back")
    async def back(request: Request, tenant: str, conversation_id: uuid.UUID) -> HTTPResponse:
        async def deed(session: AsyncSession, visit: Visit, _form: dict[str, str]) -> None:
            await _back(session, visit, await _conversation(session, conversation_id))

        return await _do(site, request, tenant, conversation_id, deed, done="handed_back")

    @bp.post("/<tenant:str>/conversations/<conversation_id:uuid>/reply", name="reply")
    async def reply(request: Request, tenant: str, conversation_id: uuid.UUID) -> HTTPResponse:
        async def deed(session: AsyncSession, visit: Visit, form: dict[str, str]) -> None:
            if not (nonce := form.get("nonce")):
                raise Refused
            conversation, words = await _conversation(session, conversation_id), form.get("text", "")
            # The same form sent twice is one message; gone back to and changed, it is another.
            key = f"staff:{conversation.id}:{digest(nonce + words)[:24]}"
            await say_as_staff(session, visit.clinic, conversation, visit.staff, words, key, now=visit.now)

        return await _do(site, request, tenant, conversation_id, deed, done="said")

    @bp.post("/<tenant:str>/escalations/<escalation_id:uuid>/<verb:take|release|resolve>", name="escalation")
    async def escalation(request: Request, tenant: str, escalation_id: uuid.UUID, verb: str) -> HTTPResponse:
        async def deed(session: AsyncSession, visit: Visit, form: dict[str, str]) -> None:
            clinic, staff, now = visit.clinic, visit.staff, visit.now
            if verb == "take":
                await take(session, clinic, escalation_id, staff, now, instead_of=_holder(form))
            elif verb == "release":
                await release(session, clinic, escalation_id, staff, now)
            else:
                row = await resolve(session, clinic, escalation_id, staff, now, form.get("resolution", ""))
                if form.get("hand_back"):
                    await _back(session, visit, await _conversation(session, row.conversation_id))

        visit = await site.visit(request, tenant)
        async with site.database.begin(tenant) as session:
            row = await session.get(Escalation, escalation_id)
        if row is None:
            raise NoPage(visit)
        done = {"take": "taken", "release": "released", "resolve": "resolved"}[verb]
        return await _do(site, request, tenant, row.conversation_id, deed, done=done)


async def _do(
    site: Site, request: Request, tenant: str, conversation_id: uuid.UUID, deed: Deed, *, done: str
) -> HTTPResponse:
    """Run `deed` in one transaction; afterwards the thread, with what came of it."""
    visit, form = await site.posted(request, tenant)
    draft = form.get("text", "")
    try:
        async with site.database.begin(tenant) as session:
            await deed(session, visit, form)
    except Missing as missing:
        raise NoPage(visit) from missing
    except Held as held:
        return await thread_page(
            site, visit, conversation_id, status=409,
            trouble=f"held_{held.what}", holder=held.holder, since=held.since, draft=draft,
        )  # fmt: skip
    except Resolved as closed:
        return await thread_page(
            site, visit, conversation_id, status=409, trouble="resolved", holder=closed.by, since=closed.at
        )
    except NotYours:
        return await thread_page(site, visit, conversation_id, status=409, trouble="not_yours", draft=draft)
    except OptedOut:
        return await thread_page(site, visit, conversation_id, status=409, trouble="opted_out", draft=draft)
    except Unsendable as error:
        trouble = "too_long" if error.length else "empty"
        return await thread_page(
            site, visit, conversation_id, status=400, trouble=trouble, draft=draft, length=error.length
        )
    except ValueError:
        return await thread_page(site, visit, conversation_id, status=400, trouble="no_resolution")
    return redirect(f"/staff/{tenant}/conversations/{conversation_id}?done={done}#latest", status=303)


async def _conversation(session: AsyncSession, conversation_id: uuid.UUID) -> Conversation:
    if (row := await session.get(Conversation, conversation_id)) is None:
        raise Missing(f"conversation {conversation_id}")
    return row


async def _open_here(session: AsyncSession, conversation_id: uuid.UUID) -> list[uuid.UUID]:
    """What nobody has in this conversation. Its lock is ours, so nothing new is opened meanwhile."""
    rows = await session.scalars(
        select(Escalation.id)
        .where(Escalation.conversation_id == conversation_id, Escalation.state == "open")
        .with_for_update(skip_locked=True)
    )
    return list(rows)


def _holder(form: dict[str, str]) -> uuid.UUID | None:
    """The colleague whom a form says to relieve; None when it names none, or nonsense."""
    try:
        return uuid.UUID(form["instead_of"])
    except (KeyError, ValueError):
        return None
