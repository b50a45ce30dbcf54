"""A person at a browser, scripted: follows redirects, keeps cookies, fills forms. Our pages need no JavaScript.

It plays the sample people in the terminal and in tests; the requests it makes are those a real browser would make.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx

from stead.identity.errors import AccessDenied, ProviderUnavailable

_MAX_STEPS = 25
_REDIRECTS = {301, 302, 303, 307, 308}


@dataclass(frozen=True, slots=True)
class Login:
    """What a person types at one provider, and what its form calls the name."""

    username: str
    password: str = field(repr=False)
    name_field: str = "username"


_CODE = "one-time-code"
"""How a field says that it takes one: a value of HTML's `autocomplete`."""


@dataclass(slots=True)
class Form:
    """An HTML form: where it goes, what it holds, its buttons as (name, value), and the field for a one-time code."""

    action: str
    method: str = "get"
    fields: dict[str, str] = field(default_factory=dict, repr=False)
    buttons: list[tuple[str, str]] = field(default_factory=list)
    code_field: str | None = None

    def button(self, value: str) -> tuple[str, str] | None:
        """The button of this value."""
        return next((button for button in self.buttons if button[1] == value), None)


@dataclass(frozen=True, slots=True)
class Page:
    """What the person sees in the end."""

    url: str
    status: int
    html: str = field(repr=False)

    @property
    def origin(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    def forms(self) -> list[Form]:
        """The page's forms."""
        reader = _Forms()
        reader.feed(self.html)
        return reader.forms

    def sample_code(self) -> str | None:
        """The one-time code that a development page shows beside its field; a sample person has no authenticator."""
        reader = _SampleCode()
        reader.feed(self.html)
        return reader.code

    def words(self) -> str:
        """The page's visible text, on one line."""
        reader = _Words()
        reader.feed(self.html)
        return " ".join(" ".join(reader.pieces).split())


class Browser:
    """One person's browser. `logins` maps a provider's origin to what the person types there."""

    def __init__(self, client: httpx.AsyncClient, logins: Mapping[str, Login]) -> None:
        self._client = client
        self._logins = logins

    async def visit(self, url: str, *, decision: str = "approve", until: str | None = None) -> Page:
        """Opens `url` and goes on as the person would: signs in where asked, then answers a consent with `decision`.

        A one-time code is typed as the page of a development issuer shows it. Stops before a redirect to a URL that
        starts with `until`, and returns it unopened, with status 0. Raises `ProviderUnavailable` when a server cannot
        be reached, `AccessDenied` when a login or a code is refused.
        """
        page = await self._open("GET", url, None, until)
        typed: set[str] = set()
        for _ in range(_MAX_STEPS):
            answer = self._answer(page, typed, decision) if page.status else None
            if answer is None:
                return page
            target, fields = answer
            page = await self._open("POST", target, fields, until, page.origin)
        raise ProviderUnavailable("The pages lead nowhere.", hint="Too many forms in a row.")

    def _answer(self, page: Page, typed: set[str], decision: str) -> tuple[str, dict[str, str]] | None:
        for form in page.forms():
            target = urljoin(page.url, form.action or page.url)
            if "password" in form.fields:
                return target, self._sign_in(page, form, typed)
            if form.code_field is not None:
                return target, form.fields | {form.code_field: _code_for(page, typed)}
            button = form.button(decision)
            if button is not None:
                return target, form.fields | dict([button])
        return None

    def _sign_in(self, page: Page, form: Form, typed: set[str]) -> dict[str, str]:
        login = self._logins.get(page.origin)
        if login is None:
            raise AccessDenied(f"{page.origin} asks for a sign-in that this person does not have.")
        if page.origin in typed:
            raise AccessDenied(f"{page.origin} refused the sign-in of {login.username}.")
        typed.add(page.origin)
        return form.fields | {login.name_field: login.username, "password": login.password}

    async def _open(
        self, method: str, url: str, fields: Mapping[str, str] | None, until: str | None, origin: str | None = None
    ) -> Page:
        headers = {} if origin is None else {"origin": origin}
        for _ in range(_MAX_STEPS):
            if until is not None and url.startswith(until):
                return Page(url, 0, "")
            reply = await self._send(method, url, fields, headers)
            if reply.status_code not in _REDIRECTS:
                return Page(url, reply.status_code, reply.text)
            url = urljoin(url, reply.headers["location"])
            method, fields, headers = "GET", None, {}
        raise ProviderUnavailable("The pages redirect in a circle.")

    async def _send(
        self, method: str, url: str, fields: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> httpx.Response:
        try:
            return await self._client.request(method, url, data=fields, headers=headers, follow_redirects=False)
        except httpx.HTTPError as error:
            origin = Page(url, 0, "").origin
            raise ProviderUnavailable(f"{origin} cannot be reached.", hint="Does the demo run?") from error


def _code_for(page: Page, typed: set[str]) -> str:
    code, once = page.sample_code(), f"{page.origin} {_CODE}"
    if code is None:
        raise AccessDenied(
            f"{page.origin} asks for a one-time code, and shows none.", hint="Where it shows them: wait half a minute."
        )
    if once in typed:
        raise AccessDenied(f"{page.origin} refused the one-time code.")
    typed.add(once)
    return code


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(at.get("action", ""), at.get("method", "get").lower())
            self.forms.append(self._open)
        elif self._open is not None and tag == "input":
            self._input(self._open, at)
        elif self._open is not None and tag == "button" and "name" in at:
            self._open.buttons.append((at["name"], at.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None

    def _input(self, form: Form, at: dict[str, str]) -> None:
        kind, name = at.get("type", "text"), at.get("name", "")
        if kind == "submit":
            form.buttons.append((name, at.get("value", "")))
        elif kind in {"radio", "checkbox"}:
            if "checked" in at or (kind == "radio" and name not in form.fields):
                form.fields[name] = at.get("value", "on")
        elif name:
            form.fields[name] = at.get("value", "")
            if at.get("autocomplete") == _CODE:
                form.code_field = name


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in {"style", "script", "head"}

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"style", "script", "head"}

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(data)


class _SampleCode(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.code: str | None = None
        self._within = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within = tag == "code" and ("id", "sample-code") in attrs

    def handle_data(self, data: str) -> None:
        if self._within and data.strip():
            self.code = data.strip()

    def handle_endtag(self, tag: str) -> None:
        self._within = False
