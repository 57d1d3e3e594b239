"""What the adapters rely on in other libraries beyond what these document."""

from policy_server.web.adapters.library import Library

UVICORN_PROTOCOL = Library(
    "uvicorn",
    "0.54",
    {
        "uvicorn.protocols.http.flow_control": (
            "HIGH_WATER_LIMIT",
            "FlowControl.pause_reading",
            "FlowControl.resume_reading",
            "FlowControl.read_paused",
            "FlowControl.write_paused",
        ),
        "uvicorn.protocols.http.httptools_impl": (
            "STATUS_LINE",
            "HttpToolsProtocol._unset_keepalive_if_required",
            "HttpToolsProtocol.access_log",
            "HttpToolsProtocol.app",
            "HttpToolsProtocol.app_state",
            "HttpToolsProtocol.client",
            "HttpToolsProtocol.connections",
            "HttpToolsProtocol.cycle",
            "HttpToolsProtocol.expect_100_continue",
            "HttpToolsProtocol.flow",
            "HttpToolsProtocol.headers",
            "HttpToolsProtocol.loop",
            "HttpToolsProtocol.on_body",
            "HttpToolsProtocol.on_headers_complete",
            "HttpToolsProtocol.on_message_begin",
            "HttpToolsProtocol.on_message_complete",
            "HttpToolsProtocol.on_response_complete",
            "HttpToolsProtocol.parser",
            "HttpToolsProtocol.root_path",
            "HttpToolsProtocol.scope",
            "HttpToolsProtocol.server_state",
            "HttpToolsProtocol.shutdown",
            "HttpToolsProtocol.timeout_keep_alive",
            "HttpToolsProtocol.timeout_keep_alive_handler",
            "HttpToolsProtocol.timeout_keep_alive_task",
            "HttpToolsProtocol.transport",
            "HttpToolsProtocol.url",
            "RequestResponseCycle.disconnected",
            "RequestResponseCycle.keep_alive",
            "RequestResponseCycle.message_event",
            "RequestResponseCycle.response_complete",
            "RequestResponseCycle.response_started",
        ),
        "uvicorn.middleware.proxy_headers": (
            "ProxyHeadersMiddleware.trusted_hosts",
            "_TrustedHosts.get_trusted_client_address",
        ),
        "uvicorn.server": ("ServerState.default_headers", "ServerState.total_requests"),
    },
)
"""Of the HTTP protocol, which reads requests in uvicorn's stead."""

HTTPTOOLS = Library("httptools", "0.9", {"httptools": ("HttpParserError",)})
"""What uvicorn's protocol raises of a target that is none."""

UVICORN_SERVER = Library(
    "uvicorn",
    "0.54",
    {
        "uvicorn.config": (
            "Config.app",
            "Config.backlog",
            "Config.headers",
            "Config.encoded_headers",
            "Config.http",
            "Config.http_protocol_class",
            "Config.is_ssl",
            "Config.ssl",
            "Config.ssl_context_factory",
            "Config.timeout_graceful_shutdown",
        ),
        "uvicorn.server": (
            "Server.force_exit",
            "Server.lifespan",
            "Server.on_tick",
            "Server.server_state",
            "Server.servers",
            "Server.should_exit",
            "Server.started",
            "Server.startup",
            "ServerState.connections",
            "ServerState.default_headers",
            "ServerState.total_requests",
        ),
    },
)
"""Of the server, which the worker keeps open for a while before it stops."""

UVICORN_WORKER = Library(
    "uvicorn-worker",
    "0.4",
    {
        "uvicorn_worker": (
            "UvicornWorker.CONFIG_KWARGS",
            "UvicornWorker._install_sigquit_handler",
            "UvicornWorker._serve",
            "UvicornWorker.config",
        )
    },
)
GUNICORN = Library(
    "gunicorn",
    "27.0",
    {
        "gunicorn.glogging": ("Logger.error_log", "Logger.reopen_files", "Logger.setup"),
        "gunicorn.workers.base": (
            "Worker.cfg",
            "Worker.load_wsgi",
            "Worker.log",
            "Worker.max_requests",
            "Worker.notify",
            "Worker.ppid",
            "Worker.sockets",
            "Worker.wsgi",
        ),
        "gunicorn.arbiter": (
            "Arbiter.SIG_QUEUE",
            "Arbiter.START_CTX",
            "Arbiter.WORKERS",
            "Arbiter.app",
            "Arbiter.kill_worker",
            "Arbiter.manage_workers",
            "Arbiter.master_pid",
            "Arbiter.murder_workers",
            "Arbiter.reap_workers",
            "Arbiter.reexec_pid",
            "Arbiter.reload",
            "Arbiter.setup",
            "Arbiter.systemd",
        ),
    },
)

ROUTING, CONTEXT = "connexion_routing", "connexion_context"
"""Where connexion notes operation and client of a request, in the extensions of the scope."""
CONNEXION_ROUTING = Library(
    "connexion",
    "3.3",
    {
        "connexion.middleware.abstract": ("ROUTING_CONTEXT",),
        "connexion.middleware.routing": ("RoutingOperation.operation_id",),
        "connexion.middleware": (
            "MiddlewarePosition.BEFORE_SWAGGER",
            "MiddlewarePosition.BEFORE_VALIDATION",
        ),
        "connexion.lifecycle": ("ConnexionRequest.context",),
    },
)
"""Of routing: which operation a request is for. Roles and limits of size are kept by it."""

CONNEXION_VALIDATION = Library(
    "connexion",
    "3.3",
    {
        "connexion.datastructures": ("MediaTypeDict",),
        "connexion.validators": (
            "JSONRequestBodyValidator._encoding",
            "JSONRequestBodyValidator._schema",
            "JSONRequestBodyValidator.wrap_receive",
            "MultiPartFormDataValidator._parse",
            "MultiPartFormDataValidator._schema",
            "ParameterValidator.validate_parameter",
            "ParameterValidator.validate_parameter_list",
            "ParameterValidator.validate_query_parameter",
        ),
    },
)
"""Of validation, which lists every fault in sentences and reads long bodies in a thread."""
