"""What `stead idp setup entra` writes, and an administrator who runs it."""

import asyncio
from pathlib import Path

from stead.demo.idp import entra
from stead.demo.idp.demand import demand_of
from stead.identity.certificates import certified
from stead.identity.home import Home
from tests.parts.vendors.entra_tenant import EntraTenant


async def applied(tenant: EntraTenant, folder: Path, **environment: str) -> tuple[int, str]:
    """The script of that folder as an administrator runs it."""
    (folder / "token").write_text(tenant.directory.token_of_admin)
    ran = await asyncio.create_subprocess_exec(
        "sh",
        str(folder / "entra-setup.sh"),
        env={
            "PATH": "/usr/bin:/bin",
            "GRAPH_TOKEN_FILE": str(folder / "token"),
            "GRAPH": f"{tenant.origin}/v1.0",
            "PAUSE": "0",
            **environment,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await ran.communicate()
    return ran.returncode or 0, (out + err).decode()


def written(home: Home, issuer: str, folder: Path) -> None:
    """Our side's half: the script."""
    demand = demand_of(home, issuer)
    certificates = {one.client_id: certified(home, one.client_id).certificate for one in demand.clients if one.key}
    (folder / "entra-setup.sh").write_text(entra.script_of(demand, issuer, certificates))
