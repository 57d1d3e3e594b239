"""The Swagger UI: carried in assets/swagger-ui, needs nothing from other hosts."""

from connexion.options import SwaggerUIOptions

from policy_server.resources import ASSETS

FAVICON = ASSETS / "favicon.svg"


def swagger_ui(title: str) -> SwaggerUIOptions:
    """The page for an API of this title; the contract itself is served elsewhere."""
    return SwaggerUIOptions(
        serve_spec=False,
        spec_path="/swagger.json",
        swagger_ui_template_dir=str(ASSETS / "swagger-ui"),
        swagger_ui_template_arguments={"title": title},
    )
