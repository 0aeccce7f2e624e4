"""Finds workloads, implementations and suites: the project's own, plug-ins', and those in files of the user's."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import pkgutil
import sys
import tomllib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from harness.core.errors import UsageError, make_unknown_error
from harness.core.suite import Suite, parse_suite
from harness.core.workload import MARK, Implementation, Mark, Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

ENTRY_POINT_GROUP = "benchwright.implementations"
_HEAVY = ("torch", "triton")


@dataclass
class Catalog:
    """Everything that can be run, by name.

    Attributes:
        implementations: by workload, then by name, in the order found.
        broken: one line for each source that did not import or claims a name twice.
        not_imported: those lines of ``broken`` that are of a source that did not import.
        sources: the files and plug-ins asked for beyond the project's own, so that a worker finds the same.
    """

    workloads: dict[str, Workload] = field(default_factory=dict)
    implementations: dict[str, dict[str, Implementation]] = field(default_factory=dict)
    suites: dict[str, Suite] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    not_imported: list[str] = field(default_factory=list)
    sources: tuple[str, ...] = ()

    def workload(self, name: str) -> Workload:
        """Return the workload of that name, or raise UsageError with the nearest."""
        if name not in self.workloads:
            raise make_unknown_error("workload", name, self.workloads)
        return self.workloads[name]

    def implementation(self, workload: str, name: str) -> Implementation:
        """Return the implementation of that name, or raise UsageError with the nearest."""
        known = self.implementations.get(workload, {})
        if name not in known:
            raise make_unknown_error(f"implementation of {workload}", name, known)
        return known[name]


def load_catalog(files: Iterable[str] = (), *, lazily: bool = True) -> Catalog:
    """Import all content and return what it offers.

    Args:
        files: Python files of the user's own.
        lazily: stand in for torch and triton until one of their attributes is used, which takes seconds off
            every command that only needs names.

    Raises:
        UsageError: a file does not exist. A source that fails to import is a line in ``broken`` instead.
    """
    files = list(files)
    for file in files:
        if not Path(file).is_file():
            raise UsageError(f"--load {file}: no such file")
    catalog = Catalog(sources=tuple(dict.fromkeys(str(Path(file).resolve()) for file in files)))
    with _deferred(_HEAVY if lazily else ()):
        for source, load in _sources(catalog.sources):
            _collect(catalog, source, load)
    for path in sorted(_content_folder("suites").glob("*.toml")):
        if path.stem in catalog.workloads:
            catalog.broken.append(f"suite {path}: a workload has that name, and would be run in its place")
            continue
        try:
            catalog.suites[path.stem] = read_suite(path)
        except UsageError as error:
            catalog.broken.append(str(error))
    _drop_orphans(catalog)
    return catalog


def read_suite(path: Path) -> Suite:
    """Read a suite from a TOML file.

    Raises:
        UsageError: the file cannot be read, is not TOML, or has a key that no suite has.
    """
    try:
        return parse_suite(path.stem, tomllib.loads(path.read_text()))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"suite {path}: {error}") from None


def _content_folder(package: str) -> Path:
    """Return the folder of a content package, looked up by name so that nothing here imports content."""
    return Path(str(importlib.import_module(package).__file__)).parent


def _sources(files: Iterable[str]) -> Iterator[tuple[str, Callable[[], ModuleType]]]:
    """Yield every source of content with the way to import it: the project's own, plug-ins, files."""
    for name in _own_modules():
        yield name, partial(importlib.import_module, name)
    for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        yield f"plug-in {point.name}", partial(_module_of, point)
    for file in files:
        yield file, partial(_module_from, file)


def _own_modules() -> Iterator[str]:
    """Yield the project's content modules: each workload first, then its implementations by name."""
    root = _content_folder("implementations")
    packages = (item.name for item in pkgutil.iter_modules([str(root)]) if item.ispkg)
    for package in sorted(name for name in packages if not name.startswith("_")):
        modules = sorted(item.name for item in pkgutil.iter_modules([str(root / package)]))
        for module in sorted(modules, key=lambda name: name != "workload"):
            if not module.startswith("_"):
                yield f"implementations.{package}.{module}"


def _collect(catalog: Catalog, source: str, load: Callable[[], ModuleType]) -> None:
    """Import one source and take what it defines; whatever goes wrong is one line in ``broken``."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what a plug-in prints is not part of a result
            module = load()
    except (Exception, SystemExit) as error:
        line = f"{source}: {type(error).__name__}: {error}".splitlines()[0]
        catalog.broken.append(line)
        catalog.not_imported.append(line)
        return
    for value in vars(module).values():
        if isinstance(value, Workload):
            _add_workload(catalog, value, source)
        mark = value.__dict__.get(MARK) if inspect.isfunction(value) else None
        if isinstance(mark, Mark):
            _add_implementation(catalog, mark, value, source)


def _add_workload(catalog: Catalog, workload: Workload, source: str) -> None:
    if catalog.workloads.setdefault(workload.name, workload) is not workload:
        catalog.broken.append(f"{source}: the workload '{workload.name}' is defined twice")


def _add_implementation(catalog: Catalog, mark: Mark, build: Callable[..., Any], source: str) -> None:
    file = inspect.getsourcefile(build) or source
    siblings = catalog.implementations.setdefault(mark.workload, {})
    if mark.name in siblings and siblings[mark.name].build is not build:
        other = siblings[mark.name].source
        catalog.broken.append(f"{mark.workload}/{mark.name} is claimed by both {other} and {file}; the first stands")
        return
    help = (inspect.getdoc(build) or "").partition("\n")[0]
    siblings[mark.name] = Implementation(
        mark.workload,
        mark.name,
        help,
        mark.requires,
        build,
        file,
        mark.executes,
        mark.hardware_flops,
        mark.kernels,
        mark.dtype,
    )


def _drop_orphans(catalog: Catalog) -> None:
    """Report implementations of a workload that does not exist, and leave them out."""
    for workload in [name for name in catalog.implementations if name not in catalog.workloads]:
        for orphan in catalog.implementations.pop(workload).values():
            reason = make_unknown_error("workload", workload, catalog.workloads)
            catalog.broken.append(f"{orphan.source}: {orphan.name}: {reason}")


def _module_of(point: importlib.metadata.EntryPoint) -> ModuleType:
    loaded = point.load()
    if not inspect.ismodule(loaded):
        raise TypeError(f"the entry point must name a module, not {type(loaded).__name__}")
    return loaded


def _module_from(file: str) -> ModuleType:
    name = f"benchwright_loaded_{Path(file).stem}_{abs(hash(file))}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError("not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look a class's module up by name
    spec.loader.exec_module(module)
    return module


class _StandIn(ModuleType):
    """A module that is imported when one of its attributes is first used."""

    def __getattr__(self, attribute: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), attribute)


@contextlib.contextmanager
def _deferred(names: Iterable[str]) -> Iterator[None]:
    """Stand in for modules while content is imported, so that ``import torch`` there costs nothing by itself."""
    for name in names:
        if name not in sys.modules and importlib.util.find_spec(name):
            sys.modules[name] = _StandIn(name)
    try:
        yield
    finally:
        for name in names:
            if type(sys.modules.get(name)) is _StandIn:
                del sys.modules[name]
