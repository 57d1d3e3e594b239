"""What is asked of the SDKs of every engine, and what the server itself answers to that."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policy_server.clients.names import identifiers
from policy_server.contract.fields.bounded import Bounded
from tests.clients.asking import FEW, observations, own_answer, step
from tests.clients.conftest import Drive, Results, Service, Step, clients_of
from tests.clients.episodes import forged, refused_between, shared, taken_again, taking_turns
from tests.clients.fault_suite import FAULTS, SERVICE, client_of
from tests.clients.faults import Misbehaving
from tests.clients.secured import CLIENTS, Secured
from tests.clients.strangers import REDIRECTS, Stranger, answering, losing, pointing_to
from tests.support.server import PASSWORD, USER

ACCEPTED = ("user", "key", "token")
"""Clients whose credentials are right, by what these are."""
AT_ONCE = 200
"""Decisions that are asked for at the same time."""
USER_OF = {"user": USER, "password": PASSWORD}
VERSION = "policy_version"


def predict_steps(service: Service) -> dict[str, list[Step]]:
    """The part of the suite that asks for decisions, by name."""
    given = observations(service)
    return {
        "predict": [step("predict", observation=each, seed=i) for i, each in enumerate(given)],
        "deterministic": [step("predict_deterministic", observation=each) for each in given[:FEW]],
        "distribution": [step("distribution", observation=each) for each in given[:FEW]],
        "batch": [step("predict_batch", observations=given, seed=3)],
    }


def own_answers(service: Service, steps: list[Step]) -> list[Any]:
    """What the server answers to steps that ask for decisions, without any SDK."""
    return [
        own_answer(
            service,
            each["do"],
            each.get("observation") or {"observations": each["observations"]},
            **({"seed": each["seed"]} if "seed" in each else {}),
        )
        for each in steps
    ]


def by_name(suite: Mapping[str, list[Step]], results: Results) -> dict[str, Results]:
    """The results of all steps of a suite, one after the other, by the names of the steps."""
    taken = iter(results)
    return {name: [next(taken) for _ in steps] for name, steps in suite.items()}


def without_version(answers: list[Any]) -> list[Any]:
    """Answers as the server gives them; our clients add the version that decided."""
    return [
        {name: value for name, value in answer.items() if name != VERSION} for answer in answers
    ]


def answered(results: Results) -> list[Any]:
    assert [result for result in results if "ok" not in result] == []
    return [result["ok"] for result in results]


def invalid(service: Service) -> tuple[dict[str, Any], str]:
    """An observation with one number out of bounds, and the pointer to it."""
    example = dict(service.schema.example() or {})
    name, maximum = next(
        (name, field.maximum)
        for name, field in service.schema.fields.items()
        if isinstance(field, Bounded) and field.maximum is not None
    )
    return {**example, name: maximum + 1}, f"/{name}"


@dataclass(frozen=True)
class Taken:
    """What came of a whole suite of steps, by their name, and what other servers saw of it."""

    results: dict[str, Results]
    silent: Stranger
    elsewhere: Stranger
    pointing: Stranger
    faulty: Mapping[str, Misbehaving]
    secured: Secured | None


def misspelt(service: Service, *, camel: bool = False) -> list[dict[str, Any]]:
    """Observations with one field too many: what each field is nearly called, in two ways."""
    example = dict(service.schema.example() or {})
    names = identifiers(service.schema.fields, camel=camel)
    spelt = {names[name]: value for name, value in example.items()}
    last = list(names.values())[-1]
    known = {*spelt, *names.values(), *service.schema.fields}
    return [{**spelt, name: True} for name in (f"{last}x", last[:-1]) if name not in known]


def unknown_field(service: Service) -> dict[str, Any]:
    return {**(service.schema.example() or {}), "unknown_field": True}


def read_steps(service: Service) -> list[Step]:
    """Steps with an observation of one field too many, which is read from JSON."""
    unknown = unknown_field(service)
    return [
        *(step(asked, "stranger", observation=unknown) for asked in ("predict", "distribution")),
        step("predict_batch", "stranger", observations=[service.schema.example(), unknown]),
    ]


def made_steps(service: Service, language: str) -> list[Step]:
    """The same, made in code: the last field of each is the one too many."""
    example, unknown = service.schema.example(), unknown_field(service)
    # In Java and Scala no other field can be spelt; what is left is to read JSON.
    in_code = language in ("python", "r", "typescript")
    named = misspelt(service, camel=language == "typescript") if in_code else [unknown]
    steps = [step("construct", "stranger", observation=each) for each in named]
    if language == "python":
        steps.append(step("change", "stranger", observation=example, update=unknown))
    return steps


def usual_steps(service: Service, language: str, wrong: object) -> dict[str, list[Step]]:
    """Steps for which only some clients have the URL of a stranger.

    Args:
        service: Is asked.
        language: Of the client.
        wrong: An observation that the schema refuses.
    """
    example = service.schema.example()
    return {
        **predict_steps(service),
        "empty": [step("predict_batch", observations=[])],
        "schema": [step("schema")],
        "credentials": [
            step("predict", client, observation=example, seed=1) for client in ("key", "token")
        ],
        "renewed": [step("predict", "renewing", observation=example, seed=1) for _ in range(2)],
        "wrong password": [step("predict", "wrong", observation=example)],
        "invalid": [step("predict", observation=wrong)],
        "wrong width": [step("predict_raw", obs=[0.5])],
        "episodes": taking_turns(service),
        "shared episode": shared(service),
        "lost answers": taken_again(service, "lossy"),
        "refused in between": refused_between(service, wrong),
        "forged": forged(service),
        "nowhere": [step("predict", "nowhere", observation=example)],
        "unknown, read": read_steps(service),
        "unknown, made": made_steps(service, language),
        "at the same time": [step("versions_of", "newer", observation=example, count=AT_ONCE)],
    }


def redirected_steps(example: object, file: str) -> dict[str, list[Step]]:
    """Steps with a server that points elsewhere."""
    return {
        f"redirected {client}": [
            step("predict", f"{client} elsewhere", observation=example),
            step("schema", f"{client} elsewhere"),
            step("upload_output_mapper", f"{client} elsewhere", file=file),
        ]
        * len(REDIRECTS)
        for client in ACCEPTED
    }


def take_all(drive: Drive, service: Service, language: str, folder: Path) -> Taken:
    """Take the steps of the suite that change nothing on the server."""
    wrong, _ = invalid(service)
    example = service.schema.example()
    answer = own_answer(service, "predict", example)
    silent, elsewhere = answering({}), answering(answer)
    pointing = pointing_to(elsewhere.url)
    # A newer server says more than this client knows.
    newer = answering({**answer, "later": {"more": [1]}, "policy": None})
    lossy = losing(service.server.url)
    others = {
        "stranger": {**USER_OF, "url": silent.url},
        "newer": {**USER_OF, "url": newer.url},
        "lossy": {**USER_OF, "url": lossy.url},
        **{f"{name} elsewhere": given for name, given in clients_of(pointing.url).items()},
    }
    file = folder / "output_mapper.yaml"
    file.write_text("{}")
    met = FAULTS if service.name == SERVICE else ()
    faulty = {name: Misbehaving(FAULTS[name].behaviour(answer)) for name in met}
    others |= {client_of(name): FAULTS[name].client(server) for name, server in faulty.items()}
    secured = secured_for(service, folder)
    others |= secured.clients() if secured is not None else {}
    suite = {
        **usual_steps(service, language, wrong),
        **redirected_steps(example, str(file)),
        **{client_of(name): FAULTS[name].steps(name, example, str(file)) for name in faulty},
        **{
            client: [step("predict", client, observation=example, seed=1)]
            for client in (CLIENTS if secured is not None else ())
        },
    }
    steps = [each for steps in suite.values() for each in steps]
    with contextlib.ExitStack() as stack:
        for stranger in (silent, elsewhere, pointing, newer, lossy):
            stack.enter_context(stranger.serving())
        for server in faulty.values():
            stack.enter_context(server.serving())
        if secured is not None:
            stack.enter_context(secured.serving())
        results = drive(service, steps, others=others)
    return Taken(by_name(suite, results), silent, elsewhere, pointing, faulty, secured)


def secured_for(service: Service, folder: Path) -> Secured | None:
    """What clients must reach by TLS and a proxy; None for the SDKs of other services."""
    if service.name != SERVICE:
        return None
    return Secured(folder, service.server.port)
