"""The code page in a real browser: a newcomer gets through it, by what it shows and nothing else."""

from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest
from playwright.async_api import Page, ViewportSize, expect

from stead.identity.server.authorization import ACR_MFA
from tests.chromium import chromium
from tests.server.issuers import BROKER, WEB, Issuer
from tests.server.parties import Login
from tests.server.stepping_up import another_than, forget
from tests.server.world import World

NARROW: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture
async def page(corporate_issuer: Issuer) -> AsyncIterator[Page]:
    """A page of a telephone's size. Behind the client's address nobody answers: what it is sent is enough."""
    async with chromium() as browser:
        page = await browser.new_page(viewport=NARROW)
        page.set_default_timeout(15_000)
        yield page
    forget(corporate_issuer)


async def test_a_newcomer_gets_through_the_code_page_by_what_it_shows(world: World, page: Page) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    login = Login().parameters(world.web, "openid broker:ask", BROKER, acr_values=ACR_MFA, login_hint="alice")
    await page.goto(f"{world.issuer.url}/authorize?{urlencode(login)}")
    await page.get_by_label("Password").fill("alice-demo")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Confirm it is you")
    await expect(page.get_by_text("Signed in as Alice Moreau")).to_be_visible()
    field, sample = page.get_by_label("One-time code"), page.locator("#sample-code")
    await expect(field).to_be_focused()
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    await page.keyboard.type(another_than(await sample.inner_text()))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("That code is wrong")
    await expect(field).to_have_attribute("aria-invalid", "true")
    assert all("403" in one for one in complaints)
    await field.fill(await sample.inner_text())
    async with page.expect_request(f"{WEB}/callback?code=*"):
        await page.keyboard.press("Enter")


async def test_whoever_has_no_code_at_hand_gets_back_to_the_client(world: World, page: Page) -> None:
    login = Login().parameters(world.web, "openid broker:ask", BROKER, acr_values=ACR_MFA)
    await page.goto(f"{world.issuer.url}/authorize?{urlencode(login)}")
    await page.get_by_label("Username").fill("carol")
    await page.get_by_label("Password").fill("carol-demo")
    await page.get_by_role("button", name="Sign in").click()
    async with page.expect_request(f"{WEB}/callback?error=access_denied*"):
        await page.get_by_role("button", name="Cancel").click()
