"""The pages at the door: what a person sees without a session, and the way in and out."""

from contextlib import suppress
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from stead.demo.web.pages import Person, render
from stead.demo.web.protection import bounded_body, check_csrf
from stead.demo.web.session import LONGEST, Session
from stead.demo.web.site import Site
from stead.demo.web.turns import read_turn
from stead.demo.web.typeset import host
from stead.identity.errors import IdentityError
from stead.identity.step_up import ANY, StepUp


class Doors:
    """The handlers that open and close sessions."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def home(self, request: Request) -> Response:
        """The page of whoever is signed in, else the landing page."""
        session = self._site.sessions.find(request.cookies.get(self._site.cookie))
        if session is None:
            return self._landing(_message(request), anew="signed-out" in request.query_params)
        cheats = self._site.cheating.offered
        return HTMLResponse(render("page.html", csrf=session.csrf, person=Person(session.name), cheats=cheats))

    async def sign_in(self, request: Request) -> Response:
        """Off to the provider; for a task that waits for it, to the sign-in that the task needs."""
        try:
            wanted = await self._wanted(request)
            url, cookie = await self._site.login.begin(anew="anew" in request.query_params, wanted=wanted)
        except IdentityError as error:
            return self._landing(_sentence(error), status=error.status)
        answer = RedirectResponse(url, 303)
        self._set(answer, self._site.login_cookie, cookie, path="/callback")
        return answer

    async def _wanted(self, request: Request) -> StepUp:
        """What the broker says that a task needs: an address says nothing of that, because anybody writes one."""
        session = self._site.sessions.find(request.cookies.get(self._site.cookie))
        task = request.query_params.get("task")
        if session is None or not task:
            return ANY
        with suppress(IdentityError):  # who cannot be asked now is asked by the task once more
            turn = read_turn(await self._site.broker.task(session, task))
            return StepUp.from_json(turn.sign_in or {})
        return ANY

    async def callback(self, request: Request) -> Response:
        """Back from the provider."""
        cookie = request.cookies.get(self._site.login_cookie)
        answer: Response
        try:
            opened, begun = await self._site.login.finish(cookie, request.query_params.multi_items())
        except IdentityError as error:
            answer = self._not_signed_in(request, error)
        else:
            await self._end_former(request, begun)
            answer = RedirectResponse("/", 303)
            self._set(answer, self._site.cookie, opened, max_age=int(LONGEST))
        self._unset(answer, self._site.login_cookie, path="/callback")
        return answer

    async def sign_out(self, request: Request) -> Response:
        """Ends the session."""
        session = self._site.sessions.find(request.cookies.get(self._site.cookie))
        if session is not None:
            check_csrf(session, await _form_field(request, "csrf"))
            await self._site.sign_out(session)
        answer = RedirectResponse("/?signed-out", 303)
        self._unset(answer, self._site.cookie)
        return answer

    def _not_signed_in(self, request: Request, error: IdentityError) -> Response:
        """A second tab's sign-in fails where the first one's did not: whoever is signed in goes to their page."""
        if self._site.sessions.find(request.cookies.get(self._site.cookie)) is not None:
            return RedirectResponse("/", 303)
        return self._landing(_sentence(error), status=error.status)

    async def _end_former(self, request: Request, begun: Session) -> None:
        """The session that this browser had before is not left behind when somebody signs in anew."""
        former = self._site.sessions.find(request.cookies.get(self._site.cookie))
        if former is not None:
            await self._site.sign_out(former, goes_on=begun.continues(former))

    def _landing(self, message: str | None, *, status: int = 200, anew: bool = False) -> HTMLResponse:
        provider = self._site.provider
        page = render(
            "landing.html",
            provider=provider.name,
            provider_host=host(provider.issuer),
            message=message,
            calm=anew,
            anew=anew,
        )
        return HTMLResponse(page, status)

    def _set(self, answer: Response, name: str, value: str, *, path: str = "/", max_age: int | None = None) -> None:
        secure = self._site.secure
        answer.set_cookie(name, value, path=path, max_age=max_age, httponly=True, samesite="lax", secure=secure)

    def _unset(self, answer: Response, name: str, *, path: str = "/") -> None:
        answer.delete_cookie(name, path=path, httponly=True, samesite="lax", secure=self._site.secure)


async def _form_field(request: Request, name: str) -> str | None:
    body = await bounded_body(request)
    values = parse_qs(body.decode("ascii", "replace"), max_num_fields=8).get(name, [])
    return values[0] if len(values) == 1 else None


def _message(request: Request) -> str | None:
    return (
        "You are signed out. What waits for you stays with the broker."
        if "signed-out" in request.query_params
        else None
    )


def _sentence(error: IdentityError) -> str:
    return " ".join(filter(None, (error.description, error.hint)))
