"""The live policy: the active version, loaded, and replaced when another one is activated."""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from policy_server.build.assembly import SEED
from policy_server.build.report import Part
from policy_server.contract.contract import Contract
from policy_server.contract.samples import random_observations
from policy_server.errors import (
    NoActivePolicy,
    PolicyServerError,
    PreprocessorFailed,
    VersionNotFound,
)
from policy_server.policy import output_mapper, preprocessor
from policy_server.policy.engine import Network, load_engine
from policy_server.policy.output_mapper import OutputMapper, read_output_mapper
from policy_server.policy.policy import Policy
from policy_server.policy.preprocessor import Preprocessor, SchemaPreprocessor, UploadedPreprocessor
from policy_server.serving.deciding import Decider
from policy_server.serving.preprocessor_process import PreprocessorProcess
from policy_server.serving.process_limits import ProcessLimits
from policy_server.store.store import Store

LOOK_SECONDS = 0.2
"""How often the store is looked at: an upload to one worker is to reach all within a second."""
RETRY_SECONDS = 2.0
"""How long a version that could not be loaded is left alone: its disk may be mended."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveVersion:
    """A version that can decide.

    Attributes:
        name: As the store calls it.
        decider: Makes its decisions, loaded and warm.
        header: Its name as the value of a header.
    """

    name: str
    decider: Decider
    header: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "header", self.name.encode())

    @property
    def policy(self) -> Policy:
        """Its policy."""
        return self.decider.policy


class LivePolicy:
    """Holds the active version in memory and follows the store, on one event loop.

    A version that cannot be loaded never replaces one that decides, nor does one of another
    contract.

    Args:
        store: Where versions lie.
        contract: What a version must have been proven against.
        isolation: Limits of the process that runs an uploaded preprocessor; None runs it here.
    """

    def __init__(
        self, store: Store, contract: Contract, isolation: ProcessLimits | None = None
    ) -> None:
        self._store = store
        self._contract = contract
        self._isolation = isolation
        self._live: LiveVersion | None = None
        self._reason = "no version was activated yet: upload a model."
        self._refused: tuple[str, float] | None = None
        self._swap = asyncio.Lock()
        self._follower: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load the active version, if there is one, and follow the store from now on."""
        await self.refresh()
        self._follower = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Follow the store no longer, and let go of the version."""
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)
        if self._live is not None:
            self._live.decider.close()

    def current(self) -> LiveVersion:
        """The version that decides now.

        Raises:
            NoActivePolicy: There is none; the message says what is missing.
        """
        live = self._live
        if live is None:
            raise NoActivePolicy(f"No policy can decide: {self._reason}")
        return live

    async def refresh(self) -> None:
        """Load the active version of the store, unless it is the one that decides already."""
        async with self._swap:
            name = self._store.active()
            if name is None or (self._live and self._live.name == name) or self._rests(name):
                return
            if self._live is not None and not self._keeps_contract(name):
                return  # another application serves it
            try:
                loaded = await load_version(self._store, name, self._contract, self._isolation)
            except Exception as error:  # a damaged version fails in ways nobody has listed
                self._refuse(name, error)
            else:
                before, self._live = self._live, loaded
                self._refused = None
                logger.info("version %s decides", name)
                if before is not None:
                    before.decider.close()

    def _keeps_contract(self, name: str) -> bool:
        try:
            return self._store.manifest(name).contract == self._contract.digest
        except VersionNotFound:
            return True  # it is damaged, which loading it tells

    def _rests(self, name: str) -> bool:
        """The version was refused a moment ago."""
        if self._refused is None or self._refused[0] != name:
            return False
        return time.monotonic() < self._refused[1] + RETRY_SECONDS

    def _refuse(self, name: str, error: Exception) -> None:
        known = isinstance(error, PolicyServerError)
        reason = str(error) if known else f"version {name} is damaged: {error!r}"
        if isinstance(error, PreprocessorFailed):
            reason = f"the preprocessor of version {name} fails: {error.cause}"
        if reason != self._reason:  # once, not at each new attempt
            logger.error("version %s cannot be loaded: %s", name, reason, exc_info=not known)
        self._refused, self._reason = (name, time.monotonic()), reason

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.refresh()
            except Exception:  # whatever is wrong with the disk, the version in memory goes on
                logger.exception("the store cannot be read")


async def load_version(
    store: Store, name: str, contract: Contract, isolation: ProcessLimits | None
) -> LiveVersion:
    """Load a version and let it decide once, so that the first client does not wait.

    Raises:
        NoActivePolicy: It was proven against another contract.
        PolicyServerError: It is damaged, or needs what is not installed.
    """
    manifest = store.manifest(name)
    if manifest.contract != contract.digest:
        raise NoActivePolicy(
            f"version {name} was proven against another schema, TUPLE or DISCRETE_ACTIONS: "
            "upload its parts again, or run `python generate.py publish FOLDER`."
        )
    folder = store.folder(name)
    decider = await asyncio.to_thread(_load, folder, name, contract, isolation)
    try:
        # The first observation that the build saw it decide on; zeros, say, need not be valid.
        (observation,) = random_observations(contract.schema, 1, SEED)
        await decider.decide([decider.policy.decoder.convert(observation)], "draw")
    except BaseException:
        decider.close()
        raise
    return LiveVersion(name, decider)


def _load(folder: Path, name: str, contract: Contract, isolation: ProcessLimits | None) -> Decider:
    network = _read_network(folder, name)
    engine = load_engine(network, folder / Part.MODEL)
    width = engine.run(np.zeros((1, network.feature_width), np.float32)).shape[1]
    if width != network.distribution.input_width:
        raise NoActivePolicy(f"version {name} is damaged: its network puts out {width} numbers.")
    uploaded = folder / Part.PREPROCESSOR / preprocessor.FILE
    meanings = folder / Part.OUTPUT_MAPPER / output_mapper.FILE
    mapper = read_output_mapper(meanings) if meanings.is_file() else OutputMapper()
    process = None
    here: Preprocessor | None = None
    if uploaded.is_file() and isolation is not None:
        process = PreprocessorProcess(uploaded, isolation, network.feature_width)
    elif uploaded.is_file():
        here = UploadedPreprocessor(uploaded, contract.decoder.to_dict, network.feature_width)
    else:
        here = SchemaPreprocessor(contract.schema)
    policy = Policy(contract, network, engine, here, mapper)
    return Decider(policy, process, network.timing)


def _read_network(folder: Path, name: str) -> Network:
    try:
        return Network.read(folder)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise NoActivePolicy(f"version {name} is damaged: {error}") from error
