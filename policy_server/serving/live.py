"""The live policy: the active version, loaded, and replaced when another one is activated."""

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from policy_server.build.assembly import SEED
from policy_server.build.report import Part
from policy_server.contract.contract import Contract
from policy_server.contract.samples import random_observations
from policy_server.errors import NoActivePolicy, PolicyServerError
from policy_server.policy import output_mapper, preprocessor
from policy_server.policy.engine import Network, load_engine
from policy_server.policy.output_mapper import OutputMapper, read_output_mapper
from policy_server.policy.policy import Policy
from policy_server.policy.preprocessor import SchemaPreprocessor, UploadedPreprocessor
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
        policy: Its policy, loaded and warm.
    """

    name: str
    policy: Policy


class LivePolicy:
    """Holds the active version in memory and follows the store.

    A version that cannot be loaded never replaces one that decides.

    Args:
        store: Where versions lie.
        contract: What a version must have been proven against.
    """

    def __init__(self, store: Store, contract: Contract) -> None:
        self._store = store
        self._contract = contract
        self._live: LiveVersion | None = None
        self._reason = "no version was activated yet: upload a model."
        self._refused: tuple[str, float] | None = None
        self._swap = threading.Lock()
        self._stopped = threading.Event()
        self._follower = threading.Thread(target=self._follow, name="live-policy", daemon=True)

    def start(self) -> None:
        """Load the active version, if there is one, and follow the store from now on."""
        self.refresh()
        self._follower.start()

    def stop(self) -> None:
        """Follow the store no longer."""
        self._stopped.set()
        if self._follower.is_alive():
            self._follower.join()

    def current(self) -> LiveVersion:
        """The version that decides now.

        Raises:
            NoActivePolicy: There is none; the message says what is missing.
        """
        live = self._live
        if live is None:
            raise NoActivePolicy(f"No policy can decide: {self._reason}")
        return live

    def refresh(self) -> None:
        """Load the active version of the store, unless it is the one that decides already."""
        with self._swap:
            name = self._store.active()
            if name is None or (self._live and self._live.name == name) or self._rests(name):
                return
            try:
                self._live = load_version(self._store, name, self._contract)
            except Exception as error:  # a damaged version fails in ways nobody has listed
                self._refuse(name, error)
            else:
                self._refused = None
                logger.info("version %s decides", name)

    def _rests(self, name: str) -> bool:
        """The version was refused a moment ago."""
        if self._refused is None or self._refused[0] != name:
            return False
        return time.monotonic() < self._refused[1] + RETRY_SECONDS

    def _refuse(self, name: str, error: Exception) -> None:
        known = isinstance(error, PolicyServerError)
        reason = str(error) if known else f"version {name} is damaged: {error!r}"
        if reason != self._reason:  # once, not at each new attempt
            logger.error("version %s cannot be loaded: %s", name, reason, exc_info=not known)
        self._refused, self._reason = (name, time.monotonic()), reason

    def _follow(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            try:
                self.refresh()
            except Exception:  # whatever is wrong with the disk, the version in memory goes on
                logger.exception("the store cannot be read")


def load_version(store: Store, name: str, contract: Contract) -> LiveVersion:
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
    network = _read_network(folder, name)
    engine = load_engine(network, folder / Part.MODEL)
    uploaded = folder / Part.PREPROCESSOR / preprocessor.FILE
    meanings = folder / Part.OUTPUT_MAPPER / output_mapper.FILE
    policy = Policy(
        contract,
        network,
        engine,
        UploadedPreprocessor(uploaded)
        if uploaded.is_file()
        else SchemaPreprocessor(contract.schema),
        read_output_mapper(meanings) if meanings.is_file() else OutputMapper(),
    )
    # The first observation that the build saw it decide on; zeros, say, need not be a valid one.
    observations = random_observations(contract.schema, 1, SEED)
    width, wanted = engine.run(policy.features(observations)).shape[1], network.distribution
    if width != wanted.input_width:
        raise NoActivePolicy(f"version {name} is damaged: its network puts out {width} numbers.")
    policy.predict(observations)
    return LiveVersion(name, policy)


def _read_network(folder: Path, name: str) -> Network:
    try:
        return Network.read(folder)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise NoActivePolicy(f"version {name} is damaged: {error}") from error
