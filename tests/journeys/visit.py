"""A person at a real browser, watched: no page may call another site, complain, or hold a token."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Error, Locator, Page, Request, Response

from stead.demo.network.addresses import addresses
from stead.identity.samples import PERSONS
from tests.journeys.finport import FinPort

TOKEN = re.compile("eyJ[\\w-]{6}")
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def origin(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class Watch:
    """What a browser context asked for, printed and was given."""

    def __init__(self, context: BrowserContext) -> None:
        self.origins: set[str] = set()
        self.complaints: list[str] = []
        self.leaks: list[str] = []
        self._reading: list[asyncio.Task[None]] = []
        context.on("request", self._asked)
        context.on("response", self._answered)
        context.on("console", self._said)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    async def finished(self) -> None:
        """Waits for the answers that are still being read, and not for those that no page ever took."""
        if self._reading:
            _, never = await asyncio.wait(self._reading, timeout=2)
            for one in never:
                one.cancel()
            await asyncio.gather(*never, return_exceptions=True)

    def _asked(self, request: Request) -> None:
        self.origins.add(origin(request.url))
        if TOKEN.search(request.url + (request.post_data or "")):
            self.leaks.append(f"sent to {request.url.partition('?')[0]}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} at {message.location}")

    def _answered(self, response: Response) -> None:
        if response.headers.get("content-type", "").startswith(("text/html", "application/json")):
            self._reading.append(asyncio.create_task(self._read(response)))

    async def _read(self, response: Response) -> None:
        try:
            content = await response.text()
        except Error:
            return  # the page that it was for is gone
        if TOKEN.search(content):
            self.leaks.append(f"received from {response.url.partition('?')[0]}")


class Visit:
    """One person's browser, and what they do with it."""

    def __init__(self, finport: FinPort, context: BrowserContext, page: Page) -> None:
        self.finport = finport
        self.context = context
        self.page = page

    def __call__(self, testid: str) -> Locator:
        return self.page.get_by_test_id(testid)

    async def sign_in(self, username: str) -> None:
        """From FinPort's front door, through the company's sign-in, to the chat."""
        person = next(one for one in PERSONS if one.username == username)
        await self.page.goto(self.finport.urls["web"])
        await self("sign-in").click()
        assert origin(self.page.url) == self.finport.urls["corporate_idp"]
        await self.page.get_by_label("Username").fill(person.username)
        await self.page.get_by_label("Password").fill(person.password)
        await self.page.get_by_role("button", name="Sign in").click()
        await self("turn").or_(self("empty")).first.wait_for()

    async def ask(self, goal: str) -> Locator:
        """Types a request and sends it; the turn that it became."""
        await self("chat-input").fill(goal)
        return await self.new_turn(self("send").click())

    async def new_turn(self, act: Any) -> Locator:
        """The turn that appears when `act` is done."""
        before = await self("turn").count()
        await act
        turn = self("turn").nth(before)
        await turn.wait_for()
        return turn

    async def hops(self, expected: int, kind: str = "trail-hop") -> list[dict[str, str]]:
        """The hops as the trail shows them, once there are so many and the last has been decided."""
        await self(kind).nth(expected - 1).wait_for()
        shown: list[dict[str, str]] = await self(kind).evaluate_all("all => all.map(one => ({...one.dataset}))")
        assert len(shown) == expected
        return shown

    async def grants(self, expected: Sequence[str]) -> None:
        """Waits until the trail is made of exactly these grants, in any order of the calls made at once."""
        shown = await self.hops(len(expected))
        assert sorted(one["grant"] for one in shown) == sorted(expected)


@asynccontextmanager
async def visit(browser: Browser, finport: FinPort, username: str, **options: Any) -> AsyncIterator[Visit]:
    """A signed-in person's browser. At the end it must have kept to the network, in silence, without a token."""
    context = await browser.new_context(viewport=options.pop("viewport", WIDE), **options)
    context.set_default_timeout(15_000)
    watch = Watch(context)
    try:
        one = Visit(finport, context, await context.new_page())
        await one.sign_in(username)
        yield one
        await watch.finished()
        await _is_clean(context)
        assert watch.complaints == []
        assert watch.leaks == []
        assert watch.origins <= {url for _, url in addresses(finport.home.network)}
    finally:
        await context.close()


async def _is_clean(context: BrowserContext) -> None:
    for page in context.pages:
        kept = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
        assert not TOKEN.search(await page.content() + await page.evaluate(kept)), page.url
        assert await page.evaluate("document.cookie") == "", page.url
    for cookie in await context.cookies():
        assert cookie.get("httpOnly"), cookie.get("name")
        assert cookie.get("sameSite") in ("Lax", "Strict"), cookie.get("name")
        assert not TOKEN.search(str(cookie.get("value"))), cookie.get("name")
