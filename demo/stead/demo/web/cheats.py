"""Requests that must not succeed, for people who want to see them fail: real ones, with the session's own token.

Each goes past `workload.http`, which would refuse to send it. For a network on this computer only: a token that is
shown to the wrong agent is, anywhere else, a token given away.
"""

import ipaddress
import json
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from stead.demo.web.credentials import Credentials
from stead.demo.web.provider import BROKER_SCOPE, Provider
from stead.demo.web.session import Session
from stead.identity.errors import IdentityError, InvalidRequest, ProviderUnavailable
from stead.identity.flows.token_exchange import obo
from stead.identity.flows.wire import sentence
from stead.identity.peek import peek_claims
from stead.identity.types import Json
from stead.identity.values import AccessToken
from stead.identity.workload import Workload


@dataclass(frozen=True, slots=True)
class Cheat:
    """One attempt, as the page offers it."""

    name: str
    title: str
    what: str
    rfc: str


CHEATS = (
    Cheat(
        "audience",
        "Use a token where it is not meant for",
        "Sends your broker token straight to Portfolio.",
        "RFC 9068 section 4",
    ),
    Cheat("nobody", "Come without a token", "Asks the broker with no token at all.", "RFC 6750 section 3"),
    Cheat(
        "altered",
        "Become somebody else",
        "Changes the person in your token, and keeps the signature.",
        "RFC 7515 section 5.2",
    ),
    Cheat("unsigned", "Sign with nothing", "Sends your claims with the algorithm “none”.", "RFC 8725 section 3.1"),
    Cheat(
        "widen",
        "Trade it in",
        "FinPort trades the broker's token, which is not for FinPort, for the right to make transfers.",
        "RFC 8693 section 2.2.2",
    ),
    Cheat(
        "approval",
        "Skip the bank",
        "Sends your token to the bank's payments, without an approval.",
        "RFC 9396 section 9",
    ),
)


class Cheating:
    """Makes the attempts."""

    def __init__(self, workload: Workload, provider: Provider, credentials: Credentials) -> None:
        self._workload = workload
        self._provider = provider
        self._credentials = credentials

    @property
    def offered(self) -> tuple[Cheat, ...]:
        """All of them where everything is on this computer, else none."""
        network = self._workload.home.network
        urls = (network.broker, *network.agents.values(), *network.mcp_servers.values())
        known = {"portfolio", "transfer"} <= network.agents.keys() and "payments" in network.mcp_servers
        return CHEATS if known and all(_is_loopback(url) for url in urls) else ()

    async def attempt(self, name: str, session: Session) -> Json:
        """Makes one attempt and says how it was answered. Raises `InvalidRequest` for one that is not offered."""
        cheat = next((one for one in self.offered if one.name == name), None)
        if cheat is None:
            raise InvalidRequest("There is no such attempt here.")
        network = self._workload.home.network
        token, _ = await self._credentials.token(session, network.broker, BROKER_SCOPE)
        attempts: dict[str, Callable[[], Awaitable[Json]]] = {
            "audience": lambda: self._call(f"{network.agents['portfolio']}/a2a", token.reveal()),
            "nobody": lambda: self._call(f"{network.broker}/a2a", None),
            "altered": lambda: self._call(f"{network.broker}/a2a", _altered(token)),
            "unsigned": lambda: self._call(f"{network.broker}/a2a", _unsigned(token)),
            "widen": lambda: self._widen(token),
            "approval": lambda: self._call(f"{network.mcp_servers['payments']}/mcp", token.reveal()),
        }
        answer = await attempts[name]()
        return {**answer, "detail": f"{answer['detail']}, see {cheat.rfc}"}

    async def _call(self, url: str, token: str | None) -> Json:
        headers = {"accept": "application/json, text/event-stream", "a2a-version": "1.0"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        message = {"messageId": "cheat", "role": "ROLE_USER", "parts": [{"text": "Show my portfolio"}]}
        body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}
        try:
            reply = await self._workload.bare.post(url, json=body, headers=headers)
        except httpx.HTTPError:
            raise ProviderUnavailable(f"{urlsplit(url).netloc} cannot be reached.", hint="Try again.") from None
        return _told(reply)

    async def _widen(self, token: AccessToken) -> Json:
        network = self._workload.home.network
        metadata = await self._workload.metadata(self._provider.issuer)
        flow = obo(
            self._provider.client,
            metadata,
            subject_token=token,
            audience=network.agents["transfer"],
            scopes=("transfer:create",),
            now=self._workload.clock(),
        )
        try:
            await self._workload.run(flow)
        except IdentityError as refused:
            return _outcome(False, refused.description, refused.hint, f"{refused.details.get('error', refused.code)}")
        return _outcome(True, "The exchange was granted.", None, "200")


def _told(reply: httpx.Response) -> Json:
    challenge = reply.headers.get("www-authenticate", "")
    code = _parameter(challenge, "error")
    try:
        error = reply.json().get("error")
    except (ValueError, AttributeError):
        error = None
    words = error.get("message") if isinstance(error, dict) else error
    description = _parameter(challenge, "error_description") or sentence(words) or "No reason was given."
    return _outcome(
        reply.status_code < 400, description, None, f"HTTP {reply.status_code}" + (f", {code}" if code else "")
    )


def _outcome(succeeded: bool, description: str, hint: str | None, detail: str) -> Json:
    verdict = "This succeeded, and must not:" if succeeded else "Refused:"
    return {"verdict": verdict, "refused": not succeeded, "description": description, "hint": hint, "detail": detail}


def _parameter(challenge: str, name: str) -> str | None:
    """A quoted parameter of a WWW-Authenticate value."""
    _, found, rest = f" {challenge}".partition(f' {name}="')
    return sentence(rest.partition('"')[0]) if found else None


def _altered(token: AccessToken) -> str:
    head, _, signature = token.reveal().split(".")
    return f"{head}.{_encoded({**peek_claims(token), 'sub': 'somebody-else'})}.{signature}"


def _unsigned(token: AccessToken) -> str:
    return f"{_encoded({'alg': 'none', 'typ': 'at+jwt'})}.{_encoded(peek_claims(token))}."


def _encoded(value: Json) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _is_loopback(url: str) -> bool:
    try:
        return ipaddress.ip_address(urlsplit(url).hostname or "").is_loopback
    except ValueError:
        return urlsplit(url).hostname == "localhost"
