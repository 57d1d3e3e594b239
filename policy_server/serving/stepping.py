"""Steps of episodes: each is decided by the version that began its episode, whichever that is."""

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from policy_server.contract.decoding import LONG_BYTES
from policy_server.contract.fields.decoded import Decoded
from policy_server.contract.records import Record
from policy_server.contract.step_decoding import Step
from policy_server.errors import (
    DeadlineExceeded,
    EpisodesUnavailable,
    EpisodeVersionGone,
    Fault,
    MemoryForeign,
    MemoryRefused,
    PolicyServerError,
    VersionConflict,
    VersionNotFound,
)
from policy_server.serving.decisions import DecisionRequest, PendingDecision, failed
from policy_server.serving.live import LivePolicy
from policy_server.serving.loading import LiveVersion
from policy_server.serving.memory_tokens import (
    BEGIN_ANEW,
    CANNOT_GO_ON,
    NONCE_BYTES,
    Episode,
    MemoryTokens,
)
from policy_server.serving.pending_steps import DecidedStep, StepQuery
from policy_server.serving.stages import Stages

Json = dict[str, Any]
FLOAT_BYTES = 4
LATE = "The version that began the episode was not loaded within {:g} seconds."
NO_KEY = (
    "Episodes need a key that signs their memory, and none can be kept in BASE_PATH: set "
    "POLICY_SERVER_MEMORY_KEY, or let that folder be written to."
)


class OpenStep(NamedTuple):
    """A step whose memory was read.

    Attributes:
        record: The observation.
        episode: Where the episode is; None where it begins.
        place: JSON pointer to the step.
    """

    record: Record
    episode: Episode | None
    place: str


class Deciders(NamedTuple):
    """The versions that decide on the steps of one request, by their names."""

    name: str

    @property
    def header(self) -> bytes:
        """The names as the value of a header."""
        return self.name.encode()


class Stepping:
    """Decides on steps of episodes under one contract.

    Args:
        live: The policy that episodes begin with; lends the versions of others.
        tokens: Write and read memories; None where there is no key for them.
    """

    def __init__(self, live: LivePolicy, tokens: MemoryTokens | None) -> None:
        self._live = live
        self._tokens = tokens

    def opened(self, steps: Sequence[Step], *, alone: bool = False) -> list[OpenStep]:
        """Read the memories of steps.

        Args:
            steps: From the decoder.
            alone: The one step is the body itself.

        Raises:
            MemoryRefused: One that cannot be gone on with; all are named that are refused alike.
            EpisodesUnavailable: There is no key.
        """
        if self._tokens is None:
            raise EpisodesUnavailable(NO_KEY)
        found: list[OpenStep] = []
        refusals: list[MemoryRefused] = []
        for index, step in enumerate(steps):
            place, episode = "" if alone else f"/steps/{index}", None
            try:
                if step.memory is not None:
                    episode = self._tokens.read(step.memory)
            except MemoryRefused as error:
                fault = Fault(f"{place}/memory", error.faults[0].detail)
                refusals.append(type(error)(error.summary, [fault]))
            found.append(OpenStep(step.record, episode, place))
        if refusals:
            kind = type(refusals[0])
            alike = [fault for each in refusals if type(each) is kind for fault in each.faults]
            raise kind(CANNOT_GO_ON, alike)
        return found

    def decide(
        self, request: DecisionRequest, steps: Sequence[OpenStep], stages: Stages | None = None
    ) -> PendingDecision:
        """Let each step be decided; what goes wrong is found in the outcome.

        Args:
            request: What is wanted.
            steps: From `opened`.
            stages: Filled in on the way.
        """
        finish = request.route.finish
        live = self._live.loaded
        try:
            if live is None or not _all_go_on(steps, live):
                names = self._names(steps, request.version)
                answers = self._decide_by_each(request, steps, names, stages)
                done = asyncio.get_running_loop().create_task(answers)
                by = Deciders(", ".join(dict.fromkeys(names)))
                return PendingDecision(finish, by, done, stages)
            if request.version is not None:
                live.check_asked(request.version)
            turns = self._turns(request, live, enumerate(steps))
        except PolicyServerError as error:
            return PendingDecision(finish, None, failed(error), stages)
        queries = [turn.query for turn in turns]
        deciding = live.decider.decide_steps(queries, request.query, request.seconds, stages)
        return PendingDecision(
            lambda decided: finish(self._sealed(turns, decided)), live, deciding, stages
        )

    def _names(self, steps: Sequence[OpenStep], asked: bytes | None) -> list[str]:
        """Names of the versions that decide on each step.

        Args:
            steps: From `opened`.
            asked: The version that must decide; None takes any.

        Raises:
            NoActivePolicy: There is none that an episode could begin with.
            VersionConflict: Another version decides on a step than must.
        """
        names = []
        for step in steps:
            before = step.episode
            name = self._live.current().name if before is None else before.version
            if asked is not None and name.encode() != asked:
                raise VersionConflict(
                    f"Version {asked.decode('latin-1')} is asked for, and {name} decides on this "
                    "step: an episode ends with the version that began it."
                )
            names.append(name)
        return names or [self._live.current().name]

    async def _decide_by_each(
        self,
        request: DecisionRequest,
        steps: Sequence[OpenStep],
        names: Sequence[str],
        stages: Stages | None,
    ) -> list[Json]:
        """The answers to steps of which not all are the live version's, or which are long."""
        answers: list[Json] = [{}] * len(steps)

        async def decide(name: str) -> None:
            chosen = [index for index, each in enumerate(names) if each == name]
            taken = [(index, steps[index]) for index in chosen]
            async with self._lent(name, [step for _, step in taken], request.seconds) as version:
                turns = self._turns(request, version, taken)
                queries = [turn.query for turn in turns]
                decided = await version.decider.decide_steps(
                    queries, request.query, request.seconds, stages
                )
            sealed = await asyncio.to_thread(self._sealed, turns, decided)
            for index, answer in zip(chosen, sealed, strict=True):
                answers[index] = answer

        deciding = [decide(name) for name in dict.fromkeys(names)]
        for outcome in await asyncio.gather(*deciding, return_exceptions=True):
            if outcome is not None:
                raise outcome
        return answers

    @contextlib.asynccontextmanager
    async def _lent(
        self, name: str, steps: Sequence[OpenStep], seconds: float | None
    ) -> AsyncIterator[LiveVersion]:
        """A version, loaded for as long as the block runs."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(seconds):
                    version = await stack.enter_async_context(self._live.pinned(name))
            except TimeoutError as error:
                raise DeadlineExceeded(LATE.format(seconds)) from error
            except VersionNotFound as error:
                detail = f"was begun by version {name}, which is not kept any more. {BEGIN_ANEW}"
                faults = [Fault(f"{step.place}/memory", detail) for step in steps]
                raise EpisodeVersionGone(CANNOT_GO_ON, faults) from error
            yield version

    def _turns(
        self, request: DecisionRequest, version: LiveVersion, steps: Iterable[tuple[int, OpenStep]]
    ) -> list["Turn"]:
        """What is asked of a version, and where each episode is then; notes those that begin.

        Args:
            request: What is wanted.
            version: Decides.
            steps: Each with its place in the request.
        """
        width = version.policy.network.memory_width * FLOAT_BYTES
        return [self._turn(request, version.name, width, *each) for each in steps]

    def _turn(
        self, request: DecisionRequest, name: str, width: int, index: int, step: OpenStep
    ) -> "Turn":
        assert self._tokens is not None
        before, state = step.episode, None
        if before is None:
            self._live.note_episode(name)
            nonce = _first_nonce(request.seed, index)
            before = Episode(name, 0, self._tokens.now(), nonce, b"")
        else:
            state = before.state
            if len(state) != width:
                fault = Fault(f"{step.place}/memory", f"is not one of version {name}. {BEGIN_ANEW}")
                raise MemoryForeign(CANNOT_GO_ON, [fault])
        chance, nonce = _drawn(before.nonce, request.seed, step.record)
        query = StepQuery(step.record, state, chance, f"{step.place}/observation")
        after = Episode(name, before.steps + 1, before.began, nonce, b"")
        return Turn(query, after)

    def _sealed(self, turns: Sequence["Turn"], decided: Sequence[DecidedStep]) -> list[Json]:
        """The answers to steps, each with the memory for the next one."""
        assert self._tokens is not None
        write = self._tokens.write
        return [
            {"prediction": answer, "memory": write(turn.episode._replace(state=state))}
            for turn, (answer, state) in zip(turns, decided, strict=True)
        ]


class Turn(NamedTuple):
    """A step on its way.

    Attributes:
        query: What is asked of the policy.
        episode: Where the episode is afterwards, but for its state.
    """

    query: StepQuery
    episode: Episode


def _all_go_on(steps: Sequence[OpenStep], live: LiveVersion) -> bool:
    """The live version decides on all steps, and their memories are signed in no time."""
    longest = LONG_BYTES // FLOAT_BYTES
    return live.policy.network.memory_width * len(steps) <= longest and all(
        step.episode is None or step.episode.version == live.name for step in steps
    )


def _first_nonce(seed: int | None, index: int) -> bytes:
    """What an episode begins with; where there is a seed, it is in the draw.

    Args:
        seed: The request's.
        index: Of the step in its request: episodes that begin together differ.
    """
    return secrets.token_bytes(NONCE_BYTES) if seed is None else index.to_bytes(NONCE_BYTES)


def _drawn(nonce: bytes, seed: int | None, record: Record) -> tuple[int, bytes]:
    """What a draw follows from, and the nonce of the step after.

    Neither tells anything of the other, nor of those of another observation, seed or episode.
    """
    seeded = b"" if seed is None else seed.to_bytes(8)
    observed = msgspec.msgpack.encode(record, enc_hook=_plain)
    digest = hashlib.sha256(b"%b%c%b%b" % (nonce, len(seeded), seeded, observed)).digest()
    return int.from_bytes(digest[:NONCE_BYTES]), digest[NONCE_BYTES:]


def _plain(value: object) -> bytes:
    assert isinstance(value, Decoded)
    return value.array.tobytes()
