"""What is wrong with the templates for Scala, and what is right."""

from policy_server.clients.templates import Mend

MODEL, API, JSON = "model.mustache", "api.mustache", "jsonSupport.mustache"
CIRCE = "import com.github.plokhotnyuk.jsoniter_scala.circe.JsoniterScalaCodec.*\n"
AUTHORISATION = "{{invokerPackage}}.Authorization"
NOBODY = f"{AUTHORISATION}.NoAuthorization"
COMPANION = f"""\
object {{{{classname}}}}:
  def apply(baseUrl: String = "{{{{{{basePath}}}}}}"): {{{{classname}}}}[{NOBODY}.type] = \
{{{{classname}}}}(baseUrl, {NOBODY})
  def withBasicAuth(baseUrl: String, username: String, password: String): \
{{{{classname}}}}[{AUTHORISATION}.BasicAuth] =
    {{{{classname}}}}(baseUrl, {AUTHORISATION}.BasicAuth(username, password))

  def withApiKeyAuth(baseUrl: String, apiKey: String): {{{{classname}}}}[{AUTHORISATION}.ApiKey] =
    {{{{classname}}}}(baseUrl, {AUTHORISATION}.ApiKey(apiKey))

  def withBearerTokenAuth(baseUrl: String, token: String): \
{{{{classname}}}}[{AUTHORISATION}.BearerToken] =
    {{{{classname}}}}(baseUrl, {AUTHORISATION}.BearerToken(token))

"""
CREDENTIALS = f"""\
case class {{{{classname}}}}[Auth <: {AUTHORISATION}] private (baseUrl: String, authConfig: {AUTHORISATION}):
  def withBasicAuth(username: String, password: String): {{{{classname}}}}[{AUTHORISATION}.BasicAuth] =
    copy(authConfig = {AUTHORISATION}.BasicAuth(username, password))

  def withApiKeyAuth(apiKey: String): {{{{classname}}}}[{AUTHORISATION}.ApiKey] =
    copy(authConfig = {AUTHORISATION}.ApiKey(apiKey))

  def withNoAuth: {{{{classname}}}}[{NOBODY}.type] =
    copy(authConfig = {NOBODY})

  def withBearerTokenAuth(token: String): {{{{classname}}}}[{AUTHORISATION}.BearerToken] =
    copy(authConfig = {AUTHORISATION}.BearerToken(token))

"""
OF_A_CLIENT = """\
/** Operations of a `Client`, which signs and sends their requests, and makes this. */
final class {{classname}} private[{{mainPackage}}] (baseUrl: String):
"""

SCALA_MENDS = (
    # What these made sent no credentials, whatever they were given: a client alone makes one.
    Mend(API, COMPANION, ""),
    Mend(API, CREDENTIALS, OF_A_CLIENT),
    # Names are text of a program, not of a web page.
    Mend(MODEL, '@named("{{baseName}}")', '@named("{{{baseName}}}")'),
    # Enumerations inside arrays had no codec of their own, and were written as objects.
    Mend(
        MODEL,
        "    {{#isString}}\n    given",
        "    {{^isNumber}}\n    given",
    ),
    Mend(MODEL, "    {{/isString}}\n    {{#isNumber}}", "    {{/isNumber}}\n    {{#isNumber}}"),
    # Empty arrays were left out, so that a required one was missing.
    Mend(
        JSON,
        "CodecMakerConfig.withAllowRecursiveTypes(true)",
        "CodecMakerConfig.withAllowRecursiveTypes(true).withTransientEmpty(false)",
    ),
    # Fields that are unknown were left out: a misspelt one was not missed.
    Mend(JSON, "JsonCodecMaker.make(config)", "Closed.codec[A](config)"),
    # Dependencies of which nothing is used, or ten lines: Bodies.scala has them.
    Mend(JSON, CIRCE, ""),
    Mend(API, "import sttp.client4.jsoniter.*", "import {{invokerPackage}}.Bodies.*"),
)
