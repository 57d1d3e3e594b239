"""The Swagger UI: carried in assets/swagger-ui, needs nothing from other hosts."""

from collections.abc import Sequence
from dataclasses import dataclass

from connexion.options import SwaggerUIOptions

from policy_server.resources import ASSETS

FAVICON = ASSETS / "favicon.svg"


@dataclass(frozen=True)
class PageSignIn:
    """How the page signs its visitors in at an OpenID provider.

    Attributes:
        client_id: The page's name there; empty where it has none.
        scopes: That it asks for.
    """

    client_id: str = ""
    scopes: Sequence[str] = ()


def swagger_ui(title: str, sign_in: PageSignIn) -> SwaggerUIOptions:
    """The page for an API of this title; the contract itself is served elsewhere."""
    shown = {"title": title, "client_id": sign_in.client_id, "scopes": " ".join(sign_in.scopes)}
    return SwaggerUIOptions(
        serve_spec=False,
        spec_path="/swagger.json",
        swagger_ui_template_dir=str(ASSETS / "swagger-ui"),
        swagger_ui_template_arguments=shown,
    )
