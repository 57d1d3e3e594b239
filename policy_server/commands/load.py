"""`load`: how fast a running server decides, and whether it keeps up."""

from policy_server.app.settings import read_settings
from policy_server.commands.server_credentials import credentials_for
from policy_server.errors import ConfigurationError, Fault

UNSOUND = 1
"""Exit code where anything was not decided."""


def load(
    url: str,
    seconds: int = 10,
    clients: int = 8,
    rate: int | None = None,
    batch: int | None = None,
    user: str | None = None,
    password: str | None = None,
    token: str | None = None,
) -> None:
    """Measure a running server under load.

    It is asked for decisions on valid random observations. Exit code 1 where anything was not
    decided.

    Args:
        url: Of the server.
        seconds: How long it is asked.
        clients: Connections; each asks again once it was answered.
        rate: Requests a second that are due, however long answers take; without it as many as are
            answered.
        batch: Observations in each request, to predict_batch; without it one, to predict.
        user: Who asks; by default POLICY_SERVER_USER.
        password: Their password; as for publish.
        token: A bearer token, or a key, instead; as for publish.
    """
    counts = {"--seconds": seconds, "--clients": clients, "--rate": rate, "--batch": batch}
    faults = [
        Fault(name, f"is a whole number from 1 on, not {count}.")
        for name, count in counts.items()
        if count is not None and count < 1
    ]
    if faults:
        raise ConfigurationError("The server cannot be asked like this.", faults)
    from policy_server.web import load as loads  # what asks other servers takes long to import

    settings = read_settings({"user": user, "password": password, "token": token})
    who = credentials_for(settings, url, token is None and (user, password) != (None, None))
    asked = loads.load_of(url, who, batch=batch, seconds=seconds, clients=clients, rate=rate)
    measured = loads.measure(asked)
    print(measured.report(asked))
    if not measured.is_sound:
        raise SystemExit(UNSOUND)
