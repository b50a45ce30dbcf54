"""What a form of ours proves when it comes back: same browser, same page, same content, from our own origin."""

import hashlib
import hmac

from stead.identity.server.calls import Call
from stead.identity.server.errors import Refused
from stead.identity.server.site import Site
from stead.identity.server.visit import EXPIRED


def csrf_token(site: Site, purpose: str, cookie: str, content: str) -> str:
    """Binds a form to the browser that it was rendered for, and to what was shown."""
    key = site.issuer.settings.home.secret(f"forms-{site.issuer.settings.theme}")
    message = "\n".join((purpose, cookie, content)).encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def check_form(site: Site, call: Call, purpose: str, cookie: str, content: str) -> None:
    """Raises `Refused` for a form that was sent from elsewhere, for another browser, or about something else."""
    if call.headers.get("origin") != site.issuer.name:
        raise Refused("invalid_request", "This form was sent from another site.", status=403)
    expected = csrf_token(site, purpose, cookie, content)
    if not hmac.compare_digest(expected, call.form.one("csrf") or ""):
        raise Refused("invalid_request", EXPIRED, hint="Go back to the application and start again.", status=403)
