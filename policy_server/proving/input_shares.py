"""Lays features out on the inputs of a network: declared, by the names of fields, or numbered."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from policy_server.errors import UploadRejected
from policy_server.policy.saved_model import UnusableModel
from policy_server.proving.input_description import (
    Declared,
    InputDescription,
    feature_numbers,
)
from policy_server.proving.known_features import KnownFeatures
from policy_server.proving.memory_shares import lay_out_states, normalised, stacked
from policy_server.proving.network_inputs import (
    Layout,
    NetworkInput,
    batch_of,
    product,
)
from policy_server.proving.reading import Undeclared, listed
from policy_server.proving.shares import Share

Numbers = Mapping[str, Sequence[int]]
"""Input -> the features that it takes."""
NUMBERED = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)


def lay_out(
    inputs: Sequence[NetworkInput],
    output: tuple[int | None, ...] | None,
    described: InputDescription,
    known: KnownFeatures,
) -> Layout:
    """Decide which features each input takes.

    Args:
        inputs: All that the output follows from.
        output: Sizes of the output's axes, as far as they are said.
        described: What model.yaml says.
        known: What is known of the features.

    Raises:
        Undeclared: They could be laid out in several ways.
        UploadRejected: What is declared does not fit the network.
        UnusableModel: How many features there are is open.
    """
    pairs = {pair.input: pair for pair in described.pairs}
    carried = [each for each in inputs if each.name in pairs]
    others = [each for each in inputs if each.name not in pairs]
    filled = [each for each in others if each.is_filled and each.name not in described.inputs]
    taking = [each for each in others if each not in filled]
    if not taking:
        raise UploadRejected(
            "The network's output depends on 0 inputs that take features "
            f"({listed([each.name for each in inputs]) or 'none'}): it does not follow from the "
            "observations."
        )
    stack, fields = described.stack, list(known.fields.values())
    known = known if stack is None else known.stacked(stack.frames)
    batch = _batch(taking, output, known)
    if carried:
        taking = [each.of_one_step(batch) for each in taking]
    states, batch = lay_out_states(carried, pairs, batch)
    layout = _Laying(taking, batch, described.inputs, known).layout()
    layout = replace(layout, filled=tuple(filled), batch=batch, states=states, stack=stack)
    if stack is not None:
        layout = stacked(layout, fields)
    return replace(layout, normalise=normalised(layout, described.normalise))


def _batch(
    inputs: Sequence[NetworkInput], output: tuple[int | None, ...] | None, known: KnownFeatures
) -> int | None:
    batch = batch_of(inputs, output)
    if len(inputs) > 1 or batch is None:
        return batch
    (only,) = inputs
    if only.axes == (None,):  # numbers, one for each observation, or all of a single one
        return 0 if known.width in (None, 1) else None
    if batch > 1 and known.width is not None and product(only.axes or ()) == known.width:
        return None
    return batch


class _Laying:
    """Lays features out.

    Args:
        inputs: All that take some.
        batch: As `batch_of` says.
        declared: What model.yaml says of them.
        known: What is known of the features.
    """

    def __init__(
        self,
        inputs: Sequence[NetworkInput],
        batch: int | None,
        declared: Declared,
        known: KnownFeatures,
    ) -> None:
        self._inputs = {each.name: each for each in inputs}
        self._rows = {each.name: each.row_axes(batch) for each in inputs}
        self._widths = {name: product(axes) for name, axes in self._rows.items()}
        self._declared = declared
        self._known = known
        self._takes_fields = False

    def layout(self) -> Layout:
        """The layout, without what is filled in."""
        numbers, width = self._numbers()
        shares = [self._share(name, numbers[name]) for name in self._inputs]
        return Layout(width, tuple(shares), takes_fields=self._takes_fields)

    def _numbers(self) -> tuple[Numbers, int]:
        """The features of each input, and F."""
        if self._declared:
            self._check_names()
            if all(words is None for words in self._declared.values()):
                return self._in_order([name for name in self._declared if name in self._inputs])
            return self._as_declared()
        if len(self._inputs) == 1:
            return self._in_order(list(self._inputs))
        if self._named_as_fields():
            self._takes_fields = True
            fields = self._known.fields
            return {name: fields[name].numbers for name in self._inputs}, self._total()
        order = natural_order(list(self._inputs))
        if order is None:
            raise Undeclared(self._question())
        return self._in_order(order)

    def _check_names(self) -> None:
        missing = [name for name in self._inputs if name not in self._declared]
        unknown = [name for name in self._declared if name not in self._inputs]
        if unknown or missing:
            parts = [f"`inputs` in model.yaml names {listed(unknown)}"] * bool(unknown)
            parts += [f"`inputs` in model.yaml leaves out {listed(missing)}"] * bool(missing)
            raise UploadRejected(
                f"{'; '.join(parts)}: the output follows from {listed(list(self._inputs))}."
            )

    def _in_order(self, names: Sequence[str]) -> tuple[Numbers, int]:
        """One input takes its features after the other."""
        widths = {name: self._widths[name] for name in names}
        open_widths = [name for name, width in widths.items() if width is None]
        if open_widths:
            total = self._known.width
            rest = (total or 0) - sum(width or 0 for width in widths.values())
            if total is None or len(open_widths) > 1 or rest < 1:
                raise UnusableModel(self._open(open_widths))
            widths[open_widths[0]] = rest
        ends = list(itertools.accumulate(width or 0 for width in widths.values()))
        starts = [0, *ends[:-1]]
        spans = [range(start, end) for start, end in zip(starts, ends, strict=True)]
        return dict(zip(names, spans, strict=True)), ends[-1]

    def _open(self, names: Sequence[str]) -> str:
        return (
            f"the shape of its input{'s' * (len(names) > 1)} {listed(names)} is open, and how many "
            "features it takes is not known: export it with a fixed one, or upload it with the "
            "schema or the preprocessor that makes them."
        )

    def _as_declared(self) -> tuple[Numbers, int]:
        numbers = {name: self._chosen(name, words or []) for name, words in self._declared.items()}
        most = 1 + max(max(chosen) for chosen in numbers.values())
        total = self._known.width
        if total is not None and most > total:
            raise UploadRejected(
                f"`inputs` in model.yaml speaks of feature {most - 1}, and there are {total}: they "
                f"are numbered 0 to {total - 1}."
            )
        return numbers, total or most

    def _chosen(self, name: str, words: Sequence[str]) -> Sequence[int]:
        """The features that an input takes, by names of fields and numbers of features."""
        chosen: list[int] = []
        for word in words:
            numbers: range | None
            if word in self._known.fields:
                numbers, self._takes_fields = self._known.fields[word].numbers, True
            else:
                numbers = feature_numbers(word)
            if numbers is None:
                why = f"there are {listed(list(self._known.fields))}"
                if not self._known.fields:
                    why = (
                        "an uploaded preprocessor makes the features, or a field's width varies: "
                        "say numbers of features, such as 0-7"
                    )
                raise UploadRejected(
                    f"`inputs` in model.yaml gives `{word}` to `{name}`, which is no field here "
                    f"({why})."
                )
            chosen += numbers
        width = self._widths[name]
        if width not in (None, len(chosen)):
            raise UploadRejected(
                f"`inputs` in model.yaml gives {len(chosen)} features to `{name}`, which takes "
                f"{width}."
            )
        return chosen

    def _named_as_fields(self) -> bool:
        fields = self._known.fields
        return all(
            name in fields and self._widths[name] in (None, len(fields[name].numbers))
            for name in self._inputs
        )

    def _total(self) -> int:
        return sum(len(each.numbers) for each in self._known.fields.values())

    def _share(self, name: str, numbers: Sequence[int]) -> Share:
        each = self._inputs[name]
        shape = self._shape(name, numbers)
        return Share(name, each.dtype, np.array(numbers, np.intp), shape)

    def _shape(self, name: str, numbers: Sequence[int]) -> tuple[int, ...]:
        """In which shape an input takes its features."""
        axes = self._rows[name]
        of_fields = [
            each.shape
            for each in self._known.fields.values()
            if list(each.numbers) == list(numbers) and len(each.shape) == len(axes)
        ]
        known = math.prod(size for size in axes if size is not None)
        if None not in axes:
            shape = tuple(size or 0 for size in axes)
        elif axes.count(None) == 1 and known and len(numbers) % known == 0:
            shape = tuple(len(numbers) // known if size is None else size for size in axes)
        elif of_fields:
            shape = of_fields[0]
        else:
            raise UnusableModel(self._open([name]))
        if of_fields and of_fields[0] != shape:
            raise UploadRejected(
                f"The input `{name}` takes {list(shape)}, and the field for it is "
                f"{list(of_fields[0])}, as many numbers in another order: give the field the "
                "input's shape, or upload a preprocessor that reorders them together with the "
                "model."
            )
        return shape

    def _question(self) -> str:
        """Asks which features each input takes."""
        sizes = ", ".join(f"`{name}` ({width or '?'})" for name, width in self._widths.items())
        names = list(self._inputs)
        orders = " or ".join(f"`inputs: [{', '.join(order)}]`" for order in (names, names[::-1]))
        example = ", ".join(f"{name}: [...]" for name in names)
        what = "names of fields, or " if self._known.fields else ""
        return (
            f"which features each input takes is not known (numbers that it takes in brackets): "
            f"{sizes}. One of these lines of model.yaml says it: {orders}{_or_other(names)}, where "
            f"one takes its features after the other; or `inputs: {{{example}}}`, with {what}"
            "numbers of features such as 0-7"
        )


def _or_other(names: Sequence[str]) -> str:
    return ", or another order" if len(names) > 2 else ""


def natural_order(names: Sequence[str]) -> list[str] | None:
    """Names of one numbered series by their numbers, `obs_2` before `obs_10`; None for others."""
    matches = {name: NUMBERED.fullmatch(name) for name in names}
    numbers = {name: int(match[2]) for name, match in matches.items() if match is not None}
    frames = {(match[1], match[3]) for match in matches.values() if match is not None}
    if len(numbers) < len(names) or len(frames) > 1 or len(set(numbers.values())) < len(names):
        return None
    return sorted(names, key=numbers.__getitem__)
