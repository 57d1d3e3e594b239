"""How a model's output is read: by its numbers, by its name, or as declared; never guessed."""

from collections.abc import Collection, Sequence

from policy_server.contract.actions import ActionSpace
from policy_server.errors import UploadRejected
from policy_server.policy.families.family import Family
from policy_server.policy.families.recognition import Output
from policy_server.policy.families.registry import (
    FAMILIES,
    ReadAs,
    all_readings,
    declared_reading,
    families_of,
    named_reading,
    output_names,
    sure_names,
)


class Undeclared(Exception):
    """Nothing says which output is served or how it is read; the message asks for it."""


def named_output(names: Sequence[str], declared: str | None) -> str | None:
    """The output that is declared, or else has a name that says what it holds; None without one.

    Raises:
        UploadRejected: There is no output of the name that is declared.
    """
    if declared is not None and declared not in names:
        raise UploadRejected(
            f"model.yaml names the output `{declared}`, and the model has {listed(names)}."
        )
    return declared or next((name for name in output_names() if name in names), None)


def read(output: Output, declared: str | None, actions: ActionSpace) -> ReadAs:
    """How an output is read.

    Args:
        output: Of the model, with what it put out for the proof inputs.
        declared: The reading by `model.yaml`.
        actions: What the contract promises of actions.

    Raises:
        Undeclared: Several readings are possible.
        UploadRejected: The output contradicts what is declared, or cannot be a policy's.
    """
    kind = actions.kind
    if declared is not None:
        read_as = declared_reading(declared, output, kind)
        read_as.family.check_declared(output, declared)
        return read_as
    for family in families_of(kind):
        family.check_policy(output)
    recognised = [each for each in FAMILIES.values() if each.recognises(output, kind)]
    if recognised and (output.integer or output.name not in sure_names()):
        return ReadAs(recognised[0], recognised[0].readings[0])
    named = named_reading(output.name, kind)
    if not recognised and named is not None:
        return named
    fitting = _fitting(output, actions)
    if not recognised and fitting is not None:
        return ReadAs(fitting, fitting.readings[0])
    raise Undeclared(question(output, actions))


def check_parameters(parameters: Collection[str], family: type[Family]) -> None:
    """Raise UploadRejected for declared parameters that a family does not take."""
    wrong = [name for name in parameters if name not in family.parameters]
    if wrong:
        takers = [each for each in all_readings() if set(wrong) <= {*each.family.parameters}]
        words = " or ".join(f"`reads: {each.reading.word}`" for each in takers)
        raise UploadRejected(
            f"model.yaml gives {listed(wrong)}, which goes with {words}; the output is read as "
            f"{family.readings[0].words}."
        )


def only_output(tried: Sequence[Output], actions: ActionSpace) -> Output:
    """The output that is served where no name tells: whole numbers, probabilities, or the only one.

    Args:
        tried: All outputs that follow from the observations, one at least.
        actions: What the contract promises of actions.

    Raises:
        Undeclared: It may be one or the other.
    """
    if len(tried) == 1:
        return tried[0]
    fitting = [each for each in tried if _fitting(each, actions) is not None]
    if len(fitting) == 1:
        return fitting[0]
    families = families_of(actions.kind)
    known = [each for each in tried if any(_recognises(family, each) for family in families)]
    whole = [each for each in known if each.integer]
    wide = [each for each in tried if each.width > 1]
    if len(whole) == 1:
        return whole[0]
    if len(wide) == 1 and wide[0] in known:
        return wide[0]  # beside the value of a critic
    raise Undeclared(question_of_several(tried, actions))


def question(output: Output, actions: ActionSpace) -> str:
    """Asks how an output is read: each reading that is possible, with its line."""
    one = f"`{output.name}` ({counted(output.width)} for each observation)"
    return f"what the output {one} means is not known: {_lines(output, actions)}"


def question_of_several(outputs: Sequence[Output], actions: ActionSpace) -> str:
    """Asks which output is served and how it is read."""
    families = families_of(actions.kind)
    possible = [each for each in outputs if any(family.may_be(each) for family in families)]
    if not possible:
        possible = list(outputs)
    names = ", ".join(f"`{each.name}` ({each.width})" for each in possible)
    lines = _lines(possible[0], actions)
    return (
        f"which output is served is not known (numbers for each observation in brackets): {names}. "
        f"Write `output: {possible[0].name}`, or another of them, into model.yaml; and how it is "
        f"read: {lines}"
    )


def listed(names: Sequence[str]) -> str:
    """Names as a sentence lists them."""
    return ", ".join(f"`{name}`" for name in names)


def counted(width: int) -> str:
    """So many numbers, in words."""
    return f"{width} number{'s' * (width != 1)}"


def _fitting(output: Output, actions: ActionSpace) -> type[Family] | None:
    """The only family under which an output has the numbers that declared actions take."""
    if actions.sizes is None:
        return None
    families = families_of(actions.kind)
    fitting = [
        each
        for each in families
        if each.fits_width(output.width, actions.sizes) and each.may_be(output)
    ]
    return fitting[0] if len(fitting) == 1 else None


def _recognises(family: type[Family], output: Output) -> bool:
    return family.recognises(output, family.kind)


def _possible(family: type[Family], output: Output, actions: ActionSpace) -> bool:
    """An output may be read so, by its numbers and by what the contract says of actions."""
    if not family.may_be(output):
        return False
    try:
        sizes, heads = family.stated(output, None)
    except UploadRejected:
        return False
    known = () if sizes is None else family(sizes).action_sizes
    return actions.contradiction(family.kind, heads, known) is None


def _lines(output: Output, actions: ActionSpace) -> str:
    families = families_of(actions.kind)
    possible = [each for each in families if _possible(each, output, actions)] or families
    readings = [each.readings[0] for each in possible]
    lines = [
        f"`reads: {each.word}` ({each.effect.format(width=output.width, half=output.width // 2)})"
        for each in readings
    ]
    return f"one of these lines of model.yaml says it: {', '.join(lines)}. {actions.doubt}"
