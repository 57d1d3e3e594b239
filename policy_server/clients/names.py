"""What fields, constants and packages are called in the languages of the SDKs.

The wire keeps every name as the schema has it; these are the names in code. They are ASCII, differ
from each other even where case does not count, and are no word that one of the languages, or what
its generator writes around them, keeps for itself.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

RESERVED = frozenset(Path(__file__).with_name("reserved.txt").read_text("ascii").split())
"""Words, and words run together, that no field and no constant may be called as they are."""

FALLBACK = "field"
SUFFIX = "value"


def words_of(name: str) -> list[str]:
    """The words of a name, ASCII and in lower case: `hasCore-2` is has, core, 2."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    plain = unicodedata.normalize("NFKD", split.replace("ß", "ss")).encode("ascii", "ignore")
    return [word.lower() for word in re.findall(r"[A-Za-z0-9]+", plain.decode())]


def snake_case(words: Iterable[str]) -> str:
    """`has_core`."""
    return "_".join(words)


def camel_case(words: Iterable[str]) -> str:
    """`hasCore`."""
    first, *others = words
    return first + "".join(word.capitalize() for word in others)


def identifiers(
    names: Iterable[str], *, camel: bool, reserved: frozenset[str] = RESERVED
) -> dict[str, str]:
    """An identifier for each name, all different and none reserved, in the order of the names."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        words = words_of(name) or [FALLBACK]
        if words[0][0].isdigit():
            words = [FALLBACK, *words]
        if "".join(words) in reserved:
            words = [*words, SUFFIX]
        spell = camel_case if camel else snake_case
        choice, number = spell(words), 2
        while choice.lower().replace("_", "") in taken:
            choice, number = spell([*words, str(number)]), number + 1
        taken.add(choice.lower().replace("_", ""))
        found[name] = choice
    return found


def constants(values: Iterable[str | int]) -> list[str]:
    """A name in capitals for each value of an enumeration, all different."""
    texts = [str(value) for value in values]
    return [name.upper() for name in identifiers(texts, camel=False).values()]


def variants(values: Iterable[str | int]) -> list[str]:
    """The same names as Rust has them: `HasCore`."""
    return ["".join(map(str.capitalize, name.split("_"))) for name in constants(values)]


def package_words(title: str) -> list[str]:
    """The words of a package's name, after a service's title."""
    words = words_of(title) or ["policy"]
    if words[0][0].isdigit():
        words = ["policy", *words]
    return words if words[-1] == "client" else [*words, "client"]


def package_version(version: str, number: int = 0) -> str:
    """A version of three numbers, which every package registry takes; 0.0.0 where there is none.

    Args:
        version: Of the API, any text.
        number: How many contracts were recorded before; it is added to the last number.
    """
    numbers = re.match(r"[vV]?(\d+(?:\.\d+){0,2})(?!\d)", version.strip())
    parts = [str(int(part)) for part in numbers[1].split(".")] if numbers else []
    major, minor, patch = [*parts, "0", "0", "0"][:3]
    return f"{major}.{minor}.{int(patch) + number}"


@dataclass(frozen=True)
class Package:
    """What the SDKs of one service are called.

    Attributes:
        title: The service's own name, any text.
        words: The words of the name of its packages.
        version: Three numbers.
    """

    title: str
    words: tuple[str, ...]
    version: str

    @classmethod
    def of(cls, title: str, version: str, number: int = 0) -> "Package":
        """The packages of a service of that title and version, after so many other contracts."""
        return cls(title, tuple(package_words(title)), package_version(version, number))

    @property
    def dashed(self) -> str:
        """`factory-client`: for Python's and npm's registries and Maven's artifacts."""
        return "-".join(self.words)

    @property
    def module(self) -> str:
        """`factory_client`: what Python imports."""
        return "_".join(self.words)

    @property
    def joined(self) -> str:
        """`factoryclient`: for R, and for packages of Java and Scala."""
        return "".join(self.words)

    @property
    def pascal(self) -> str:
        """`FactoryClient`: for namespaces and packages of C#."""
        return "".join(map(str.capitalize, self.words))
