"""HTTP: application, security, validation, problems, limits, telemetry."""

import warnings

# connexion imports Starlette's test client, which would rather be used with another package.
warnings.filterwarnings("ignore", "Using `httpx` with `starlette.testclient`", UserWarning)
