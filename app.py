"""The application: `python app.py`, `gunicorn app:app`."""

import api
from policy_server.app.assembly import app_or_exit
from policy_server.app.development import serve

app = app_or_exit(api)


def main(host: str | None = None, port: int | None = None) -> None:
    """Run the development server.

    Args:
        host: Address to listen on, instead of HOST.
        port: Port to listen on, instead of PORT.
    """
    serve(app, host, port)


if __name__ == "__main__":
    import fire  # a worker of gunicorn, which has no command line, starts sooner without

    fire.Fire(main)
