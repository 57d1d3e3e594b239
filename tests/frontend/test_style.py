"""The look of the page: its one row, its states, colours of the system, and what is drawn again."""

import ast
import base64
import re
from collections.abc import Iterator, Sequence

import pytest
from playwright.sync_api import Browser, WebSocket, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from policy_server.contract.dependence import groups_of
from policy_server.frontend.service import Service
from tests.support.axe import serious
from tests.support.browser import watched_page
from tests.support.server import PASSWORD, ROOT, USER, Server
from tests.support.visitor import Frontend, Visitor, visitor

STATES = {"info", "warning", "error", "success", "badge"}
MOST_PIXELS = 80
"""Of the row on top, with what lies above it."""
COLOUR = "each => getComputedStyle(each).backgroundColor"


def stateless() -> Iterator[str]:
    """Calls that show a state by its colour alone."""
    for file in (ROOT / "policy_server" / "frontend").rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            is_state = ast.unparse(call.func.value) == "st" and call.func.attr in STATES
            if is_state and "icon" not in {each.arg for each in call.keywords}:
                yield f"{file.name}:{call.lineno}"


def test_every_state_is_an_icon_too() -> None:
    assert [*stateless()] == []


def test_one_row_says_where_who_what_decides_and_the_decision_is_the_largest(
    browser: Browser, front: Frontend, lpoc_server: Server, lpoc_service: Service
) -> None:
    with visitor(browser, front, viewport={"width": 1280, "height": 900}) as guest:
        guest.connect(lpoc_server)
        head = guest.page.locator(".st-key-head").first
        version = lpoc_server.get("health/ready").json()["version"]
        for told in (lpoc_service.client.url, f"{USER}, role manage", f"version {version} decides"):
            expect(head).to_contain_text(told)
        place = head.bounding_box()
        assert place is not None
        assert place["y"] + place["height"] <= MOST_PIXELS
        guest.press("Decide")
        size = "each => parseFloat(getComputedStyle(each).fontSize)"
        title, decision = (
            guest.page.locator(each).evaluate(size) for each in ("h1", ".st-key-decision h2")
        )
        assert title < decision


def test_the_form_has_one_column_marks_and_what_depends_on_one_another_together(
    browser: Browser, front: Frontend, lpoc_server: Server, lpoc_service: Service
) -> None:
    fields = lpoc_service.schema.fields
    (first, together, *others) = groups_of(fields, [*fields])
    assert (first, others) == (["id"], [["has_core"], ["target"]])
    assert together[:3] == ["coordinates", "has_left_neighbour", "is_left_free"]
    assert {*first, *together, "has_core", "target"} == {*fields}
    with visitor(browser, front) as guest:
        guest.connect(lpoc_server)
        guest.sees("These depend on one another.")
        boxes = guest.page.locator(".st-key-fields").get_by_role("checkbox")
        names = [box.get_attribute("aria-label") or "" for box in boxes.all()]
        assert [name.split(":")[0] for name in names[:2]] == ["has_left_neighbour*", "is_left_free"]
        controls = guest.page.locator(".st-key-fields [data-testid=stCheckbox]").all()
        tops = [box["y"] for box in (each.bounding_box() for each in controls) if box]
        assert len(tops) == len(names) == 9
        assert sorted(set(tops)) == tops


def test_colours_of_the_system_show_what_is_chosen(
    browser: Browser, front: Frontend, lpoc_server: Server
) -> None:
    with visitor(browser, front, forced_colors="active") as guest:
        guest.connect(lpoc_server)
        box = "[data-testid=stCheckbox] label{} > div:first-of-type"
        chosen, left = (
            guest.page.locator(box.format(each)).first.evaluate(COLOUR)
            for each in ("[data-selected]", ":not([data-selected])")
        )
        assert chosen != left
        way = guest.page.get_by_role("radio", name="Sample")
        other = guest.page.get_by_role("radio", name="Most probable")
        assert way.evaluate(COLOUR) == chosen != other.evaluate(COLOUR)
        border = "each => getComputedStyle(each).borderBottomStyle"
        tabs = (guest.page.get_by_role("tab", name=each) for each in ("Decide", "Picture"))
        assert [tab.evaluate(border) for tab in tabs] == ["solid", "none"]


READABLE = 4.5
"""The contrast of text that the guidelines of the web ask for."""
INK = re.compile(r'<text [^>]*fill="#([0-9a-f]{6})"')


def contrast(one: Sequence[int], two: Sequence[int]) -> float:
    """Of two colours, as WCAG 2 has it."""
    bright, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def luminance(colour: Sequence[int]) -> float:
    shares = [each / 255 for each in colour]
    linear = [
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in shares
    ]
    return sum(part * each for part, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(("system", "theme"), [("dark", "light"), ("light", "dark")])
def test_a_drawing_stays_readable_on_colours_of_the_system(
    browser: Browser, front: Frontend, tuple_server: Server, system: str, theme: str
) -> None:
    url = f"{front.url}/?embed_options={theme}_theme"
    themed = Frontend(front.process, url, front.server_port, front.log)
    with visitor(browser, themed, forced_colors="active", color_scheme=system) as guest:
        guest.connect(tuple_server)
        guest.turn_to("Episodes")
        guest.page.get_by_text("Played here", exact=True).click()
        guest.settle()
        guest.press("Play in the environment")
        drawing = guest.page.get_by_role("img", name="Before step 1: In the room").first
        source = drawing.get_attribute("src") or ""
        svg = base64.b64decode(source.partition(",")[2]).decode()
        inks = {tuple(bytes.fromhex(each)) for each in INK.findall(svg)}
        paper = re.fullmatch(r"rgb\((\d+), (\d+), (\d+)\)", drawing.evaluate(COLOUR))
        assert paper is not None, "its paper is its own, and opaque"
        assert inks
        for ink in inks:
            assert contrast(ink, [*map(int, paper.groups())]) >= READABLE


def test_where_there_is_nothing_to_compare_a_button_leads_on(
    browser: Browser, front: Frontend, certain_service: Service
) -> None:
    with visitor(browser, front) as guest:
        for field, text in (
            ("Address", certain_service.client.url),
            ("User", USER),
            ("Password", PASSWORD),
        ):
            guest.fill(field, text)
        guest.press("Connect")
        guest.turn_to("Compare")
        guest.sees("There is one version to look at")
        assert serious(guest) == []
        guest.press("Upload another")
        guest.sees("Upload a policy")


@pytest.fixture
def drawn(
    browser: Browser, front: Frontend, lpoc_server: Server
) -> Iterator[tuple[Visitor, list[ForwardMsg]]]:
    """A connected visitor, and what the front-end sends to the page, as it comes."""
    messages: list[ForwardMsg] = []

    def keep(frame: bytes | str) -> None:
        assert isinstance(frame, bytes)
        messages.append(ForwardMsg.FromString(frame))

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", keep)

    with watched_page(browser) as page:
        page.on("websocket", listen)
        guest = Visitor(page, front.url)
        guest.connect(lpoc_server)
        yield guest, messages


def kinds(messages: list[ForwardMsg]) -> set[str | None]:
    """What was drawn."""
    return {
        each.delta.new_element.WhichOneof("type")
        for each in messages
        if each.WhichOneof("type") == "delta"
    }


def test_what_is_decided_is_drawn_without_the_form(
    drawn: tuple[Visitor, list[ForwardMsg]],
) -> None:
    guest, messages = drawn
    messages.clear()
    guest.press("Decide")
    assert guest.decision()
    assert {"button", "number_input"} <= kinds(messages)  # the seed is beside the button
    assert "checkbox" not in kinds(messages)
    messages.clear()
    guest.press("Random valid observation")
    assert "checkbox" in kinds(messages)


def test_a_number_that_is_typed_right_before_the_click_is_decided_on(
    drawn: tuple[Visitor, list[ForwardMsg]],
) -> None:
    guest, _ = drawn
    for number in ("7", "2", "9"):
        guest.page.get_by_role("spinbutton", name="id").fill(number)
        guest.button("Decide").click()
        guest.settle()
        assert guest.decision()  # which is shown only where it was made from the form
        assert f'"id": {number}' in guest.page.locator("[data-testid=stCode]").first.inner_text()
