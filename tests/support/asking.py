"""Clients that ask a tiny policy without pause, as those of a busy server do."""

import threading
import time
from dataclasses import dataclass, field

import requests

from tests.support.server import PASSWORD, USER, Server

CLIENTS = 6
PAUSE_SECONDS = 0.02


@dataclass
class Clients:
    """Clients that ask without pause, half of them by a new connection for each request.

    Attributes:
        seconds: What each request by a new connection took.
        lost: What went wrong.
    """

    server: Server
    seconds: list[float] = field(default_factory=list)
    lost: list[object] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Clients":
        self._threads = [
            threading.Thread(target=self._ask, args=(at % 2 == 0,)) for at in range(CLIENTS)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, kept: bool) -> None:
        session = requests.Session()
        ask = session.post if kept else requests.post
        while not self.over.wait(PAUSE_SECONDS):
            began = time.perf_counter()
            try:
                answer = ask(
                    f"{self.server.url}/predict",
                    json={"warmth": 20.0},
                    auth=(USER, PASSWORD),
                    timeout=60,
                )
                if answer.status_code != 200:
                    self.lost.append(answer.text)
            except requests.RequestException as error:
                self.lost.append(error)
            if not kept:
                self.seconds.append(time.perf_counter() - began)
