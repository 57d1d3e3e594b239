"""What is wrong with the templates for C++, and what is right."""

from policy_server.clients.templates import Mend

API = "api-source.mustache"

CPP_MENDS = (
    # Where nothing is made of an answer its parameter is not used, which compilers warn of.
    Mend(API, "        return void();\n", "        static_cast<void>(localVarResponse);\n"),
)
