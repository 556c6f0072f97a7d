"""Plain FHIR over HTTP for the contract tests: no retries, no models, so that a test sees what the server said."""

from __future__ import annotations

from typing import Any

import requests

Json = dict[str, Any]

FHIR_JSON = "application/fhir+json"
JSON_PATCH = "application/json-patch+json"
TIMEOUT_S = 30


class Fhir:
    """A FHIR base URL; every call returns the whole response."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._http = requests.Session()
        self._http.headers.update({"Accept": FHIR_JSON, "Content-Type": FHIR_JSON})

    def call(self, method: str, path: str = "", json: Any = None, **headers: str) -> requests.Response:
        """`If_Match="…"` becomes the header If-Match. `path` may be a whole address, as in a `next` link."""
        address = path if path.startswith("http") else f"{self.base_url}/{path}".rstrip("/")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._http.request(method, address, json=json, headers=named, timeout=TIMEOUT_S)

    def create(self, resource: Json, **headers: str) -> requests.Response:
        """POST to the resource's type."""
        return self.call("POST", resource["resourceType"], resource, **headers)

    def made(self, resource: Json) -> Json:
        """Create that must succeed; the resource with its id."""
        answer = self.create(resource)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def put(self, resource: Json, **headers: str) -> requests.Response:
        """PUT under the resource's own id."""
        return self.call("PUT", f"{resource['resourceType']}/{resource['id']}", resource, **headers)

    def patch(self, path: str, operations: list[Json], **headers: str) -> requests.Response:
        """JSON Patch."""
        return self.call("PATCH", path, operations, Content_Type=JSON_PATCH, **headers)

    def post_search(self, kind: str, **params: str) -> requests.Response:
        """Search by POST with a form."""
        return self._http.post(
            f"{self.base_url}/{kind}/_search",
            data=params,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            timeout=TIMEOUT_S,
        )

    def search(self, query: str) -> Json:
        """The first Bundle of a search that must succeed."""
        answer = self.call("GET", query)
        assert answer.status_code == 200, answer.text
        bundle: Json = answer.json()
        assert bundle["resourceType"] == "Bundle"
        assert bundle["type"] == "searchset"
        return bundle

    def ids(self, query: str) -> list[str]:
        """Ids of the matches on the first page, in the server's order."""
        return [entry["resource"]["id"] for entry in entries(self.search(query), "match")]


def entries(bundle: Json, mode: str) -> list[Json]:
    """The entries of a searchset with this search mode."""
    return [e for e in bundle.get("entry", []) if e.get("search", {}).get("mode", "match") == mode]


def transaction(*requests_: tuple[str, str, Json | None]) -> Json:
    """A transaction Bundle of (method, url, resource)."""
    found = []
    for method, url, resource in requests_:
        entry: Json = {"request": {"method": method, "url": url}}
        found.append({**entry, "resource": resource} if resource is not None else entry)
    return {"resourceType": "Bundle", "type": "transaction", "entry": found}


def is_outcome(answer: requests.Response) -> bool:
    """Whether the body explains itself as FHIR asks."""
    body = answer.json()
    return body["resourceType"] == "OperationOutcome" and bool(body["issue"])


def patient(family: str, **more: Any) -> Json:
    """A Patient that any server accepts."""
    return {"resourceType": "Patient", "name": [{"family": family, "given": ["Contract"]}], **more}
