"""What is wrong with the templates for Kotlin, and what is right."""

from policy_server.clients.templates import Mend

SERIALIZER = "jvm-common/infrastructure/Serializer.kt.mustache"

KOTLIN_MENDS = (
    # Jackson calls the first deprecated, and users may compile with warnings as errors.
    Mend(SERIALIZER, ".setSerializationInclusion(", ".setDefaultPropertyInclusion("),
)
