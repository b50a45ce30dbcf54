"""A person's browser at this issuer: its session, and the sign-in or consent that is under way in it.

One host-only cookie with a random value; the tables hold its digest. It changes at each login (session fixation).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from stead.identity.server import schema
from stead.identity.server.calls import Call, Parameters
from stead.identity.server.logout_notices import announce
from stead.identity.server.settings import ServerSettings
from stead.identity.server.store import Store, digest, fresh

MOST_INTERACTIONS = 10_000
"""Authorization requests under way in all browsers."""

_SESSION = select(schema.sessions).where(
    schema.sessions.c.digest == bindparam("digest"),
    schema.sessions.c.ended.is_(None),
    schema.sessions.c.expires > bindparam("now"),
)
_BY_SID = select(schema.sessions.c.ended, schema.sessions.c.expires).where(schema.sessions.c.sid == bindparam("sid"))
_INTERACTION = select(schema.interactions).where(
    schema.interactions.c.id == bindparam("id"),
    schema.interactions.c.browser == bindparam("browser"),
    schema.interactions.c.expires > bindparam("now"),
)


@dataclass(frozen=True, slots=True)
class Session:
    """A person who signed in. `sid` is what tokens carry."""

    sid: str
    subject: str
    auth_time: int


@dataclass(frozen=True, slots=True)
class Interaction:
    """One authorization request between its validation and its answer, bound to the browser that brought it."""

    id: str
    parameters: Parameters
    authenticated: bool


def cookie_of(settings: ServerSettings, call: Call) -> str | None:
    """The browser's cookie, when it is one of ours by form."""
    value = call.cookies.get(settings.cookie, "")
    return value if 32 <= len(value) <= 64 else None


def set_cookie(settings: ServerSettings, value: str) -> tuple[str, str]:
    """The header that gives the browser its cookie."""
    secure = "; Secure" if settings.secure else ""
    return "Set-Cookie", f"{settings.cookie}={value}; Path=/; HttpOnly; SameSite=Lax{secure}"


def clear_cookie(settings: ServerSettings) -> tuple[str, str]:
    """The header that takes it away."""
    secure = "; Secure" if settings.secure else ""
    return "Set-Cookie", f"{settings.cookie}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}"


def current_session(store: Store, cookie: str | None, now: float) -> Session | None:
    """Who is signed in with that cookie."""
    row = store.row(_SESSION, {"digest": digest(cookie), "now": now}) if cookie else None
    return None if row is None else Session(row["sid"], row["subject"], row["auth_time"])


def session_is_live(store: Store, sid: str, now: float) -> bool:
    """False after logout or expiry: then nothing more is issued from it."""
    row = store.row(_BY_SID, {"sid": sid})
    return row is not None and row["ended"] is None and row["expires"] > now


def sign_in(store: Store, settings: ServerSettings, old_cookie: str | None, subject: str) -> tuple[str, Session]:
    """Starts a session under a new cookie; what was under way in the old one goes on in the new."""
    now = settings.clock()
    cookie, session = fresh(), Session(fresh(128), subject, int(now))
    store.run(
        insert(schema.sessions),
        {
            "digest": digest(cookie),
            "sid": session.sid,
            "subject": subject,
            "auth_time": session.auth_time,
            "expires": now + settings.session_lifetime,
        },
    )
    if old_cookie:
        moved = update(schema.interactions).where(schema.interactions.c.browser == digest(old_cookie))
        # Who signed in there was not this person, or not now: each visit asks again what it wanted of a sign-in.
        store.run(moved.values(browser=digest(cookie), authenticated=False))
        _replace(store, old_cookie, subject, now)
    return cookie, session


def sign_out(store: Store, sid: str, now: float) -> None:
    """Ends the session: nothing is refreshed or exchanged from it any more, and its clients are told."""
    row = schema.sessions
    if store.run(update(row).where(row.c.sid == sid, row.c.ended.is_(None)).values(ended=now)) == 1:
        announce(store, sid, now)


def begin(store: Store, settings: ServerSettings, cookie: str, parameters: Parameters) -> Interaction:
    """Remembers a validated authorization request for this browser."""
    interaction = Interaction(fresh(), parameters, authenticated=False)
    row = {
        "id": interaction.id,
        "browser": digest(cookie),
        "parameters": parameters.as_json(),
        "authenticated": False,
        "expires": settings.clock() + settings.interaction_lifetime,
    }
    store.run(insert(schema.interactions), row)
    _bound(store)
    return interaction


def _bound(store: Store) -> None:
    """Anybody may begin: the oldest give way where too many do."""
    table = schema.interactions
    if (store.row(select(func.count().label("number")).select_from(table)) or {})["number"] > MOST_INTERACTIONS:
        oldest = select(table.c.id).order_by(table.c.expires).limit(MOST_INTERACTIONS // 10)
        store.run(delete(table).where(table.c.id.in_(oldest)))


def find_interaction(store: Store, identifier: str, cookie: str | None, now: float) -> Interaction | None:
    """The interaction, if it is this browser's and still open."""
    if not cookie:
        return None
    return _interaction(store.row(_INTERACTION, {"id": identifier, "browser": digest(cookie), "now": now}))


def mark_authenticated(store: Store, interaction: Interaction) -> None:
    """Notes that the person signed in within this interaction, so that they are not asked to do so again."""
    row = schema.interactions
    store.run(update(row).where(row.c.id == interaction.id).values(authenticated=True))


def finish(store: Store, interaction: Interaction) -> bool:
    """Closes the interaction. False when somebody else closed it first, so that it is answered once."""
    row = schema.interactions
    return store.run(update(row).where(row.c.id == interaction.id, row.c.expires > 0).values(expires=0)) == 1


def _replace(store: Store, old_cookie: str, subject: str, now: float) -> None:
    """A second login of the same person goes on with the first session's tokens; another person's ends them."""
    old = store.row(select(schema.sessions).where(schema.sessions.c.digest == digest(old_cookie)))
    if old is not None and old["subject"] != subject:
        sign_out(store, old["sid"], now)


def _interaction(row: Mapping[str, Any] | None) -> Interaction | None:
    if row is None:
        return None
    return Interaction(row["id"], Parameters.from_json(row["parameters"]), row["authenticated"])
