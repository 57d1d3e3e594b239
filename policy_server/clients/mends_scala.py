"""What is wrong with the templates for Scala, and what is right."""

from policy_server.clients.templates import Mend

MODEL, API, JSON = "model.mustache", "api.mustache", "jsonSupport.mustache"
CIRCE = "import com.github.plokhotnyuk.jsoniter_scala.circe.JsoniterScalaCodec.*\n"


def _spelt(code: str) -> str:
    """Code of the template, which is shorter without its names."""
    names = {"CLASS": "{{classname}}", "AUTH": "{{invokerPackage}}.Authorization"}
    for short, name in names.items():
        code = code.replace(short, name)
    return code


COMPANION = """\
object CLASS:
  def apply(baseUrl: String = "{{{basePath}}}"): CLASS[AUTH.NoAuthorization.type] = \
CLASS(baseUrl, AUTH.NoAuthorization)
  def withBasicAuth(baseUrl: String, username: String, password: String): CLASS[AUTH.BasicAuth] =
    CLASS(baseUrl, AUTH.BasicAuth(username, password))

  def withApiKeyAuth(baseUrl: String, apiKey: String): CLASS[AUTH.ApiKey] =
    CLASS(baseUrl, AUTH.ApiKey(apiKey))

  def withBearerTokenAuth(baseUrl: String, token: String): CLASS[AUTH.BearerToken] =
    CLASS(baseUrl, AUTH.BearerToken(token))

"""
CREDENTIALS = """\
case class CLASS[Auth <: AUTH] private (baseUrl: String, authConfig: AUTH):
  def withBasicAuth(username: String, password: String): CLASS[AUTH.BasicAuth] =
    copy(authConfig = AUTH.BasicAuth(username, password))

  def withApiKeyAuth(apiKey: String): CLASS[AUTH.ApiKey] =
    copy(authConfig = AUTH.ApiKey(apiKey))

  def withNoAuth: CLASS[AUTH.NoAuthorization.type] =
    copy(authConfig = AUTH.NoAuthorization)

  def withBearerTokenAuth(token: String): CLASS[AUTH.BearerToken] =
    copy(authConfig = AUTH.BearerToken(token))

"""
OF_A_CLIENT = """\
/** Operations of a `Client`, which signs and sends their requests, and makes this. */
final class {{classname}} private[{{mainPackage}}] (baseUrl: String):
  private val addresses = {{invokerPackage}}.Addresses(baseUrl)

"""
ADDRESS = 'uri"$baseUrl{{{path}}}"'
PARSED_ONCE = (
    '{{^pathParams.0}}addresses("{{{path}}}"){{/pathParams.0}}'
    "{{#pathParams.0}}" + ADDRESS + "{{/pathParams.0}}"
)

SCALA_MENDS = (
    # What these made sent no credentials, whatever they were given: a client alone makes one.
    Mend(API, _spelt(COMPANION), ""),
    Mend(API, _spelt(CREDENTIALS), OF_A_CLIENT),
    # To parse one takes longer than to write an observation.
    Mend(API, ADDRESS, PARSED_ONCE),
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
