"""How a person answers an agent's question: at a browser, scripted, or by programs of the profile."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

from stead.demo.cli.browser import Browser, Login, Page
from stead.demo.conformance.commands import run
from stead.demo.conformance.profile import Buttons, Command
from stead.demo.conformance.quoting import quoted
from stead.identity.errors import ConfigurationError, IdentityError
from stead.identity.home import Home
from stead.identity.settings import Settings

Decision = Literal["approve", "deny"]
_ONWARD = re.compile(r'<meta http-equiv="refresh" content="\d+; ?url=([^"]+)"', re.IGNORECASE)
_MOST_PAGES = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an answer: what the person was told, and the addresses that have done their service with it."""

    told: str
    spent: tuple[str, ...] = field(default=(), repr=False)

    @property
    def secrets(self) -> frozenset[str]:
        """The codes in those addresses (RFC 6749 s4.1.2)."""
        return frozenset(code for url in self.spent for code in parse_qs(urlsplit(url).query).get("code", ()))

    @property
    def callback(self) -> str | None:
        """Where the last of those addresses leads, without what it carried."""
        return self.spent[-1].partition("?")[0] if self.spent else None


class Answering(Protocol):
    """One person's way to answer."""

    async def answer(self, link: str, decision: Decision) -> Answer:
        """Opens the link and answers. That the answer is not taken is no error."""

    async def withheld(self, link: str, callback: str) -> str | None:
        """Says yes, and does not open the callback that it leads to, but returns it. None where that cannot be done."""

    async def revisit(self, url: str) -> None:
        """Opens an address, in the same browser and in another that knows nothing."""

    async def close(self) -> None:
        """Ends it."""


@dataclass(slots=True)
class InBrowser:
    """A browser of the person's own, with what they type at each provider."""

    logins: Mapping[str, Login]
    buttons: Buttons
    _visited: list[tuple[str, str]] = field(default_factory=list, init=False, repr=False)
    _http: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self._http = connected(timeout=20, event_hooks={"response": [self._note]})

    async def answer(self, link: str, decision: Decision) -> Answer:
        self._visited.clear()
        button = self.buttons.approve if decision == "approve" else self.buttons.deny
        try:
            page = await self._followed(link, button)
        except IdentityError as error:
            return Answer(error.description, self._spent())
        return Answer(f"{page.status} {quoted(page.words())}", self._spent())

    async def _followed(self, link: str, button: str, until: str | None = None) -> Page:
        browser, page = Browser(self._http, self.logins), Page(link, 0, "")
        onward: str | None = link
        for _ in range(_MOST_PAGES):
            if onward is None:
                break
            page = await browser.visit(onward, decision=button, until=until)
            found = _ONWARD.search(page.html)
            onward = urljoin(page.url, unescape(found[1])) if found else None
        return page

    async def withheld(self, link: str, callback: str) -> str | None:
        with suppress(IdentityError):
            page = await self._followed(link, self.buttons.approve, callback)
            return None if page.status else page.url
        return None

    def _spent(self) -> tuple[str, ...]:
        """The callbacks: where a provider sent the browser with its answer (RFC 6749 s4.1.2)."""
        answers = [url for method, url in self._visited if method == "GET" and _is_callback(url)]
        return tuple(dict.fromkeys(answers))

    async def revisit(self, url: str) -> None:
        async with connected(timeout=20) as stranger:
            for http in (self._http, stranger):
                await http.get(url, follow_redirects=True)

    async def close(self) -> None:
        await self._http.aclose()

    async def _note(self, response: httpx.Response) -> None:
        self._visited.append((response.request.method, str(response.request.url)))


@dataclass(frozen=True, slots=True)
class ByCommand:
    """Programs that answer. A line of their output that is an address is a callback that has done its service."""

    commands: Mapping[Decision, Command | None]
    folder: Path

    async def answer(self, link: str, decision: Decision) -> Answer:
        command = self.commands[decision]
        if command is None:
            raise ConfigurationError(f"The profile does not say how this person would {decision}.")
        ran = await run(command, self.folder, {"link": link})
        spent = (line.strip() for line in ran.printed.splitlines() if line.startswith(("https://", "http://")))
        return Answer(f"{command[0]} ended with {ran.code}", tuple(spent))

    async def withheld(self, link: str, callback: str) -> str | None:
        return None

    async def revisit(self, url: str) -> None:
        async with connected(timeout=20) as stranger:
            await stranger.get(url, follow_redirects=True)

    async def close(self) -> None:
        """There is nothing to end."""


def connected(**options: Any) -> httpx.AsyncClient:
    """A client that believes whom the settings of this machine believe, and nothing of its environment."""
    return httpx.AsyncClient(verify=Settings.load(Home.current()).believed(), trust_env=False, **options)


def _is_callback(url: str) -> bool:
    query = parse_qs(urlsplit(url).query)
    return "code" in query and "state" in query
