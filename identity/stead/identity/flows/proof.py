"""A server may ask that proofs carry a nonce of its own (RFC 9449 s8): then the request is sent once more, with it."""

import re

from stead.identity.clock import Clock
from stead.identity.errors import IdentityError, InvalidRequest
from stead.identity.flows.wire import MAX_BODY
from stead.identity.strict_json import parse_object
from stead.identity.types import Flow, Request, Response, T

NONCE_WANTED = "use_dpop_nonce"
_NONCE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,512}")


def is_nonce(text: str) -> bool:
    """Whether it is one (s8.1): printable, without quotation mark and backslash, and bounded."""
    return _NONCE.fullmatch(text) is not None


def with_nonce(flow: Flow[T], clock: Clock) -> Flow[T]:
    """The flow, with a request made anew where the server wants its nonce in the proof. Raises what the flow raises.

    Anew as a whole: the server may have taken note of the client's assertion before it looked at the proof.
    """
    try:
        request = next(flow)
        while True:
            try:
                response = yield from _sent(request, clock)
            except IdentityError as failure:
                request = flow.throw(failure)
            else:
                request = flow.send(response)
    except StopIteration as end:
        result: T = end.value
        return result


def _sent(request: Request, clock: Clock) -> Flow[Response]:
    response = yield request
    nonce = response.headers.get("dpop-nonce", "")
    if request.again is None or not is_nonce(nonce) or not _wants_nonce(response):
        return response
    again: Response = yield request.again(clock(), nonce)
    return again


def _wants_nonce(response: Response) -> bool:
    if response.status != 400:
        return False
    try:
        return parse_object(response.body, max_bytes=MAX_BODY).get("error") == NONCE_WANTED
    except InvalidRequest:
        return False
