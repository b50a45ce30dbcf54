"""HTTP to a key service: what it is sent and answers goes nowhere else, and has an end."""

import time
from contextlib import closing

import httpx

from stead.identity.driver import no_cookies, tls
from stead.identity.errors import ConfigurationError, InvalidRequest, ProviderUnavailable
from stead.identity.strict_json import parse_object
from stead.identity.types import Json

TIMEOUT = 5.0
"""Seconds for an answer, as a whole. A service that is away is an error of the call that needed it."""

MAX_ANSWER = 65_536


class Wire:
    """A client of one key service. `setting` is what to check when it does not answer. Safe from any thread."""

    def __init__(self, setting: str) -> None:
        self._setting = setting
        self._client = httpx.Client(
            verify=tls(), timeout=TIMEOUT, trust_env=False, follow_redirects=False, cookies=no_cookies()
        )

    def ask(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: Json | None = None,
        *,
        form: dict[str, str] | None = None,
    ) -> Json:
        """The JSON object that the service answers with to a JSON object, or to a form.

        Raises `ConfigurationError` for a refusal that somebody has to mend, `ProviderUnavailable` for anything else.
        """
        try:
            status, content = self._exchange(
                self._client.build_request(method, url, headers=headers, json=body, data=form)
            )
        except (httpx.HTTPError, httpx.InvalidURL):
            # Its text may quote the request.
            raise ProviderUnavailable("The key service cannot be reached.", hint=f"Check {self._setting}.") from None
        if status in (400, 401, 403, 404):
            raise ConfigurationError(
                f"The key service refused (status {status}).",
                hint=f"Check {self._setting}, the kind of its key, and what we may do with it.",
            )
        if status != 200:
            raise ProviderUnavailable(f"The key service answered with status {status}.", hint="Try again in a moment.")
        return _object(content)

    def close(self) -> None:
        """Closes its connections."""
        self._client.close()

    def _exchange(self, request: httpx.Request) -> tuple[int, bytes]:
        until, content = time.monotonic() + TIMEOUT, b""
        # auth=None would read user information from the URL; an explicit Auth() adds nothing.
        reply = self._client.send(request, stream=True, auth=httpx.Auth())
        with closing(reply):
            for part in reply.iter_bytes():
                content += part
                if len(content) > MAX_ANSWER or time.monotonic() > until:
                    raise ProviderUnavailable("The key service sends too much, or too slowly.")
            return reply.status_code, content


def _object(content: bytes) -> Json:
    try:
        return parse_object(content, max_bytes=MAX_ANSWER)
    except InvalidRequest:
        raise ProviderUnavailable("The key service gave no usable answer.") from None
