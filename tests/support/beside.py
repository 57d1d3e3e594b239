"""Work that is done in a thread beside a test."""

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def beside(work: Callable[[], None], over: threading.Event) -> Iterator[None]:
    """Do something in a thread while the block runs; `over` tells it that the block has ended."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
