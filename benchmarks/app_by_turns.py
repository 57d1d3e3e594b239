"""The application with metrics and traces by turns: `gunicorn benchmarks.app_by_turns:app`."""

import api
from benchmarks.turns import SwitchedObservers
from policy_server.app import assembly

assembly.Observers = SwitchedObservers  # type: ignore[attr-defined]
app = assembly.app_or_exit(api)
