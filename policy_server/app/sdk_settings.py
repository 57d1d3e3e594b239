"""The settings of what makes SDKs."""

from dataclasses import dataclass

from policy_server.app import setting_texts
from policy_server.app.setting import setting
from policy_server.clients.generator import Generator
from policy_server.clients.openapi_generator import OpenApiGenerator
from policy_server.clients.swagger_codegen import SwaggerCodegen


@dataclass(frozen=True)
class SdkSettings:
    """What makes SDKs."""

    clients_engine: str = setting(
        "POLICY_SERVER_CLIENTS_ENGINE",
        setting_texts.generator,
        OpenApiGenerator.name,
        "What makes SDKs",
    )
    swagger_codegen: str = setting(
        "POLICY_SERVER_SWAGGER_CODEGEN",
        str,
        SwaggerCodegen.name,
        "The program swagger-codegen: a name on the PATH, or the path of it or of its jar",
    )

    @property
    def generator(self) -> Generator:
        """What makes SDKs."""
        if self.clients_engine == SwaggerCodegen.name:
            return SwaggerCodegen(self.swagger_codegen)
        return OpenApiGenerator()
