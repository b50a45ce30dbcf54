"""The whole story in a real browser: what a person sees, presses and is told."""

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from stead.identity.samples import ALICE, BANK_NAME
from tests.chromium import chromium
from tests.journeys.finport import FinPort
from tests.journeys.visit import NARROW, Visit, origin, visit

TRANSFER = "Transfer 250 EUR to Bob's savings"
TREND = "How will AAPL and MSFT trend, and what are they worth in my portfolio?"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as one:
        yield one


async def test_a_chip_shows_plan_answer_and_every_hop_of_a_portfolio(browser: Browser, finport: FinPort) -> None:
    async with visit(browser, finport, "alice") as alice:
        turn = await _press_chip(alice, "Show my portfolio")
        await expect(turn.get_by_test_id("plan-step")).to_have_count(1)
        await expect(turn.get_by_test_id("plan-step")).to_contain_text("on behalf of Alice")
        await expect(turn.get_by_test_id("plan-step")).to_have_attribute("data-state", "done")
        await expect(turn.get_by_role("row")).to_have_count(7)
        await expect(turn.get_by_test_id("holdings-total")).to_have_text("47\u202f396.47")
        hops = await alice.hops(3)
        assert [hop["grant"] for hop in hops] == ["login", "obo", "obo"]
        assert {hop["decision"] for hop in hops} == {"allow"}
        await expect(alice("trail-row")).to_have_count(3)


async def test_the_claims_view_says_what_differs_from_the_hop_before(browser: Browser, finport: FinPort) -> None:
    async with visit(browser, finport, "alice") as alice:
        await alice.ask("Show my portfolio")
        await alice.hops(3)
        await alice("trail-hop").nth(2).click()
        claims, different = alice("claims-view"), alice("differences")
        await expect(claims).to_contain_text("Different from hop 2")
        for line in (
            "same person, Alice Moreau",
            "actor portfolio-agent acts now",
            "broker moves into the history",
            "audience is Holdings",
            "scope holdings:read",
            "scope portfolio:read stays behind",
        ):
            await expect(different.get_by_text(line, exact=True)).to_be_visible()
        await expect(claims).to_contain_text("history, for audit only")
        await expect(claims).to_contain_text(finport.urls["mcp_servers"]["holdings"])


async def test_forecasts_arrive_with_their_method_and_no_person_travels_for_them(
    browser: Browser, finport: FinPort
) -> None:
    async with visit(browser, finport, "alice") as alice:
        turn = await alice.ask(TREND)
        await expect(turn.get_by_test_id("forecast")).to_have_count(2)
        await expect(turn.get_by_test_id("method")).to_contain_text("trend of the last 60 closes")
        await expect(turn.get_by_test_id("holdings-total")).to_be_visible()
        await alice.grants(["login", "obo", "obo", "s2s", "s2s"])
        services = alice.page.locator('[data-testid="trail-hop"][data-grant="s2s"]')
        for index in range(await services.count()):
            await expect(services.nth(index)).not_to_contain_text("Alice")
            await expect(services.nth(index).locator(".carried")).to_have_count(0)


async def test_a_transfer_is_approved_at_the_bank_and_the_first_page_turns_green_by_itself(
    browser: Browser, finport: FinPort
) -> None:
    async with visit(browser, finport, "alice") as alice:
        turn = await alice.ask(TRANSFER)
        await _is_an_approval_of_250_euro(turn, finport)
        await expect(alice("trail-waits")).to_contain_text(f"waits for Alice's approval at {BANK_NAME}")
        loads: list[str] = []
        alice.page.on("load", lambda page: loads.append(page.url))
        final = await _approve_from(alice, turn, ALICE.accounts[1].name)
        await expect(final.get_by_role("heading", level=1)).to_have_text(f"{BANK_NAME} confirmed")
        assert await final.locator("main").inner_text() == await _without_symbols(final)
        receipt = turn.get_by_test_id("receipt")
        await expect(receipt).to_contain_text("Paid")
        await expect(receipt).to_contain_text(_grouped(ALICE.accounts[1].iban))
        await expect(turn.get_by_test_id("approval-card")).to_have_count(0)
        await expect(turn.get_by_test_id("plan-step")).to_have_attribute("data-state", "done")
        assert loads == []
        await alice.grants(["login", "obo", "in-task"])
        await expect(alice("claims-view")).to_contain_text("as the bank knows Alice")


async def test_declining_on_the_card_ends_it_and_the_link_is_dead(browser: Browser, finport: FinPort) -> None:
    async with visit(browser, finport, "alice") as alice:
        turn = await alice.ask("Transfer 20 EUR to Carol")
        link = await turn.get_by_test_id("approval-open").get_attribute("href")
        assert link is not None
        await turn.get_by_test_id("approval-decline").click()
        await expect(turn.get_by_test_id("answer-refused")).to_contain_text("Alice Moreau declined")
        await expect(turn.get_by_test_id("answer-refused")).to_contain_text("Nothing was done.")
        await expect(turn.get_by_test_id("plan-step")).to_have_attribute("data-state", "declined")
        await expect(turn.get_by_test_id("approval-card")).to_have_count(0)
        await alice.grants(["login", "obo"])
        await expect(alice.page.locator(".hop.refused")).to_have_count(0)
        page = await alice.context.new_page()
        await page.goto(link)
        await expect(page.get_by_role("heading", level=1)).to_have_text("Declined")


async def test_a_transfer_without_the_right_is_one_red_hop_and_a_clear_sentence(
    browser: Browser, finport: FinPort
) -> None:
    async with visit(browser, finport, "bob") as bob:
        turn = await bob.ask(TRANSFER)
        refused = turn.get_by_test_id("answer-refused")
        await expect(refused).to_contain_text("Bob Lindqvist is not entitled to transfer:create.")
        await expect(refused).to_contain_text("This needs the role payer.")
        await expect(turn.get_by_test_id("approval-card")).to_have_count(0)
        hops = await bob.hops(2)
        assert [hop["decision"] for hop in hops] == ["allow", "deny"]
        red = bob.page.locator(".hop.refused")
        await expect(red).to_have_count(1)
        await expect(red).to_have_attribute("data-callee", "transfer-agent")
        await expect(red.locator(".stroke")).to_have_css("stroke", "rgb(179, 32, 26)")
        await expect(bob("refusal")).to_contain_text("not entitled")


async def test_asking_and_opening_an_approval_need_no_mouse(browser: Browser, finport: FinPort) -> None:
    async with visit(browser, finport, "alice") as alice:
        keys = alice.page.keyboard
        await _walk_to(alice.page, "chat-input", "Tab")
        await keys.type("Transfer 5 EUR to Carol")
        turn = await alice.new_turn(keys.press("Enter"))
        await turn.get_by_test_id("approval-card").wait_for()
        await expect(alice.page.get_by_role("alert")).to_contain_text("Transfer needs your approval: 5.00 EUR")
        await expect(alice("chat-input")).to_be_focused()
        await _walk_to(alice.page, "approval-open", "Shift+Tab")
        await expect(turn.get_by_test_id("approval-open")).to_have_css("outline-style", "solid")
        async with alice.context.expect_page() as opened:
            await keys.press("Enter")
        await (await opened.value).get_by_label("Password").wait_for()
        await alice.page.bring_to_front()
        await _walk_to(alice.page, "approval-decline", "Tab")
        await keys.press("Enter")
        await expect(turn.get_by_test_id("answer-refused")).to_be_visible()
        await _walk_to(alice.page, "trail-hop", "Tab")
        await keys.press("Enter")
        await expect(alice("claims-view")).to_contain_text("Hop 1: Alice to Broker")


async def test_on_a_narrow_page_the_trail_is_a_list_and_nothing_scrolls_sideways(
    browser: Browser, finport: FinPort
) -> None:
    async with visit(browser, finport, "alice", viewport=NARROW, color_scheme="dark") as alice:
        turn = await alice.ask("Show my portfolio")
        await expect(turn.get_by_test_id("holdings-total")).to_be_visible()
        await _fits(alice.page)
        await turn.get_by_test_id("show-task").click()
        hops = await alice.hops(3, "trail-item")
        assert [hop["grant"] for hop in hops] == ["login", "obo", "obo"]
        await expect(alice("trail-picture")).to_be_hidden()
        await alice("trail-item").nth(1).click()
        await expect(alice("claims-view")).to_be_in_viewport()
        await _fits(alice.page)


async def test_a_plan_waits_for_its_person_and_ends_at_once(browser: Browser, finport: FinPort) -> None:
    async with visit(browser, finport, "carol") as carol:
        await carol("plan-first").check()
        turn = await carol.ask("Show my portfolio")
        await expect(turn.get_by_test_id("plan-card")).to_contain_text("nothing has run")
        again = await carol.new_turn(turn.get_by_test_id("run-plan").click())
        await expect(again.get_by_test_id("holdings-total")).to_be_visible()


async def _press_chip(alice: Visit, words: str) -> Locator:
    """Chips fill the field; those of the empty page ask at once."""
    starter = alice("starter").filter(has_text=words)
    if await starter.count():
        return await alice.new_turn(starter.click())
    await alice("chip").filter(has_text=words).click()
    await expect(alice("chat-input")).to_have_value(words)
    return await alice.new_turn(alice("send").click())


async def _is_an_approval_of_250_euro(turn: Locator, finport: FinPort) -> None:
    await expect(turn.get_by_test_id("approval-amount")).to_have_text("250.00EUR")
    await expect(turn.get_by_test_id("approval-payee")).to_contain_text("Bob Lindqvist")
    agent, bank = finport.urls["agents"]["transfer"], finport.urls["bank_idp"]
    await expect(turn.get_by_test_id("agent-host")).to_have_text(agent.removeprefix("http://"))
    await expect(turn.get_by_test_id("bank-host")).to_have_text(bank.removeprefix("http://"))
    link = turn.get_by_test_id("approval-open")
    assert origin(await link.get_attribute("href") or "") == agent
    assert await link.get_attribute("rel") == "noopener noreferrer"


async def _approve_from(alice: Visit, turn: Locator, account: str) -> Page:
    """In a tab of its own: signs in at the bank, chooses the account, approves; the desk's last page."""
    async with alice.context.expect_page() as opened:
        await turn.get_by_test_id("approval-open").click()
    page = await opened.value
    await page.get_by_label("Password").fill(ALICE.bank_password)
    assert origin(page.url) == alice.finport.urls["bank_idp"]
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator(".amount")).to_contain_text("250")
    await expect(page.get_by_text("Bob Lindqvist")).to_be_visible()
    await page.get_by_label(account).check()
    await page.get_by_role("button", name="Approve payment").click()
    await page.wait_for_url(f"{alice.finport.urls['agents']['transfer']}/callback*")
    return page


async def _without_symbols(page: Page) -> str:
    """The words of a page, less whatever is neither a letter, a number nor punctuation of a sentence."""
    words = await page.locator("main").inner_text()
    return "".join(letter for letter in words if letter.isalnum() or letter.isspace() or letter in ".,;:'’()")


def _grouped(iban: str) -> str:
    return " ".join(iban[start : start + 4] for start in range(0, len(iban), 4))


async def _walk_to(page: Page, testid: str, key: str) -> None:
    """Presses `key` until the focus is there."""
    for _ in range(40):
        if await page.evaluate("document.activeElement?.dataset.testid") == testid:
            return
        await page.keyboard.press(key)
    raise AssertionError(f"{testid} cannot be reached with {key}")


async def _fits(page: Page) -> None:
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
