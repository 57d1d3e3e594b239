"""What is run next: each row once, in pieces, in turn; and pieces answer what the whole would."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_server.contract.contract import Contract
from policy_server.contract.reading import read_schema
from policy_server.errors import ObservationError, PolicyServerError
from policy_server.policy.answers import Query
from policy_server.policy.engines.engine import Floats
from policy_server.policy.memory import Carried, Memory
from policy_server.policy.network import Network
from policy_server.policy.output_mapper import OutputMapper
from policy_server.policy.policy import Policy
from policy_server.policy.preprocessor import SchemaPreprocessor
from policy_server.policy.timing import Timing
from policy_server.serving.deciding import Decider
from policy_server.serving.pending import PendingRequest
from policy_server.serving.rounds import Rounds
