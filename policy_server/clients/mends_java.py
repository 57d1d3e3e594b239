"""What is wrong with the templates for Java, and what is right."""

from policy_server.clients.mends_closed import CLOSED_JAVA_MENDS
from policy_server.clients.templates import Mend

API = "libraries/apache-httpclient/api.mustache"
BASE = "libraries/apache-httpclient/BaseApi.mustache"
ERROR = "apiException.mustache"
CORE = "libraries/apache-httpclient/ApiClient.mustache"

HEADERS = "    localVarHeaderParams.putAll(additionalHeaders);\n"
GIVEN = f"    if (additionalHeaders != null) {{\n  {HEADERS}    }}\n"
MISSING = """\
      throw new ApiException(400, "Missing the required parameter '{{paramName}}' when calling \
{{operationId}}");
"""
INCOMPLETE = """\
      throw new {{invokerPackage}}.Incomplete("`{{paramName}}` of {{operationId}}", "");
"""
ANONYMOUS = """\
  public {{classname}}() {
    super(Configuration.getDefaultApiClient());
  }

"""
BASE_ANONYMOUS = """\
  public BaseApi() {
    this(Configuration.getDefaultApiClient());
  }

"""
EVERYTHING = """\

    @Override
    public String toString() {
        return "ApiException{" +
                "code=" + code +
                ", responseHeaders=" + responseHeaders +
                ", responseBody='" + responseBody + '\\'' +
                '}';
    }
"""
CONNECT_TIMEOUT = """\
      if (connectionTimeout > 0) {
        requestConfigBuilder.setConnectTimeout(Timeout.ofMilliseconds(connectionTimeout));
      }
"""
EXECUTED = """\
    try (CloseableHttpResponse response = httpClient.execute(builder.build(), context)) {
      return processResponse(response, returnType);
    } catch (IOException | ParseException e) {
"""
OPENED = """\
    org.apache.hc.core5.http.ClassicHttpRequest request = builder.build();
    try (CloseableHttpResponse response = (CloseableHttpResponse) httpClient.executeOpen(
        org.apache.hc.client5.http.routing.RoutingSupport.determineHost(request),
        request,
        context)) {
      return processResponse(response, returnType);
    } catch (IOException | org.apache.hc.core5.http.HttpException e) {
"""
JAVA_MENDS = (
    *CLOSED_JAVA_MENDS,
    # `predictDeterministic(observation, null)` names the headers, of which there are none then.
    Mend(API, HEADERS, GIVEN, 2),
    # This read as if the service had refused, with 400.
    Mend(API, MISSING, INCOMPLETE),
    # What these made had no credentials.
    Mend(API, ANONYMOUS, ""),
    Mend(API, "import {{invokerPackage}}.Configuration;\n", ""),
    # These could be called by everybody, and gave clients without credentials, time or retries.
    Mend(CORE, "  public ApiClient(CloseableHttpClient", "  ApiClient(CloseableHttpClient"),
    Mend(CORE, "  public ApiClient() {", "  ApiClient() {"),
    # Its libraries call these deprecated; users may compile with warnings as errors. How long a
    # connection may take says the client, in `Shared`.
    Mend(CORE, ".setSerializationInclusion(", ".setDefaultPropertyInclusion("),
    Mend(CORE, CONNECT_TIMEOUT, ""),
    Mend(CORE, EXECUTED, OPENED),
    # Errors are a sentence; this printed all headers and the body.
    Mend(ERROR, EVERYTHING, ""),
    Mend(BASE, BASE_ANONYMOUS, ""),
)
