"""What the words of a command line mean, and what is wrong with them, before anything is done."""

import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from fire import docstrings

from policy_server.errors import Fault, FaultsError

Command = Callable[..., None]
FLAG = re.compile(r"--?[A-Za-z]")
BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class UsageError(FaultsError):
    """A command cannot be run as it was given."""


@dataclass(frozen=True)
class Parameter:
    """What a command takes, by position or as an option.

    Attributes:
        name: Of the function's parameter.
        default: None where there is none to show.
        required: The command does not run without it.
        whole: It is a whole number.
        meaning: A sentence or two.
    """

    name: str
    default: object
    required: bool
    whole: bool
    meaning: str

    @property
    def switch(self) -> bool:
        """Whether it is on or off, and takes no value."""
        return isinstance(self.default, bool)

    @property
    def option(self) -> str:
        """As users write it; a switch that is on is shown as what turns it off."""
        return f"--{'no-' if self.default is True else ''}{self.name.replace('_', '-')}"

    @property
    def usage(self) -> str:
        """As the help shows it."""
        word = self.name.upper()
        if self.required:
            return word
        return self.option if self.switch else f"{self.option} {word}"


def parameters_of(command: Command) -> list[Parameter]:
    """What a command takes, in order, as its signature and its docstring say."""
    meanings = {
        each.name: each.description for each in docstrings.parse(command.__doc__).args or ()
    }
    return [
        Parameter(
            name=name,
            default=None if each.default is each.empty else each.default,
            required=each.default is each.empty,
            whole=each.annotation in (int, int | None),
            meaning=meanings[name],
        )
        for name, each in inspect.signature(command).parameters.items()
    ]


def canonical(command: Command, words: Sequence[str]) -> list[str]:
    """The words of a command line as `--name=value`, each parameter at most once.

    Raises:
        UsageError: With everything that is wrong.
    """
    reading = _Reading(parameters_of(command), list(words))
    while reading.words:
        reading.take()
    for each in reading.parameters:
        if each.required and each.name not in reading.values:
            reading.faults.append(Fault(each.usage, "is missing."))
    if reading.faults:
        raise UsageError("This cannot be run.", reading.faults)
    return [f"--{name}={value}" for name, value in reading.values.items()]


def suggestion(word: str, known: Iterable[str]) -> str:
    """What may have been meant, or else everything that there is."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"there {'is' if len(known) == 1 else 'are'} {', '.join(known)}." if known else ""


@dataclass
class _Reading:
    """A command line that is being read, word by word."""

    parameters: list[Parameter]
    words: list[str]
    values: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def take(self) -> None:
        """Read the next word, and its value with it."""
        word = self.words.pop(0)
        if not FLAG.match(word):
            self._take_value(word)
            return
        name, equals, value = word.partition("=")
        found = self._named(name.lstrip("-").replace("-", "_"))
        if found is None:
            options = [each.option for each in self.parameters if not each.required]
            self.faults.append(
                Fault(name, f"is no option; {suggestion(name, options)}".rstrip("; "))
            )
            return
        parameter, on = found
        if parameter.switch:
            self._switch(parameter, on, value if equals else self._boolean_ahead())
        elif equals:
            self._set(parameter, value)
        elif self.words and not FLAG.match(self.words[0]):
            self._set(parameter, self.words.pop(0))
        else:
            self.faults.append(Fault(name, "wants a value."))

    def _take_value(self, word: str) -> None:
        free = [
            each for each in self.parameters if each.name not in self.values and not each.switch
        ]
        if free:
            self._set(free[0], word)
        else:
            self.faults.append(Fault(word, "is one argument too many."))

    def _boolean_ahead(self) -> str | None:
        """`--switch True` is read as `--switch=True`."""
        ahead = self.words and self.words[0] in ("True", "False")
        return self.words.pop(0) if ahead else None

    def _switch(self, parameter: Parameter, on: bool, value: str | None) -> None:
        if value is None:
            self._set(parameter, str(on))
        elif value.lower() in BOOLEANS:
            self._set(parameter, str(BOOLEANS[value.lower()] is on))
        else:
            self.faults.append(Fault(parameter.option, f"is true or false, not {value!r}."))

    def _set(self, parameter: Parameter, value: str) -> None:
        if parameter.name in self.values:
            self.faults.append(Fault(parameter.option, "is given twice."))
        if parameter.whole and not (value.isascii() and value.isdigit()):
            self.faults.append(Fault(parameter.option, f"is a whole number, not {value!r}."))
        self.values[parameter.name] = value

    def _named(self, name: str) -> tuple[Parameter, bool] | None:
        """The parameter of a name, of its first letter, or that `no` turns off."""
        for each in self.parameters:
            if each.name == name:
                return each, True
            if each.switch and f"no{each.name}" == name.replace("no_", "no", 1):
                return each, False
        initials = [each for each in self.parameters if each.name[0] == name]
        return (initials[0], True) if len(initials) == 1 else None
