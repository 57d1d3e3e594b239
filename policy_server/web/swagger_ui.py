"""The Swagger UI: carried in assets/swagger-ui, needs nothing from other hosts."""

from connexion.options import SwaggerUIOptions

from policy_server.contract.sign_in import CLIENT_ID, CODE
from policy_server.contract.specification import Specification
from policy_server.resources import ASSETS

FAVICON = ASSETS / "favicon.svg"


def swagger_ui(specification: Specification, documentation: str = "") -> SwaggerUIOptions:
    """The page for an API; the contract itself is served elsewhere.

    Where the contract names the page as a client of an OpenID provider, it signs its visitors in.

    Args:
        specification: Of the API.
        documentation: A page that this one leads to; empty where there is none.
    """
    code = specification["securityDefinitions"].get(CODE, {})
    shown = {
        "title": specification["info"]["title"],
        "client_id": code.get(CLIENT_ID, ""),
        "scopes": " ".join(code.get("scopes", ())),
        "documentation": documentation,
    }
    return SwaggerUIOptions(
        serve_spec=False,
        spec_path="/swagger.json",
        swagger_ui_template_dir=str(ASSETS / "swagger-ui"),
        swagger_ui_template_arguments=shown,
    )
