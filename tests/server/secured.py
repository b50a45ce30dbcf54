"""An app on TLS, as processes serve it: in this process, on a listener of its own."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import uvicorn

from stead.identity.certificate_source import CertificateSource
from stead.identity.client_certificates import KnownCertificate
from stead.identity.serving import _config
from stead.identity.tls import TlsFiles
from stead.identity.types import ASGIApp


@asynccontextmanager
async def serving(
    app: ASGIApp, files: TlsFiles, listener: socket.socket, clients: Sequence[KnownCertificate] = ()
) -> AsyncIterator[None]:
    """Serves inside the block; `clients` may show what they signed themselves."""
    server = uvicorn.Server(_config(app, "warning", CertificateSource(files, clients).server()))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await running
