"""Memories of episodes: no text but one that was written is ever gone on with."""

from policy_server.errors import MemoryRefused
from policy_server.serving.memory_tokens import Episode, MemoryTokens
from tests.fuzz.target import Target

NOW, SECONDS = 1_000_000.0, 60
KEY, CONTRACT = b"a key that signs the fuzzed tokens", "00112233445566ff"
TOKENS = MemoryTokens(KEY, CONTRACT, SECONDS, lambda: NOW)
EPISODES = {
    "begun": Episode("3-5f0c9a2e", 1, int(NOW) - 1, b"n" * 16, b""),
    "long": Episode("12-00000000", 4_000_000_000, int(NOW) - 59, bytes(16), bytes(range(256)) * 8),
    "odd": Episode("1-a", 0, int(NOW), b"\xff" * 16, b"\x00\x00\x80\x3f"),
    "odder": Episode("1-ab", 7, int(NOW), b"\x01" * 16, b""),
}
WRITTEN = {TOKENS.write(episode): episode for episode in EPISODES.values()}


def memory(content: bytes) -> bool:
    """A text is refused, or was written: then it is read as it was written."""
    text = content.decode("utf-8", "surrogateescape")
    try:
        episode = TOKENS.read(text)
    except MemoryRefused as error:
        faults = error.faults
    else:
        assert WRITTEN[text] == episode
        return True
    assert len(faults) == 1
    assert text not in WRITTEN
    return False


def writer(tokens: MemoryTokens, name: str) -> bytes:
    """A seed: an episode as other servers write it, or another time."""
    return tokens.write(EPISODES[name]).encode()


TARGETS = {
    "memory": Target(
        memory,
        {
            **{name: writer(TOKENS, name) for name in EPISODES},
            "forged": writer(MemoryTokens(b"another key", CONTRACT, SECONDS), "long"),
            "foreign": writer(MemoryTokens(KEY, CONTRACT[::-1], SECONDS), "long"),
            "expired": TOKENS.write(EPISODES["begun"]._replace(began=int(NOW) - SECONDS)).encode(),
        },
        ("-", "_", "=", "+", "/", "AAAA", "____"),
        share=10,
    )
}
