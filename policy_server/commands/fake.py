"""`fake`: a server for tests of clients, which needs no model."""

from pathlib import Path

from policy_server.fake.context import KEY, PASSWORD, READY, USER


def fake(
    schema: str,
    port: int = 8080,
    host: str = "127.0.0.1",
    seed: int | None = None,
    user: str = USER,
    password: str = PASSWORD,
    key: str = KEY,
) -> None:
    """Serve valid random decisions for a schema, without a model, for tests of clients.

    It answers as the real server does, and keeps nothing. `/fake/calls` shows what was asked,
    `/fake/faults` takes what is to fail.

    Args:
        schema: The file with the observation schema.
        port: To listen on; 0 takes a free one, which the first line of output says.
        host: Address to listen on.
        seed: Makes the decisions the same in each run.
        user: Who may do everything.
        password: Of this user.
        key: Who has it may ask for decisions.
    """
    from policy_server.fake import server  # what it needs takes long to import

    options = server.Options(Path(schema), host, port, seed, user, password, key)
    server.serve(options, lambda url: print(f"{READY}{url}", flush=True))
