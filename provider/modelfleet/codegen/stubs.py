"""Imports a Python source tree without what it depends on: everything else is a stand-in.

For reading tables out of the sources of inference engines, whose dependencies (torch, compiled
code) take gigabytes and a GPU. Stand-ins accept whatever is done with them. What a stand-in makes
of a value cannot be told from what the engine would: look at what is read.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator, MutableSequence, Sequence
from types import ModuleType
from typing import Any, Final

NEEDED: Final = (
    *("msgspec", "numpy", "regex", "yaml"),
    *("annotated_types", "pydantic", "pydantic_core", "typing_extensions", "typing_inspection"),
)
"""Packages that are imported as they are, if they are there; all others are stubs."""


class StubType(type):
    """Whatever is asked of a stub is another one."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        made = StubType(name, (Stub,), {})
        setattr(cls, name, made)
        return made

    def __iter__(cls) -> Iterator[Any]:
        return iter(())

    def __getitem__(cls, key: object) -> Any:
        return cls

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Return what is decorated as it is, or an instance."""
        if len(args) == 1 and not kwargs and callable(args[0]):
            return args[0]
        return super().__call__(*args, **kwargs)


class Stub(metaclass=StubType):
    """Stands for anything that is not there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, *args: Any, **_: Any) -> Any:
        """Return what is decorated, or itself."""
        return args[0] if len(args) == 1 and callable(args[0]) else self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Stub()

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __getitem__(self, key: object) -> Any:
        return self

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0

    def __int__(self) -> int:
        return 0

    def __index__(self) -> int:
        return 0

    def __fspath__(self) -> str:
        return "/stub"

    def _less(self, _: object) -> bool:
        return False

    def _same(self, _: object) -> Any:
        return self

    __lt__ = __gt__ = __le__ = __ge__ = _less
    __add__ = __sub__ = __mul__ = __truediv__ = __floordiv__ = __pow__ = __or__ = __and__ = _same
    __radd__ = __rsub__ = __rmul__ = __ror__ = _same

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> Any:
        from pydantic_core import core_schema

        return core_schema.any_schema()


class _StubModule(ModuleType):
    __path__: MutableSequence[str] = []  # noqa: RUF012
    __version__ = "99.0.0"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        made = StubType(name, (Stub,), {})
        setattr(self, name, made)
        return made


class _StubLoader(importlib.abc.Loader):
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _StubModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _OwnLoader(importlib.abc.Loader):
    """Runs a module of the tree; where it fails, what is missing in it are stubs."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        try:
            self._loader.exec_module(module)
        except Exception as error:
            print(f"stubbed {module.__name__}: {error!r}"[:300], file=sys.stderr)
            module.__class__ = _StubModule


class TreeFinder(importlib.abc.MetaPathFinder):
    """The modules of ``package`` as they are, needed packages too, stubs for all others."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        """Return how ``fullname`` is loaded; None leaves it to Python."""
        top = fullname.partition(".")[0]
        if top in NEEDED or top in sys.stdlib_module_names or top.startswith("_"):
            return None
        found = importlib.machinery.PathFinder.find_spec(fullname, path)
        if top != self._package or found is None:
            return importlib.machinery.ModuleSpec(fullname, _StubLoader(), is_package=True)
        if isinstance(found.loader, importlib.abc.Loader):  # a namespace package has none
            found.loader = _OwnLoader(found.loader)
        return found
