"""What is wrong with the templates for Scala, and what is right."""

from policy_server.clients.templates import Mend

MODEL, API, JSON = "model.mustache", "api.mustache", "jsonSupport.mustache"
CIRCE = "import com.github.plokhotnyuk.jsoniter_scala.circe.JsoniterScalaCodec.*\n"

SCALA_MENDS = (
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
