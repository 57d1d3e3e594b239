"""Fields of a schema, from the spaces of Gymnasium: their words, and how values are sent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


class ExportRefused(Exception):
    """A policy cannot be exported as it is; the message says why, and what to do."""


@dataclass(frozen=True)
class Leaf:
    """A space that holds numbers, and where its numbers lie among the features.

    Attributes:
        path: Keys that lead from the whole value to this part of it.
        name: The same, as the name of a field.
        space: A Box, Discrete, MultiDiscrete or MultiBinary.
        start: Number of its first feature.
    """

    path: tuple[Any, ...]
    name: str
    space: Any
    start: int

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return int(np.prod(self.space.shape, dtype=int))

    def of(self, value: Any) -> NDArray[Any]:
        """This part of a whole value, as an array of its own type and shape."""
        for key in self.path:
            value = value[key]
        return np.asarray(value).astype(self.space.dtype, copy=False).reshape(self.space.shape)


def kind_of(space: Any) -> str:
    """Name of a space's class, or of the first above it that is Gymnasium's own."""
    known = (
        *("Box", "Discrete", "MultiDiscrete", "MultiBinary", "Dict", "Tuple"),
        *("Text", "Graph", "Sequence", "OneOf"),
    )
    for each in type(space).__mro__:
        if each.__name__ in known:
            return each.__name__
    return type(space).__name__


def leaves_of(space: Any, default_name: str) -> list[Leaf]:
    """All spaces of numbers in a space, in order.

    Args:
        space: Of Gymnasium.
        default_name: What a field is called that has no key.
    """
    leaves: list[Leaf] = []
    for path, each in _parts(space, ()):
        name = "_".join(map(str, path)) or default_name
        start = leaves[-1].start + leaves[-1].size if leaves else 0
        leaves.append(Leaf(path, name, each, start))
    twice = {each.name for each in leaves if [one.name for one in leaves].count(each.name) > 1}
    if twice:
        raise ExportRefused(
            f"Several parts of the space would be called {', '.join(sorted(twice))}: rename keys."
        )
    return leaves


def _parts(space: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    kind = kind_of(space)
    if kind == "Dict":
        for key, each in space.spaces.items():
            yield from _parts(each, (*path, key))
    elif kind == "Tuple":
        for number, each in enumerate(space.spaces):
            yield from _parts(each, (*path, number))
    elif kind in ("Box", "Discrete", "MultiDiscrete", "MultiBinary"):
        yield path, space
    else:
        where = f" at {'/'.join(map(str, path))}" if path else ""
        raise ExportRefused(
            f"The space {space}{where} has no fixed number of numbers: wrap the environment so "
            "that it is a Box, Discrete, MultiDiscrete or MultiBinary."
        )


@dataclass(frozen=True)
class Fields:
    """What clients send, or get, for the values of a space.

    Attributes:
        leaves: Spaces of numbers, in the order of features.
        words: By field, its keywords in the schema.
        names: One for each number, where the space is a single one and they were given.
    """

    leaves: Sequence[Leaf]
    words: Mapping[str, Mapping[str, Any]]
    names: Sequence[str] | None = None

    @property
    def size(self) -> int:
        """How many numbers a value has."""
        return sum(leaf.size for leaf in self.leaves)

    def sent(self, value: Any) -> dict[str, Any]:
        """A value as JSON has it, field by field; one that lies outside of its space is refused."""
        for leaf in self.leaves:
            if not leaf.space.contains(leaf.of(value)):
                raise ExportRefused(
                    f"The environment gave {leaf.of(value)} for `{leaf.name}`, which its space "
                    f"{leaf.space} does not have: correct the bounds of the space."
                )
        if self.names is not None:
            (leaf,) = self.leaves
            numbers = np.ravel(leaf.of(value))
            return {
                name: plain(number, leaf.space)
                for name, number in zip(self.names, numbers, strict=True)
            }
        return {leaf.name: plain(leaf.of(value), leaf.space) for leaf in self.leaves}

    def features(self, value: Any) -> NDArray[np.float32]:
        """A value as numbers in a row, float32[F]."""
        parts = [np.ravel(leaf.of(value)).astype(np.float32) for leaf in self.leaves]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def plain(value: Any, space: Any) -> Any:
    """Numbers of a space as plain ones: float32 in as few digits as say which it is."""
    array = np.asarray(value)
    if kind_of(space) == "MultiBinary" or array.dtype.kind == "b":
        array = array.astype(bool if array.ndim < 2 else int)  # of lists in lists, as `_words` says
    if array.dtype.kind != "f":
        return array.tolist()
    if not np.isfinite(array).all():
        raise ExportRefused(f"The environment gave {array}: NaN and infinity cannot be sent.")
    short = np.array([float(str(number)) for number in array.ravel()], dtype=float)
    return short.reshape(array.shape).tolist()


def observation_fields(space: Any, names: Sequence[str] | None = None) -> Fields:
    """Fields of an observation.

    Args:
        space: Of the environment's observations.
        names: One for each number, where the space is no Dict; without them its numbers are one
            field, `observation`.
    """
    leaves = leaves_of(space, "observation")
    if names is None:
        return Fields(leaves, {leaf.name: _words(leaf.space) for leaf in leaves})
    if kind_of(space) in ("Dict", "Tuple"):
        raise ExportRefused("The keys of the observation space are its names: leave `names` out.")
    words = _named(leaves[0].space, names, "observation")
    return Fields(leaves, words, tuple(names))


def action_fields(
    space: Any, names: Sequence[str] | None = None, meanings: Sequence[str] | None = None
) -> Fields:
    """Fields of an action.

    Args:
        space: Of the environment's actions.
        names: One for each number, where the space is no Dict; without them its numbers are one
            field, `action`, or, where their bounds differ, `action_0` and so on.
        meanings: Of the numbers of a Discrete space.
    """
    leaves = leaves_of(space, "action")
    if meanings is not None:
        if kind_of(space) != "Discrete" or len(meanings) != space.n:
            raise ExportRefused(f"{len(meanings)} meanings do not name the actions of {space}.")
        (name,) = names or ("action",)
        return Fields(leaves, {name: {"type": "str", "enum": list(meanings)}}, (name,))
    if names is not None:
        if kind_of(space) in ("Dict", "Tuple"):
            raise ExportRefused("The keys of the action space are its names: leave `actions` out.")
        return Fields(leaves, _named(leaves[0].space, names, "action"), tuple(names))
    if len(leaves) == 1 and not _alike(leaves[0].space):
        numbered = [f"{leaves[0].name}_{number}" for number in range(leaves[0].size)]
        return Fields(leaves, _named(leaves[0].space, numbered, "action"), tuple(numbered))
    words: dict[str, Mapping[str, Any]] = {}
    for leaf in leaves:
        if not _alike(leaf.space):
            raise ExportRefused(
                f"The numbers of `{leaf.name}` in the action space have different bounds: make a "
                "space of each."
            )
        words[leaf.name] = _list_of_one(leaf.space)
    return Fields(leaves, words)


def _list_of_one(space: Any) -> Mapping[str, Any]:
    """Words of an action: a Box of one number is a number."""
    if space.shape == (1,):
        return next(iter(_named(space, ["one"], "action").values()))
    return _words(space)


def _named(space: Any, names: Sequence[str], what: str) -> dict[str, Mapping[str, Any]]:
    """A field for each number of a space."""
    lows, highs, kind = _bounds(space)
    if len(names) != lows.size or len(set(names)) != len(names):
        raise ExportRefused(
            f"The {what} space {space} has {lows.size} numbers; names were given: "
            f"{', '.join(names)}. Give one to each."
        )
    return {
        name: {"type": kind, **_limits(kind, low, high)}
        for name, low, high in zip(names, lows.ravel(), highs.ravel(), strict=True)
    }


def _words(space: Any) -> Mapping[str, Any]:
    """Keywords of a field that holds all numbers of a space; bounds hold for each of them."""
    lows, highs, kind = _bounds(space)
    if space.shape == ():
        return {"type": kind, **_limits(kind, lows, highs)}
    if kind == "bool" and len(space.shape) > 1:
        kind = "int"
    sizes: dict[str, Any] = {"shape": list(space.shape)}
    if len(space.shape) == 1:
        sizes = {"min_items": space.shape[0], "max_items": space.shape[0]}
    return {"type": f"List[{kind}]", **sizes, **_limits(kind, lows.min(), highs.max())}


def _bounds(space: Any) -> tuple[NDArray[Any], NDArray[Any], str]:
    """Lowest and highest numbers, of the space's shape, and the type of fields of them."""
    kind = kind_of(space)
    if kind == "Discrete":
        start = np.asarray(int(space.start))
        return start, start + int(space.n) - 1, "int"
    if kind == "MultiDiscrete":
        start = np.asarray(getattr(space, "start", np.zeros_like(space.nvec)))
        return start, start + np.asarray(space.nvec) - 1, "int"
    if kind == "MultiBinary":
        return np.zeros(space.shape, int), np.ones(space.shape, int), "bool"
    if space.dtype.kind == "b":
        return np.zeros(space.shape, int), np.ones(space.shape, int), "bool"
    return (
        np.asarray(space.low),
        np.asarray(space.high),
        "float" if space.dtype.kind == "f" else "int",
    )


def _alike(space: Any) -> bool:
    lows, highs, _ = _bounds(space)
    return bool((lows == lows.ravel()[0]).all() and (highs == highs.ravel()[0]).all())


def _limits(kind: str, low: Any, high: Any) -> dict[str, Any]:
    """Bounds, where they are any: the largest number of a type stands for none."""
    if kind == "bool":
        return {}
    limits = {}
    for word, bound, outer in (("minimum", low, min), ("maximum", high, max)):
        if bound.dtype.kind == "f":
            if abs(bound) < np.finfo(bound.dtype).max:
                # Both ways of writing a float32 lie within.
                limits[word] = outer(float(bound), float(str(bound)))
        elif bound.dtype.itemsize < 4 or bound not in _ends(bound.dtype):
            limits[word] = int(bound)
    return limits


def _ends(kind: Any) -> tuple[int, int]:
    found = np.iinfo(kind)
    return int(found.min), int(found.max)
