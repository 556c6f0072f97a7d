"""The sandbox EHR as an ASGI application: FHIR R4 at /fhir, SMART token endpoint at /auth, and /health."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from sekmet.auth.server import build_router as auth_router
from sekmet.bulk.server import build_router as bulk_router
from sekmet.fhir.router import build_router as fhir_router

from sandbox.ehr.faults import FaultInjector
from sandbox.ehr.loading import origin_of
from sandbox.ehr.service import open_context


def create_app(database: Path, root_url: str, *, faults: bool = False) -> Any:
    """Serves `database` under `root_url`; with `faults`, behind the fault injector."""
    context = open_context(str(database), f"{root_url}/fhir")
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.context = context
    for router in (auth_router, bulk_router, fhir_router):  # bulk before the catch-all of FHIR
        app.include_router(router(lambda: context))

    origin = origin_of(database)

    @app.get("/health")
    def health() -> dict[str, Any]:
        return {"status": "ok", "fhirVersion": "4.0.1", **origin, "counts": context.store.counts()}

    return FaultInjector(app) if faults else app
