"""Every setting: the command line comes first, then the environment, `.env`, the default."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from policy_server.app import setting_texts
from policy_server.app.copy_settings import CopySettings
from policy_server.app.credential_settings import CredentialSettings
from policy_server.app.engine_settings import EngineSettings
from policy_server.app.episode_settings import EpisodeSettings
from policy_server.app.log_settings import LogSettings
from policy_server.app.metrics_settings import MetricsSettings
from policy_server.app.openid import sign_in
from policy_server.app.openid_settings import OpenIdSettings
from policy_server.app.policy_settings import PolicySettings
from policy_server.app.sdk_settings import SdkSettings
from policy_server.app.setting import given, refused, setting, twice_given
from policy_server.app.sources import misspelt, variables_in, without_links
from policy_server.app.store_settings import StoreSettings
from policy_server.app.trace_settings import TraceSettings
from policy_server.app.wire_settings import WireSettings
from policy_server.contract.actions import ActionSettings
from policy_server.contract.sign_in import SignIn
from policy_server.errors import ConfigurationError
from policy_server.proving.limits import BuildLimits
from policy_server.resources import TEMPLATE
from policy_server.sandbox.limits import EngineLimits, ProcessLimits
from policy_server.serving.contracts import Contracts
from policy_server.serving.limits import ServingLimits
from policy_server.store.registry import open_store
from policy_server.web.patience import ConnectionLimits

BYTES_PER_KILOBYTE, BYTES_PER_MEGABYTE = 1_000, 1_000_000
DISK_COPIES = 3
"""Of a model on the disk of its build: as it is unpacked, as it is served, and one between."""


@dataclass(frozen=True)
class Settings(
    EngineSettings,
    EpisodeSettings,
    LogSettings,
    MetricsSettings,
    OpenIdSettings,
    PolicySettings,
    SdkSettings,
    CopySettings,
    CredentialSettings,
    StoreSettings,
    TraceSettings,
    WireSettings,
):
    """The settings of one process; secrets do not show in its representation."""

    base_path: Path = setting(
        "BASE_PATH",
        setting_texts.folder,
        setting_texts.path("instance"),
        "Folder of everything generated and uploaded",
    )
    tuple_actions: bool | None = setting(
        "TUPLE",
        setting_texts.boolean,
        None,
        "An action has several components; not set: as the schema says",
    )
    discrete_actions: bool | None = setting(
        "DISCRETE_ACTIONS",
        setting_texts.boolean,
        None,
        "Actions are numbered; not set: as the schema says",
    )
    fast_path: bool = setting(
        "POLICY_SERVER_FAST_PATH",
        setting_texts.boolean,
        True,
        "Answer valid predictions before connexion sees them; the answers are the same without",
    )
    linger_microseconds: int = setting(
        "POLICY_SERVER_LINGER_MICROSECONDS",
        setting_texts.count(0, 1_000),
        100,
        "How long a worker looks out for the next request before it sleeps, where clients ask "
        "again at once; 0: not at all",
    )
    preprocessor_isolation: str = setting(
        "POLICY_SERVER_PREPROCESSOR_ISOLATION",
        setting_texts.isolation,
        "process",
        "Where an uploaded preprocessor runs: `process`, one of its own for each worker, or `none`",
    )
    require_sandbox: bool = setting(
        "POLICY_SERVER_REQUIRE_SANDBOX",
        setting_texts.boolean,
        False,
        "Start only where the kernel offers all that confines uploaded code",
    )
    preprocessor_megabytes: int = setting(
        "POLICY_SERVER_PREPROCESSOR_MEGABYTES",
        setting_texts.count(64, 1_000_000),
        512,
        "Most memory of a preprocessor's own process",
    )
    preprocessor_batch_seconds: int = setting(
        "POLICY_SERVER_PREPROCESSOR_BATCH_SECONDS",
        setting_texts.count(1, 3_600),
        5,
        "Most for one batch of observations in a preprocessor's own process",
    )
    body_megabytes: int = setting(
        "POLICY_SERVER_BODY_MEGABYTES",
        setting_texts.count(1, 10_000),
        16,
        "Largest request that is no upload",
    )
    waiting_decisions: int = setting(
        "POLICY_SERVER_WAITING_DECISIONS",
        setting_texts.count(1, 1_000_000),
        20_000,
        "Decisions that may wait in each worker; who comes then is asked to come again",
    )
    request_seconds: int = setting(
        "POLICY_SERVER_REQUEST_SECONDS",
        setting_texts.count(1, 86_400),
        60,
        "Most that `X-Request-Timeout` can ask for, and that a request waits for others without it",
    )
    upload_megabytes: int = setting(
        "POLICY_SERVER_UPLOAD_MEGABYTES", setting_texts.count(1, 10_000), 200, "Largest upload"
    )
    unpacked_megabytes: int = setting(
        "POLICY_SERVER_UNPACKED_MEGABYTES",
        setting_texts.count(1, 100_000),
        2000,
        "Largest unpacked model",
    )
    drain_seconds: int = setting(
        "POLICY_SERVER_DRAIN_SECONDS",
        setting_texts.count(0, 25),
        1,
        "Between the failing of readiness and the closing of the listener, when it is stopped",
    )
    keep_alive_seconds: int = setting(
        "POLICY_SERVER_KEEP_ALIVE_SECONDS",
        setting_texts.count(1, 86_400),
        75,
        "How long an unused connection stays open; longer than proxies and balancers keep theirs",
    )
    head_kilobytes: int = setting(
        "POLICY_SERVER_HEAD_KILOBYTES",
        setting_texts.count(1, 1_000),
        64,
        "Longest head of a request; a kilobyte is 1,000 bytes",
    )
    head_seconds: int = setting(
        "POLICY_SERVER_HEAD_SECONDS",
        setting_texts.count(1, 3_600),
        10,
        "Most for a head of a request, from its first byte or from the begin of the connection",
    )
    body_silence_seconds: int = setting(
        "POLICY_SERVER_BODY_SILENCE_SECONDS",
        setting_texts.count(1, 3_600),
        10,
        "Longest silence within a body; over six times that it also makes 500 bytes a second",
    )
    keep_versions: int = setting(
        "POLICY_SERVER_KEEP_VERSIONS",
        setting_texts.count(1, 100_000),
        20,
        "Versions that are kept; older ones are removed, less those that somebody needs",
    )
    model_megabytes: int = setting(
        "POLICY_SERVER_MODEL_MEGABYTES",
        setting_texts.count(64, 1_000_000),
        4000,
        "Most memory of a build, and of each process in which TensorFlow decides",
    )
    model_seconds: int = setting(
        "POLICY_SERVER_MODEL_SECONDS",
        setting_texts.count(1, 86_400),
        300,
        "Most for each step of a model's build",
    )
    preprocessor_seconds: int = setting(
        "POLICY_SERVER_PREPROCESSOR_SECONDS",
        setting_texts.count(1, 3_600),
        10,
        "Most for each step of a preprocessor's trial on 200 observations",
    )

    @property
    def actions(self) -> ActionSettings:
        """What the settings say of actions."""
        return ActionSettings(self.tuple_actions, self.discrete_actions)

    golden_tolerance: float = setting(
        "POLICY_SERVER_GOLDEN_TOLERANCE",
        setting_texts.fraction,
        0.001,
        "Largest difference between a golden case and what is found, relative above 1",
    )

    @property
    def serving_limits(self) -> ServingLimits:
        """How much the decisions of a worker may take."""
        limits = self.build_limits.isolation
        rest = self.waiting_decisions, EngineLimits(self.model_megabytes, self.engine_seconds)
        return ServingLimits(limits if limits.confined else None, *rest, self.request_seconds)

    @property
    def connection_limits(self) -> ConnectionLimits:
        """What every connection keeps to."""
        return ConnectionLimits(
            head_bytes=self.head_kilobytes * BYTES_PER_KILOBYTE,
            head_seconds=self.head_seconds,
            body_seconds=self.body_silence_seconds,
            connections=self.connections,
        )

    @property
    def build_limits(self) -> BuildLimits:
        """How much a build may take."""
        return BuildLimits(
            unpacked_bytes=self.unpacked_megabytes * BYTES_PER_MEGABYTE,
            memory_bytes=self.model_megabytes * BYTES_PER_MEGABYTE,
            disk_bytes=DISK_COPIES * self.unpacked_megabytes * BYTES_PER_MEGABYTE
            + self.upload_megabytes * BYTES_PER_MEGABYTE,
            model_seconds=self.model_seconds,
            preprocessor_seconds=self.preprocessor_seconds,
            golden_tolerance=self.golden_tolerance,
            engine=self.engine,
            device=self.device,
            isolation=ProcessLimits(
                megabytes=self.preprocessor_megabytes,
                seconds=self.preprocessor_batch_seconds,
                confined=self.preprocessor_isolation == "process",
            ),
        )


def read_settings(
    overrides: Mapping[str, object] | None = None,
    environment: Mapping[str, str] = os.environ,
    dotenv_path: Path = Path(".env"),
) -> Settings:
    """Read and check all settings.

    Args:
        overrides: From the command line, by field name; None stands for not given.
        environment: Variables; an empty one counts as not set.
        dotenv_path: A file of further variables, if it exists.

    Raises:
        ConfigurationError: With every setting that cannot be used, by its variable.
    """
    sources = (without_links(environment), variables_in(dotenv_path))
    known = {each.metadata["name"] for each in fields(Settings)}
    values: dict[str, Any] = {}
    faults = [fault for source in sources for fault in misspelt(source, known)]
    said = overrides or {}
    for each in fields(Settings):
        name, argument = each.metadata["name"], said.get(each.name)
        if each.name.endswith("_file") and said.get(each.name.removesuffix("_file")) is not None:
            continue  # the command line comes first
        variable, text = given(name, *sources) if argument is None else (name, str(argument))
        if not text:
            continue
        try:
            values[each.name] = each.metadata["parse"](text)
        except ValueError as error:
            faults.append(refused(variable, error, text if each.repr else None))
    faults += twice_given(values, fields(Settings))
    settings = Settings(**values)
    faults += settings.openid_faults({fault.place for fault in faults})
    faults += settings.wire_faults()
    if faults:
        raise ConfigurationError("The settings cannot be used.", faults)
    return settings


def contracts_of(settings: Settings, *, is_server: bool = True) -> Contracts:
    """The contracts below BASE_PATH, as these settings have them.

    Args:
        settings: Of the policy.
        is_server: Its API is that of the server, which other policies are made and removed with.
    """
    base = settings.base_path
    rest = (TEMPLATE, settings.actions, lambda: sign_in_of(settings), is_server)
    return Contracts(open_store(base, settings.elsewhere), base, *rest)


def sign_in_of(settings: Settings) -> SignIn | None:
    """How clients prove who they are beside passwords and keys; None where that is all."""
    known = bool(settings.client_certificates)
    return sign_in(settings, settings.base_path, certificates=known)
