"""What a request shows beside its token, as a frozen value. Knows no framework."""

from dataclasses import dataclass, field
from typing import Literal

Scheme = Literal["bearer", "dpop"]


@dataclass(frozen=True, slots=True)
class Presented:
    """How a token came: by which scheme, with what proof, on which request, over whose TLS certificate.

    `url` is the request's address as the service knows itself (its audience and the path), never as a Host header says.
    `certificate` is the SHA-256 thumbprint of the client's certificate (RFC 8705 s3.1), where the transport showed one.
    """

    scheme: Scheme
    method: str
    url: str
    proof: str | None = field(default=None, repr=False)
    certificate: str | None = None
