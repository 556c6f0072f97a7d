"""Everything that waits or may fail: inbound and outbound messages, touchpoints, EHR writes, deadlines."""

from __future__ import annotations

import asyncio
import gc
import signal
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import asyncpg
import structlog
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries
from pgqueuer.types import Channel as NotifyChannel

from carethread.bootstrap import WorkerParts
from carethread.messaging.wakeups import QUEUE, Wakeup, Work

log = structlog.get_logger()

_SWEEP_EVERY = 2.0  # seconds
_RECONNECT = 1.0  # seconds
_CONCURRENCY = 128  # most of a job is waiting: for the engine, for a sender's turn
_BATCH = 16


async def run_worker(parts: WorkerParts, stop: asyncio.Event) -> None:
    """Work until `stop` is set; survives a database that goes away and comes back."""
    parts.core.updates.start()
    sweeper = parts.sweeper
    tasks = [
        asyncio.create_task(_jobs(parts, stop)),
        asyncio.create_task(_sweep(parts, stop, sweeper.sweep)),
        asyncio.create_task(_sweep(parts, stop, sweeper.sweep_sends)),
        asyncio.create_task(_sweep(parts, stop, sweeper.sweep_ehr)),
    ]
    await stop.wait()
    await asyncio.gather(*tasks, return_exceptions=True)
    await parts.close()


async def _jobs(parts: WorkerParts, stop: asyncio.Event) -> None:
    """Take wake-ups off the queue."""
    while not stop.is_set():
        try:
            # By this name deploy/probe.py knows that a worker is at work.
            connection = await asyncpg.connect(
                parts.core.database.url, server_settings={"application_name": "carethread-worker"}
            )
        except (OSError, asyncpg.PostgresError) as error:
            log.warning("queue_unreachable", error=type(error).__name__)
            await _nap(stop, _RECONNECT)
            continue
        queue = _queue(connection, parts)
        closing = asyncio.create_task(_close_when(stop, queue))
        try:
            await queue.run(
                batch_size=_BATCH,
                max_concurrent_tasks=_CONCURRENCY,
                dequeue_timeout=timedelta(seconds=1),
                heartbeat_timeout=timedelta(seconds=10),
                shutdown_on_listener_failure=True,
            )
        except Exception as error:  # the sweeper keeps the promise while the queue is away
            log.warning("queue_lost", error=type(error).__name__)
        finally:
            closing.cancel()
            with suppress(Exception):
                await connection.close(timeout=2)
        await _nap(stop, _RECONNECT)


def _queue(connection: asyncpg.Connection, parts: WorkerParts) -> PgQueuer:
    driver = AsyncpgDriver(connection)
    queries = Queries(
        driver,
        qbe=QueryBuilderEnvironment(QUEUE),
        qbq=QueryQueueBuilder(QUEUE),
        qbs=QuerySchedulerBuilder(QUEUE),
    )
    queue = PgQueuer(driver, channel=NotifyChannel(QUEUE.channel), queries=queries)

    def register(work: Work, handle: Callable[[Wakeup], Awaitable[None]]) -> None:
        @queue.entrypoint(work)
        async def entry(job: Job) -> None:
            await handle(Wakeup.parse(work, job.payload))

    async def inbound(wakeup: Wakeup) -> None:
        await parts.pipeline.work(wakeup.tenant, uuid.UUID(wakeup.subject))

    async def outbound(wakeup: Wakeup) -> None:
        await parts.outbound.work(wakeup.tenant, uuid.UUID(wakeup.subject))

    register("inbound", inbound)
    register("outbound", outbound)
    return queue


async def _sweep(parts: WorkerParts, stop: asyncio.Event, sweep: Callable[[str], Awaitable[None]]) -> None:
    """Find rows that no job woke: the ledger is the truth, the queue only a bell."""
    while not stop.is_set():
        for tenant in parts.core.clinics:
            try:
                await sweep(tenant)
            except Exception as error:
                log.warning("sweep_failed", tenant=tenant, error=type(error).__name__)
        await _nap(stop, _SWEEP_EVERY)


async def _close_when(stop: asyncio.Event, queue: PgQueuer) -> None:
    await stop.wait()
    queue.shutdown.set()


async def _nap(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


def run(parts: Callable[[], WorkerParts]) -> None:
    """The worker process: until SIGTERM, finishing what is under way."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        ready = parts()
        # The tables and pipelines live as long as the process: the collector need not look at them again.
        gc.freeze()
        await run_worker(ready, stop)

    uvloop.run(main())
