"""A small typed client of ZStack's query API, and a table of what it finds.

    MODELFLEET_PASSWORD=… python model_services.py https://host/zstack/v1 ACCOUNT [CONDITION…]

Needs httpx. ``ModelServices`` is all there is to copy.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, TypedDict

import httpx

PAGE = 200


class ModelServiceRef(TypedDict):
    modelUuid: str
    modelServiceUuid: str


class ModelServiceImage(TypedDict):
    cpuArchitecture: str | None
    vmImageUuid: str | None
    dockerImage: str | None
    name: str | None
    acceleratorType: str | None
    imageNamePattern: str | None


class ModelService(TypedDict, total=False):
    """One service; with ``fields``, only those that were asked for."""

    uuid: str
    name: str
    description: str | None
    readme: str | None
    yaml: str | None
    requestCpu: int | None
    requestMemory: int | None
    modelCenterUuid: str | None
    type: str | None
    framework: str | None
    source: str | None
    size: int | None
    system: bool | None
    hasNewVersion: bool | None
    gpuComputeCapability: str | None
    installPath: str | None
    pythonVersion: str | None
    condaVersion: str | None
    version: str | None
    startCommand: str | None
    containerCommand: str | None
    containerArgs: str | None
    supportDistributed: bool | None
    cpuArchitectures: list[str] | None
    vendorToSpecUuidsMap: dict[str, list[str]] | None
    modelServiceRefs: list[ModelServiceRef]
    modelServiceImages: list[ModelServiceImage]
    createDate: str | None
    lastOpDate: str | None


class QueryError(Exception):
    """The server could not do what was asked; ``code`` is such as SYS.1007."""

    def __init__(self, error: dict[str, Any]) -> None:
        self.code: str = error["code"]
        self.elaboration: str | None = error.get("elaboration")
        super().__init__(f"{self.code}: {error['details']}")


class ModelServices:
    """The services that an account may see. Use it with ``with``: it logs out in the end."""

    def __init__(self, address: str, account: str, password: str, *, verify: Any = True) -> None:
        """``address`` ends with ``/zstack/v1``; ``verify`` is httpx's."""
        self._http = httpx.Client(base_url=address, verify=verify)
        self._account = account
        self._password_sha512 = hashlib.sha512(password.encode()).hexdigest()
        self._session = ""

    def __enter__(self) -> ModelServices:
        said = {"accountName": self._account, "password": self._password_sha512}
        answer = self._asked("PUT", "/accounts/login", json={"logInByAccount": said})
        self._session = answer["inventory"]["uuid"]
        self._http.headers["Authorization"] = f"OAuth {self._session}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._asked("DELETE", f"/accounts/sessions/{self._session}")
        self._http.close()

    def query(
        self, *conditions: str, sort: str = "name", fields: Sequence[str] = ()
    ) -> Iterator[ModelService]:
        """Yield the services that fulfil all conditions, a page at a time."""
        start = 0
        while True:
            parameters: list[tuple[str, str | int]] = [("q", each) for each in conditions]
            parameters += [("sort", sort), ("start", start), ("limit", PAGE)]
            if fields:
                parameters.append(("fields", ",".join(fields)))
            answer = self._asked("GET", "/ai/model-services", params=parameters)
            page: list[ModelService] = answer["inventories"]
            yield from page
            start += len(page)
            if len(page) < PAGE:
                return

    def count(self, *conditions: str) -> int:
        """Return how many services fulfil all conditions."""
        parameters = [*(("q", each) for each in conditions), ("count", "true")]
        return int(self._asked("GET", "/ai/model-services", params=parameters)["total"])

    def get(self, uuid: str) -> ModelService | None:
        """Return the service of a UUID, None where there is none."""
        found: list[ModelService]
        found = self._asked("GET", f"/ai/model-services/{uuid}")["inventories"]
        return found[0] if found else None

    def _asked(self, method: str, path: str, **request: Any) -> Any:
        response = self._http.request(method, path, **request)
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise QueryError(response.json()["error"])
        if response.is_error:
            response.read()
            raise QueryError({"code": f"HTTP {response.status_code}", "details": response.text})
        return response.json()


def main(address: str, account: str, *conditions: str) -> int:
    with ModelServices(address, account, os.environ["MODELFLEET_PASSWORD"]) as services:
        try:
            for each in services.query(*conditions, fields=["name", "framework", "createDate"]):
                print(f"{each['name']:30} {each['framework'] or '-':12} {each['createDate']}")
            print(f"{services.count(*conditions)} of {services.count()} services")
        except QueryError as error:
            print(f"{error} {error.elaboration or ''}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
