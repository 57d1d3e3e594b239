"""What a server said when it did not do what it was asked for, as errors of the page."""

from typing import Any

import requests

from policy_server.errors import (
    Difference,
    DifferingCase,
    Fault,
    RequestFailed,
    SchemaChanged,
)

Json = dict[str, Any]
OUTDATED = "/problems/made-for-another-schema"
"""Type of the problem of a request that was made for another schema and does not fit this one."""


def json_of(answer: requests.Response, url: str) -> Json:
    """The JSON object of an answer; raises RequestFailed where it is none."""
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise RequestFailed(f"{url} answers, but not as a policy server does.")
    return document


def refusal_of(answer: requests.Response, url: str) -> RequestFailed:
    """What a server said when it did not do what it was asked for."""
    status = answer.status_code
    try:
        problem = answer.json()
        detail, errors = str(problem["detail"]), problem.get("errors", ())
        faults = [Fault(str(each["pointer"]), str(each["detail"])) for each in errors]
        cases = [differing_case(each) for each in problem.get("cases", ())]
    except (ValueError, KeyError, TypeError, AttributeError):
        return RequestFailed(
            f"{url} answers with status {status}, but not as a policy server does.", status=status
        )
    if status == 401:
        return RequestFailed(
            "The server does not accept these credentials: check user and password, the key, "
            "or the token, which may have expired.",
            status=status,
        )
    if problem.get("type") == OUTDATED:
        raise SchemaChanged(f"{url} has another schema now.", faults)
    if faults:
        # The detail repeats the first of them.
        summary = detail.partition(f" {faults[0]}")[0]
        return RequestFailed(summary, faults, status, cases)
    return RequestFailed(detail, status=status)


def differing_case(case: Json) -> DifferingCase:
    """A golden case with which something does not agree, of the JSON that tells of it.

    Raises KeyError, TypeError where it is not as the contract says.
    """
    differences = [
        Difference(str(each["field"]), str(each["recorded"]), str(each["found"]))
        for each in case["differences"]
    ]
    return DifferingCase(str(case["place"]), differences, str(case.get("observation", "")))
