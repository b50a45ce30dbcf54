"""What `stead idp setup auth0` writes, and an administrator who runs it."""

import asyncio
from pathlib import Path

from stead.demo.idp import auth0
from stead.demo.idp.demand import demand_of
from stead.identity.certificates import certified
from stead.identity.home import Home
from tests.parts.vendors.auth0_tenant import Auth0Tenant


async def applied(tenant: Auth0Tenant, folder: Path) -> tuple[int, str]:
    """The script of that folder as an administrator runs it."""
    (folder / "token").write_text(tenant.token_of_admin)
    ran = await asyncio.create_subprocess_exec(
        "sh",
        str(folder / "auth0-setup.sh"),
        env={"PATH": "/usr/bin:/bin", "AUTH0_TOKEN_FILE": str(folder / "token")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await ran.communicate()
    return ran.returncode or 0, (out + err).decode()


def written(home: Home, issuer: str, folder: Path) -> None:
    """Our side's half: the script."""
    demand = demand_of(home, issuer)
    certificates = {one.client_id: certified(home, one.client_id).certificate for one in demand.clients if one.key}
    (folder / "auth0-setup.sh").write_text(auth0.script_of(demand, issuer, certificates))
