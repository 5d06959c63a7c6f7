"""Which programs a plane needs, from which pinned Go modules, and what makes a build the same.

Pins live in ``modules/<family>/go.mod`` and nowhere else; every family has a module file of its
own, so that the dependencies of one tool never decide the versions of another.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelfleet.local.folders import platform_name

MODULES = Path(__file__).parent / "modules"


@dataclass(frozen=True)
class ModuleFile:
    """A file or folder to copy out of a Go module, beside the binaries or in a folder of its own.

    ``target`` is relative to the family's folder in the cache; ``mode`` as for chmod.
    """

    module: str
    path: str
    target: str
    mode: int = 0o644


@dataclass(frozen=True)
class Family:
    """Programs that are built from one module and used together.

    ``stamps`` are linker variables that get a part of the version: ``{version}``, ``{major}`` or
    ``{minor}``. ``own_version`` tells how to ask a program found on PATH for its version, and
    ``accepts`` from which (inclusive) to which (exclusive) one a user's own programs fit.
    """

    name: str
    module: str
    packages: Mapping[str, str]
    stamps: Mapping[str, str] = field(default_factory=dict)
    files: tuple[ModuleFile, ...] = ()
    beside: tuple[Family, ...] = ()
    own_version: tuple[str, ...] = ()
    accepts: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    root: Path = MODULES

    @property
    def pins(self) -> Path:
        """The folder with this family's go.mod and go.sum."""
        return self.root / self.name

    @property
    def version(self) -> str:
        """The pinned version of the family's module, such as ``v1.36.3``."""
        return pinned_version((self.pins / "go.mod").read_text(), module=self.module)

    @property
    def programs(self) -> tuple[str, ...]:
        """Everything executable that the family provides."""
        scripts = (Path(file.target).name for file in self.files if file.mode & 0o111)
        copied = (program for family in self.beside for program in family.programs)
        return (*self.packages, *scripts, *copied)

    @property
    def linker_flags(self) -> str:
        """The value of ``-ldflags``: no symbol tables, and the version where tools look for it."""
        major, minor = _numbers(self.version)
        values = {"version": self.version, "major": major, "minor": minor}
        stamps = (f"-X {name}={value.format(**values)}" for name, value in self.stamps.items())
        return " ".join(["-s -w", *stamps])

    @property
    def cache_key(self) -> str:
        """Names a build, behind the family's name: the same key means the same programs."""
        digest = hashlib.sha256()
        for part in (
            (self.pins / "go.mod").read_bytes(),
            (self.pins / "go.sum").read_bytes(),
            self.linker_flags.encode(),
            repr((sorted(self.packages.items()), self.files)).encode(),
            *(f"{family.name}-{family.cache_key}".encode() for family in self.beside),
        ):
            digest.update(hashlib.sha256(part).digest())
        return f"{self.version}-{platform_name()}-{digest.hexdigest()[:12]}"


def pinned_version(go_mod: str, *, module: str) -> str:
    """The version that a go.mod requires of ``module``. Raises LookupError when it does not."""
    match = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if match is None:
        raise LookupError(f"go.mod does not require {module}")
    return match[1]


def _numbers(version: str) -> tuple[int, int]:
    match = re.search(r"v?(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def fits(reported: str, *, family: Family) -> bool:
    """Whether the version that a user's own program reports is one we can use."""
    lowest, limit = family.accepts
    return lowest <= _numbers(reported) < limit


_PULUMI_SDK = "github.com/pulumi/pulumi/sdk/v3"
_KUBERNETES = "k8s.io/kubernetes/cmd"

# A module of its own, at the last version in which the host is part of the SDK's module: its
# later home has no release that Go can download.
PULUMI_PYTHON = Family(
    "pulumi-language-python",
    module=_PULUMI_SDK,
    packages={"pulumi-language-python": f"{_PULUMI_SDK}/python/cmd/pulumi-language-python"},
    stamps={f"{_PULUMI_SDK}/go/common/version.Version": "{version}"},
)

PULUMI = Family(
    "pulumi",
    module="github.com/pulumi/pulumi/pkg/v3",
    packages={"pulumi": "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"},
    # Without a version in it, the Automation API refuses the binary.
    stamps={f"{_PULUMI_SDK}/go/common/version.Version": "{version}"},
    # What starts Python programs and Python providers; plain scripts inside the SDK's module.
    files=(
        ModuleFile(
            _PULUMI_SDK,
            "python/cmd/pulumi-language-python-exec",
            "bin/pulumi-language-python-exec",
            0o755,
        ),
        ModuleFile(
            _PULUMI_SDK,
            "python/dist/pulumi-resource-pulumi-python",
            "bin/pulumi-resource-pulumi-python",
            0o755,
        ),
    ),
    beside=(PULUMI_PYTHON,),
    own_version=("pulumi", "version"),
    accepts=((3, 200), (4, 0)),
)

KUBERNETES = Family(
    "kubernetes",
    module="k8s.io/kubernetes",
    packages={
        program: f"{_KUBERNETES}/{program}"
        for program in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
    },
    stamps={
        f"{package}.{variable}": value
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        for variable, value in (
            ("gitVersion", "{version}"),
            ("gitMajor", "{major}"),
            ("gitMinor", "{minor}"),
        )
    },
    own_version=("kube-apiserver", "--version"),
    accepts=((1, 34), (1, 38)),
)

ETCD = Family(
    "etcd",
    module="go.etcd.io/etcd/server/v3",
    packages={"etcd": "go.etcd.io/etcd/server/v3"},
    own_version=("etcd", "--version"),
    accepts=((3, 5), (3, 8)),
)

# Never taken from PATH: its stage files have to be of the same version.
KWOK = Family(
    "kwok",
    module="sigs.k8s.io/kwok",
    packages={"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
    files=tuple(
        ModuleFile("sigs.k8s.io/kwok", f"kustomize/stage/{path}", f"stages/{Path(path).name}")
        for path in (
            "node/fast/node-initialize.yaml",
            "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
            "pod/fast/pod-ready.yaml",
            "pod/fast/pod-complete.yaml",
            "pod/fast/pod-delete.yaml",
        )
    ),
)

# Small ones first: what is wrong with network or compiler shows within seconds.
FAMILIES = (ETCD, PULUMI_PYTHON, KWOK, PULUMI, KUBERNETES)

# What runs on real nodes, built only where there can be some. A module of its own: what kubelets
# need on top would have everybody else download it, too.
KUBERNETES_NODE = replace(
    KUBERNETES,
    name="kubernetes-node",
    packages={program: f"{_KUBERNETES}/{program}" for program in ("kubelet", "kube-proxy")},
    own_version=(),
)

COREDNS = Family(
    "coredns",
    module="github.com/coredns/coredns",
    packages={"coredns": "github.com/coredns/coredns"},
)

NETWORK_POLICIES = Family(
    "kube-network-policies",
    module="sigs.k8s.io/kube-network-policies",
    packages={"kube-network-policies": "sigs.k8s.io/kube-network-policies/cmd"},
)

NODE_FAMILIES = (COREDNS, NETWORK_POLICIES, KUBERNETES_NODE)
