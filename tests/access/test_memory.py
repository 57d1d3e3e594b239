"""What was accepted is remembered as long as it is used, in bounded memory."""

from hypothesis import given
from hypothesis import strategies as st

from policy_server.access.failures import MOST_COUNTS, OF_ONE, Failures
from policy_server.access.memory import Memory

MOST = 8


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=200))
def test_what_was_used_lately_is_remembered_and_nothing_else_is_recalled(
    steps: list[tuple[bool, int]],
) -> None:
    memory: Memory[int] = Memory(MOST)
    used: list[int] = []
    for remembers, number in steps:
        text = f"text {number}".encode()
        if remembers:
            memory.remember(text, number)
        found = memory.recall(text)
        assert found == number if remembers else found in (None, number)
        if found is not None:
            used = [*(each for each in used if each != number), number]
    for number in used[-MOST:]:
        assert memory.recall(f"text {number}".encode()) == number
    assert sum(memory.recall(f"text {n}".encode()) is not None for n in range(41)) <= 2 * MOST
    memory.forget()
    assert memory.recall(f"text {used[-1] if used else 0}".encode()) is None


def test_failures_slow_down_their_address_and_nobody_else() -> None:
    failures = Failures()
    said = [failures.add("203.0.113.5", "alice") for _ in range(int(OF_ONE.free) + 3)]
    assert said == [True] * int(OF_ONE.free) + [False] * 3
    assert failures.wait("203.0.113.5", "alice") > 0
    assert failures.wait("203.0.113.5", "bob") == 0
    assert failures.wait("203.0.113.5", "") == 0
    assert failures.wait("203.0.113.6", "alice") == 0
    failures.forgive("203.0.113.5", "alice")
    assert failures.wait("203.0.113.5", "alice") == 0


def test_who_guesses_at_everybody_is_slowed_down_too() -> None:
    failures = Failures()
    for number in range(100):
        failures.add("203.0.113.5", f"user {number}")
    assert failures.wait("203.0.113.5", "alice") > 0
    assert failures.wait("203.0.113.6", "alice") == 0


def test_an_account_under_attack_leaves_each_address_its_first_try_and_less_after_it() -> None:
    failures = Failures()
    for number in range(200):
        failures.add(f"198.51.100.{number}", "alice")
    assert failures.wait("203.0.113.5", "alice") == 0
    for _ in range(2):
        failures.add("203.0.113.5", "alice")
    assert failures.wait("203.0.113.5", "alice") > 0
    assert failures.wait("203.0.113.5", "bob") == 0


def test_a_customer_with_many_addresses_is_one() -> None:
    failures = Failures()
    for number in range(20):
        failures.add(f"2001:db8::{number:x}", "alice")
        failures.add(f"::ffff:203.0.113.{number}", "carol")
    assert failures.wait("2001:db8::ffff", "alice") > 0
    assert failures.wait("2001:db8:0:1::1", "alice") == 0
    assert failures.wait("::ffff:203.0.113.77", "carol") == 0
    assert failures.wait("no address", "alice") == 0


def test_memory_of_failures_is_bounded() -> None:
    failures = Failures()
    for number in range(MOST_COUNTS + 100):
        failures.add(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", f"user {number}")
    counts = (failures._ones, failures._addresses, failures._accounts)
    assert {len(each._counts) for each in counts} == {MOST_COUNTS}
