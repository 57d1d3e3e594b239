"""What can go wrong, in the words of the domain. This module knows no HTTP.

PolicyServerError
|- ConfigurationError, SchemaError            start-up and command line, every fault listed
|- ObservationError                           what a client sent is not an observation
|- NotAuthenticated, NotAuthorised
|  `- TokenRefused                             a token that is not to be accepted, and why
|- TooManyFailures                          wrong credentials came too often
|- ProviderUnavailable                        the OpenID provider cannot be asked for its keys
|- VersionNotFound, VersionConflict
|- MemoryWanted                               a policy with memory is asked without one
|- MemoryRefused                              the memory of an episode that cannot go on
|  |- MemoryCut, MemoryForged, MemoryForeign
|  `- EpisodeExpired, EpisodeVersionGone
|- EpisodesUnavailable                        there is no key to sign memories with
|- UploadTooLarge
|- UploadRejected                             an uploaded part can never serve
|- BuildNotFound                              no build of that id is remembered
|- BuildLost                                  the process ended that built
|- StoreFailed                                the disk is full, or may not be written to
|  `- StoreUnavailable                         what several machines share cannot be asked
|- PreprocessorFailed                         uploaded code failed at run time
|- ClientsUnavailable                         there is nothing to make SDKs with
|- ClientsBuilding                            SDKs are being made
|- ClientsFailed                              an SDK could not be made
|- ClientOutdated                             an SDK of another schema asked
|- NoActivePolicy, Overloaded, Stopping       nothing decides now; later it may
|- DeadlineExceeded                           the client's own time is over
|- ServerNotStarted                           the front-end could not start a server
|- RequestFailed                              a server that we asked does not answer, or refuses
`- EngineFailed                               the network could not be run
"""

from collections.abc import Sequence

from policy_server.faults import Difference as Difference
from policy_server.faults import DifferingCase as DifferingCase
from policy_server.faults import Fault as Fault


class PolicyServerError(Exception):
    """Root of every error that this project raises on purpose."""


class FaultsError(PolicyServerError):
    """An error that lists every fault instead of the first."""

    def __init__(self, summary: str, faults: Sequence[Fault] = ()) -> None:
        self.summary = summary
        self.faults = tuple(faults)
        super().__init__("\n".join([summary, *(f"  {fault}" for fault in self.faults)]))


class ConfigurationError(FaultsError):
    """Settings that cannot be used."""


class SchemaError(FaultsError):
    """An observation schema, or a contract made from it, that cannot be served."""


class ObservationError(FaultsError):
    """A request whose observations cannot be decided on; places are JSON pointers."""


class NotAuthenticated(PolicyServerError):
    """No accepted credentials came with the request."""


class NotAuthorised(PolicyServerError):
    """The credentials are accepted, but not for this operation."""


class TooManyFailures(PolicyServerError):
    """Credentials were refused too often; these were not looked at.

    Attributes:
        seconds: Until they may be sent again.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            "Wrong credentials came too often from this address: these were not looked at. Ask "
            "again when Retry-After says."
        )


class TokenRefused(NotAuthenticated):
    """A token that is not to be accepted; the message says why, for the log."""


class ProviderUnavailable(PolicyServerError):
    """The OpenID provider does not say what is needed to check a token; the message says why."""


class VersionNotFound(PolicyServerError):
    """No version of that name is in the store."""


class VersionConflict(PolicyServerError):
    """The version is not in a state that allows the operation."""


class PolicyNotFound(PolicyServerError):
    """The server has no policy of that name."""


class PolicyConflict(PolicyServerError):
    """No policy of that name can be made."""


class MemoryWanted(PolicyServerError):
    """The policy decides on steps of episodes alone; the message says how to ask it."""


class MemoryRefused(FaultsError):
    """An episode that cannot go on; places are JSON pointers to its memory, or to its step."""


class MemoryCut(MemoryRefused):
    """A part of the memory is missing."""


class MemoryForged(MemoryRefused):
    """The memory was not written by this server, or was changed since."""


class MemoryForeign(MemoryRefused):
    """The memory is genuine, and of another contract, or of another release of the server."""


class EpisodeExpired(MemoryRefused):
    """The episode has lasted as long as an episode may."""


class EpisodeVersionGone(MemoryRefused):
    """The version that began the episode is not kept any more."""


class EpisodesUnavailable(PolicyServerError):
    """There is no key to sign memories with; the message says why."""


class UploadTooLarge(PolicyServerError):
    """A request body above the limit."""


class UploadRejected(FaultsError):
    """An upload that can never serve; nothing was changed.

    Attributes:
        cases: Golden cases with which it does not agree.
    """

    def __init__(
        self,
        summary: str,
        faults: Sequence[Fault] = (),
        cases: Sequence[DifferingCase] = (),
    ) -> None:
        self.cases = tuple(cases)
        super().__init__(summary, faults)


class BuildNotFound(PolicyServerError):
    """No build of that id is remembered."""


class BuildLost(PolicyServerError):
    """The process that built ended before the build did."""


class StoreFailed(PolicyServerError):
    """The result could not be saved: the disk is full, say, or may not be written to."""


class StoreUnavailable(StoreFailed):
    """What several machines share does not answer, or not rightly; later it may."""


class PreprocessorFailed(PolicyServerError):
    """The uploaded preprocessor failed on a valid observation.

    Attributes:
        cause: What the uploaded code said, with file and line. For the log and for managers.
    """

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__("The preprocessor of the active version failed on this observation.")


class NoActivePolicy(PolicyServerError):
    """No policy can decide at present; the message says what is missing."""


class Overloaded(PolicyServerError):
    """More is waiting than may wait, or than could be done in time.

    Attributes:
        seconds: Until it may be asked again.
    """

    def __init__(self, message: str, seconds: float = 2.0) -> None:
        self.seconds = seconds
        super().__init__(message)


class DeadlineExceeded(PolicyServerError):
    """The time that the client gave is over; nothing was decided for it."""


class Stopping(PolicyServerError):
    """The process is about to stop and begins nothing any more."""


class ClientsUnavailable(PolicyServerError):
    """There is nothing to make SDKs with; the message says what is missing."""


class ClientsBuilding(PolicyServerError):
    """SDKs are being made; in a moment they are there."""


class ClientsFailed(PolicyServerError):
    """An SDK could not be made; the message says why."""


class ClientOutdated(FaultsError):
    """A client that was made for another schema sent what this one does not take.

    The faults say what changed between the schemas, where that is known.
    """


class ServerNotStarted(PolicyServerError):
    """A server of the front-end's own cannot be started; the message says why."""


class RequestFailed(FaultsError):
    """A server that was asked over HTTP does not answer, or refuses.

    Attributes:
        status: The HTTP status; None where no answer came.
        cases: Golden cases with which what was uploaded does not agree.
    """

    def __init__(
        self,
        summary: str,
        faults: Sequence[Fault] = (),
        status: int | None = None,
        cases: Sequence[DifferingCase] = (),
    ) -> None:
        self.status = status
        self.cases = tuple(cases)
        super().__init__(summary, faults)


class SchemaChanged(FaultsError):
    """A server that was asked over HTTP serves another schema than the one it was asked for."""


class EngineFailed(PolicyServerError):
    """The network could not be run; the cause goes to the log and never to a client."""


class ServerFailed(EngineFailed):
    """What runs the network elsewhere failed, whatever it was asked for."""


class EngineUnavailable(ServerFailed):
    """The server that runs the network failed a moment ago, and does not answer rightly yet."""
