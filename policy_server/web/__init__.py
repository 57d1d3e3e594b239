"""HTTP: application, security, validation, problems, limits, request ids."""

import warnings

# connexion imports Starlette's test client, which would rather be used with another package.
warnings.filterwarnings("ignore", "Using `httpx` with `starlette.testclient`", UserWarning)
