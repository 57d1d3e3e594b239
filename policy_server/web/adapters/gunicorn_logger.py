"""gunicorn's own lines, in the one log."""

import logging
from typing import Any

from gunicorn.glogging import Logger

from policy_server.logs.process_log import Rendered, current_log

OWN_CONFIGURATION = ("logconfig", "logconfig_dict", "logconfig_json")


class ProcessLogger(Logger):  # type: ignore[misc]  # untyped
    """Tells what gunicorn and uvicorn have to say to the log of this process.

    Files that gunicorn was told to write (`--error-logfile`, `--access-logfile`) get lines of the
    same form. Who configures Python's logging (`--log-config`) gets what they configured.
    """

    def setup(self, cfg: Any) -> None:
        """Begin, or go on after a reload."""
        super().setup(cfg)
        log = current_log()
        if log is None or any(getattr(cfg, name) for name in OWN_CONFIGURATION):
            return
        log.output.open()  # gunicorn may have given standard error another place
        kept = [each for each in self.error_log.handlers if _is_kept(each)]
        self.error_log.handlers[:] = kept if cfg.errorlog != "-" else [log, *kept]
        for handler in (*kept, *self.access_log.handlers):
            handler.setFormatter(Rendered(log))

    def reopen_files(self) -> None:
        """Write to new files from now on (SIGUSR1)."""
        super().reopen_files()
        log = current_log()
        if log is not None:
            log.output.open()


def _is_kept(handler: logging.Handler) -> bool:
    """Whether a handler writes elsewhere than to standard error."""
    is_log = hasattr(handler, "line_of")  # be it that of the program before a reload
    return not is_log and type(handler) is not logging.StreamHandler
