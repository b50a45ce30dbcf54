"""Server-rendered pages without a line of JavaScript, under a content security policy that loads nothing else."""

from decimal import Decimal
from importlib.resources import files
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, select_autoescape

from stead.identity.server.calls import Reply
from stead.identity.server.errors import Refused
from stead.identity.server.settings import ServerSettings

_HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    # Not no-referrer: with that a browser sends "Origin: null" with our own forms.
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()"),
)
_CURRENCY_SIGNS = {"EUR": "€", "USD": "$", "GBP": "£"}
ASSETS = {
    name: files(__package__).joinpath("static", name).read_text()
    for name in ("base.css", "corporate.css", "bank.css", "corporate.svg", "bank.svg")
}


def content_security_policy(redirect_uri: str | None) -> str:
    """A form leads to us and, through our redirect, to the validated address of the client."""
    target = f" {origin_of(redirect_uri)}" if redirect_uri else ""
    return (
        "default-src 'none'; style-src 'self'; img-src 'self'; "
        f"form-action 'self'{target}; frame-ancestors 'none'; base-uri 'none'"
    )


def origin_of(url: str) -> str:
    """Scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class Pages:
    """The pages of one issuer, in its own look."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._templates = Environment(
            loader=PackageLoader(__package__), autoescape=select_autoescape(default=True), trim_blocks=True
        )
        self._templates.filters |= {"grouped": _grouped, "money": _money, "host": _host}
        self._templates.globals |= {"settings": settings, "signs": _CURRENCY_SIGNS}

    def show(self, name: str, *, status: int = 200, redirect_uri: str | None = None, **values: object) -> Reply:
        """A page. `redirect_uri` is where its form may end up."""
        body = self._templates.get_template(f"{name}.html").render(redirect_uri=redirect_uri, **values)
        policy = ("Content-Security-Policy", content_security_policy(redirect_uri))
        return Reply(status, body, (*_HEADERS, policy))

    def refusal(self, refused: Refused) -> Reply:
        """A refusal that cannot be sent to the client: its sentence and the way out."""
        return self.show("error", status=refused.status_code, refused=refused)


def _grouped(iban: str) -> str:
    """An IBAN as people read it: groups of four, that do not break."""
    return "\u00a0".join(iban[at : at + 4] for at in range(0, len(iban), 4))


def _money(amount: Decimal) -> tuple[str, str]:
    """Whole part with thin separators, and two decimals."""
    whole, _, cents = f"{amount:,.2f}".partition(".")
    return whole.replace(",", "\u202f"), cents


def _host(url: str) -> str:
    return urlsplit(url).netloc
