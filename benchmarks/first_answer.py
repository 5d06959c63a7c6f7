"""From ``pulumi up`` of one real service to its first answer, part by part, beside ``kubectl``.

The floor applies the very objects with ``kubectl apply``, waits with ``kubectl wait`` and asks over
``kubectl port-forward``. A second floor does the same with a startup probe every second, which
shows how much of the whole is the time between two probes. All run in turns, each in a namespace
of its own. What is Pulumi's is set beside an engine run whose provider does nothing.
"""

from __future__ import annotations

import asyncio
import copy
import json
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

from benchmarks.claims import claimed_models
from benchmarks.engine import Stack
from benchmarks.errors import BenchmarkError
from benchmarks.results import Row, row_of
from benchmarks.services import TINY, tiny_declaration
from benchmarks.site import Site
from benchmarks.timeline import (
    CREATE_CALLED,
    ENDED,
    NOTICED,
    PARTS,
    REACHED,
    STARTED,
    WRITTEN,
    instants_of_engine_line,
    last_write_at,
    local_port_in,
    parts_of,
)
from benchmarks.witness import Witness, witness
from benchmarks.written import objects_written
from modelfleet.cluster.client import Client
from modelfleet.cluster.kubeconfig import load_access
from modelfleet.cluster.objects import DEPLOYMENT, Object
from modelfleet.fleet import Desired
from modelfleet.named import Address
from modelfleet.plan import plan, spec_of
from modelfleet.reach import reached
from modelfleet.targets import target_of

NAME = "first answer"

_ANSWERED_SECONDS = 180.0

_ENGINE = "the engine alone"

Parts = dict[str, list[float]]


def measure_first_answer(site: Site, *, repeats: int) -> list[Row]:
    """Return the rows of so many first answers, each way."""
    parts: dict[str, Parts] = defaultdict(lambda: defaultdict(list))
    _measured(site, _by_pulumi, "to warm up")
    for turn in range(repeats):
        with site.step(f"{NAME}: the engine alone ({turn + 1} of {repeats})"):
            for part, seconds in parts_of(asyncio.run(_engine_alone(site))).items():
                parts[_ENGINE][part].append(seconds)
        for way, run in _WAYS.items():
            lasted = _measured(site, run, f"by {way} ({turn + 1} of {repeats})")
            for part, seconds in lasted.items():
                parts[way][part].append(seconds)
            parts[way][""].append(sum(lasted.values()))
    return _rows(parts)


def _rows(parts: dict[str, Parts]) -> list[Row]:
    """Return the whole, its parts, and what a quicker probe would change."""
    ours, floor, quick = (parts[way] for way in _WAYS)
    rows = [
        row_of(
            f"{NAME}: {part}" if part else NAME,
            1,
            ours[part],
            "s",
            baselines=floor[part] or parts[_ENGINE][part],
        )
        for part in ("", *PARTS)
    ]
    probed = {"": "kubectl, 1 s probe", "probe": "probe, 1 s"}
    return rows + [
        row_of(f"{NAME}: {name}", 1, quick[part], "s", baselines=floor[part])
        for part, name in probed.items()
    ]


_Run = Callable[[Site, Witness, str], Awaitable[None]]


def _measured(site: Site, run: _Run, title: str) -> dict[str, float]:
    """Return how long each part took of one first answer, in a namespace that is gone then."""
    namespace = site.create_namespace()
    with site.step(f"{NAME} {title}"), claimed_models(site, namespace=namespace):
        try:
            instants = asyncio.run(_witnessed(site, run, namespace))
        except TimeoutError:
            raise BenchmarkError(
                f"{NAME} {title}: there is none after {_ANSWERED_SECONDS:.0f} s."
            ) from None
        except httpx.HTTPError as error:
            raise BenchmarkError(f"{NAME} {title}: {error}") from None
    site.delete_namespace(namespace)
    return parts_of(instants)


async def _witnessed(site: Site, run: _Run, namespace: str) -> dict[str, float]:
    access = load_access(kubeconfig=str(site.kubeconfig))
    async with asyncio.timeout(_ANSWERED_SECONDS), witness(access, namespace=namespace) as seen:
        await run(site, seen, namespace)
        await seen.read_log()
    written = last_write_at(site.audit_log.lines(), namespace=namespace)
    if written is not None:
        seen.note(WRITTEN, at=written)
    of_engine = set() if run is _by_pulumi else {CREATE_CALLED, ENDED}
    if unseen := set(PARTS.values()) - seen.instants.keys() - of_engine:
        raise BenchmarkError(f"{NAME}: nothing tells of {', '.join(sorted(unseen))}.")
    return seen.instants


async def _by_pulumi(site: Site, seen: Witness, namespace: str) -> None:
    """``pulumi up`` of a new stack; then the way that ``modelfleet chat`` takes.

    Its state goes with the plane, and what it made with the namespace.
    """
    stack = Stack(
        f"{TINY}-{namespace}",
        folder=site.folder / "stacks",
        environ=site.environ(),
        program=Path(__file__).with_name("answering"),
    )
    user = str(site.counted_kubeconfig)
    seen.note(STARTED)
    engine = await stack.start("up", BENCHMARK_NAMESPACE=namespace, KUBECONFIG=user)
    await _ended(engine, lambda line: seen.note(*instants_of_engine_line(line)))
    seen.note(ENDED)
    client = Client.connect(kubeconfig=user)
    try:
        target = await target_of(client, Address(TINY, namespace))
        async with reached(client, target) as endpoint:
            seen.note(REACHED)
            await seen.ask(endpoint.base_url, model=target.models[0])
    finally:
        await client.aclose()


async def _engine_alone(site: Site) -> dict[str, float]:
    """``pulumi up`` of a new stack with one resource whose provider does nothing."""
    name = f"floor-{secrets.token_hex(4)}"
    stack = Stack(name, folder=site.folder / "stacks", environ=site.environ())
    instants = {STARTED: time.time()}

    def note(*names: str) -> None:
        instants.update({name: time.time() for name in names if name not in instants})

    engine = await stack.start(
        "up",
        BENCHMARK_KIND="floor",
        BENCHMARK_SIZE="1",
        BENCHMARK_NAMESPACE="none",
        BENCHMARK_UNTIL="accepted",
    )
    await _ended(engine, lambda line: note(*instants_of_engine_line(line)))
    note(ENDED)
    if unseen := {CREATE_CALLED, NOTICED} - instants.keys():
        raise BenchmarkError(f"{NAME}: nothing tells of {', '.join(sorted(unseen))}.")
    return instants


async def _by_kubectl(site: Site, seen: Witness, namespace: str) -> None:
    await _applied(site, seen, namespace, await rendered(namespace))


async def _by_kubectl_quickly(site: Site, seen: Witness, namespace: str) -> None:
    await _applied(site, seen, namespace, probed_each_second(await rendered(namespace)))


async def _applied(site: Site, seen: Witness, namespace: str, objects: Sequence[Object]) -> None:
    manifest = site.folder / f"{namespace}.json"
    manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))
    kubectl = _Kubectl(site, namespace)
    deployment = f"deployment/{TINY}"
    seen.note(STARTED)
    await kubectl.run("apply", "--server-side", f"--filename={manifest}")
    manifest.unlink()
    await kubectl.run("wait", "--for=condition=Available", "--timeout=120s", deployment)
    seen.note(NOTICED)
    async with kubectl.port_forward(deployment) as base_url:
        seen.note(REACHED)
        await seen.ask(base_url, model=TINY)


_WAYS: dict[str, _Run] = {
    "pulumi": _by_pulumi,
    "kubectl": _by_kubectl,
    "kubectl, 1 s probe": _by_kubectl_quickly,
}


def probed_each_second(objects: Sequence[Object]) -> list[Object]:
    """Return ``objects`` with startup probes every second that give up as late as before."""
    quick = copy.deepcopy(list(objects))
    for obj in quick:
        if obj["kind"] == DEPLOYMENT.kind:
            for container in obj["spec"]["template"]["spec"]["containers"]:
                probe = container["startupProbe"]
                probe["failureThreshold"] *= probe["periodSeconds"]
                probe["periodSeconds"] = 1
    return quick


async def rendered(namespace: str) -> list[Object]:
    """Return what modelfleet would write, before it is measured."""
    declared = {**tiny_declaration(namespace), "wait": {"until": "accepted"}}
    spec = spec_of(plan(declared).inputs)
    desired = Desired(spec=spec, owner="organization/benchmarks/kubectl", incarnation="0" * 16)
    objects, _ = await objects_written([desired])
    return objects


class _Kubectl:
    """``kubectl`` in one namespace, as the user whose requests the API server writes down."""

    def __init__(self, site: Site, namespace: str) -> None:
        self._arguments = ("--kubeconfig", str(site.counted_kubeconfig), "--namespace", namespace)
        self._environ = site.environ()

    async def run(self, *arguments: str) -> None:
        await _ended(await self._start(*arguments), lambda _line: None)

    @asynccontextmanager
    async def port_forward(self, to: str) -> AsyncIterator[str]:
        """Hold a way to the port called ``http`` open; hand out the URL of the API there."""
        process = await self._start("port-forward", "--address=127.0.0.1", to, ":http")
        try:
            assert process.stdout is not None
            while line := (await process.stdout.readline()).decode():
                if port := local_port_in(line):
                    yield f"http://127.0.0.1:{port}/v1"
                    return
            raise BenchmarkError("kubectl port-forward ended without a port.")
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()

    async def _start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            "kubectl",
            *self._arguments,
            *arguments,
            env=self._environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )


async def _ended(process: asyncio.subprocess.Process, take: Callable[[str], None]) -> None:
    """Hand on each line as it is printed, and return when the process has ended well.

    Raises:
        BenchmarkError: it failed; with what it printed.
    """
    assert process.stdout is not None
    printed = []
    try:
        while line := (await process.stdout.readline()).decode(errors="replace"):
            printed.append(line)
            take(line)
        code = await process.wait()
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
    if code != 0:
        raise BenchmarkError(f"A command ended with {code}:\n{''.join(printed)}")
