"""Whether a library that is installed is the one that an adapter was written for."""

import dis
import importlib
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Load = Callable[[str], object]
"""Imports a module by its name."""


@dataclass(frozen=True)
class Library:
    """A library as an adapter knows it.

    Attributes:
        name: Of its distribution.
        release: The releases whose sources were read: `0.54` are all of 0.54.
        attributes: What is relied on beyond the documentation, by module. `Server.lifespan` may
            be a member of the class, or an attribute that its methods give to an instance.
    """

    name: str
    release: str
    attributes: Mapping[str, Sequence[str]]

    def differences(self, load: Load = importlib.import_module) -> list[str]:
        """How the installed library differs from the known one; empty where it does not."""
        installed = importlib.metadata.version(self.name)
        differences = []
        if not f"{installed}.".startswith(f"{self.release}."):
            differences.append(f"{self.name} is {installed}, not {self.release}")
        return differences + self.missing(load)

    def missing(self, load: Load = importlib.import_module) -> list[str]:
        """Attributes that the installed library does not have, whatever its release."""
        return [
            f"{module}.{attribute} is missing"
            for module, attributes in self.attributes.items()
            for attribute in _missing(module, attributes, load)
        ]


def _missing(module: str, attributes: Sequence[str], load: Load) -> list[str]:
    try:
        loaded = load(module)
    except ImportError:
        return list(attributes)
    return [attribute for attribute in attributes if not _has(loaded, attribute)]


def _has(owner: object, dotted: str) -> bool:
    name, _, rest = dotted.partition(".")
    if rest:
        return hasattr(owner, name) and _has(getattr(owner, name), rest)
    return hasattr(owner, name) or (isinstance(owner, type) and name in _given(owner))


def _given(cls: type) -> set[str]:
    """Names of the attributes that the methods of a class give to its instances."""
    functions = (member for base in cls.__mro__ for member in vars(base).values())
    return {name for function in functions for name in _stored(function)}


def _stored(function: object) -> Iterator[str]:
    code = getattr(function, "__code__", None)
    if code is not None:
        for instruction in dis.get_instructions(code):
            if instruction.opname == "STORE_ATTR":
                yield instruction.argval
