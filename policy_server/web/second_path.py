"""The API below a second path, for what knows it there: probes, the command line, the front-end."""

from starlette.types import ASGIApp, Receive, Scope, Send


class SecondPath:
    """Answers requests below one path as those below another.

    Args:
        app: The API.
        second: `/api`.
        base: Where the API lies, `/app/v1`; what is below it is left as it is.
    """

    def __init__(self, app: ASGIApp, second: str, base: str) -> None:
        self._app = app
        self._second = f"{second}/"
        self._base = f"{base}/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            path, raw = scope["path"], scope.get("raw_path") or b""
            plain = raw.startswith(self._second.encode()) and path.startswith(self._second)
            if plain and not path.startswith(self._base):
                cut = len(self._second)
                scope = {
                    **scope,
                    "path": f"{self._base}{path[cut:]}",
                    "raw_path": self._base.encode() + raw[cut:],
                }
        await self._app(scope, receive, send)
