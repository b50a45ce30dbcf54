"""A person's browser at this issuer: its session, and the sign-in or consent that is under way in it.

One host-only cookie with a random value; the tables hold its digest. It changes at each login, and when a session is
raised (session fixation). A person who signs in again, or proves more, keeps the session's `sid`: so signing out ends
what was issued before, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or_update

from stead.identity.server import schema
from stead.identity.server.authorization import ACR_MFA, ACR_PASSWORD, AMR_MFA, AMR_PASSWORD
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
    """A person who signed in, when and how. `sid` is what tokens carry."""

    sid: str
    subject: str
    auth_time: int
    acr: str
    amr: tuple[str, ...]


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
    if row is None:
        return None
    return Session(row["sid"], row["subject"], row["auth_time"], row["acr"], tuple(row["amr"]))


def session_is_live(store: Store, sid: str, now: float) -> bool:
    """False after logout or expiry: then nothing more is issued from it."""
    row = store.row(_BY_SID, {"sid": sid})
    return row is not None and row["ended"] is None and row["expires"] > now


def sign_in(store: Store, settings: ServerSettings, old_cookie: str | None, subject: str) -> tuple[str, Session]:
    """Starts a session by password under a new cookie; what was under way in the old one goes on in the new.

    The same person's session goes on as no more than that; another person's ends.
    """
    now = settings.clock()
    before = current_session(store, old_cookie, now)
    if before is not None and before.subject != subject:
        sign_out(store, before.sid, now)
        before = None
    session = Session(fresh(128) if before is None else before.sid, subject, int(now), ACR_PASSWORD, AMR_PASSWORD)
    return _under_a_new_cookie(store, settings, old_cookie, session), session


def raise_session(store: Store, settings: ServerSettings, old_cookie: str, session: Session) -> tuple[str, Session]:
    """The same session once its person proved a second factor, now and under a new cookie."""
    raised = replace(session, auth_time=int(settings.clock()), acr=ACR_MFA, amr=AMR_MFA)
    return _under_a_new_cookie(store, settings, old_cookie, raised), raised


def _under_a_new_cookie(store: Store, settings: ServerSettings, old_cookie: str | None, session: Session) -> str:
    cookie = fresh()
    row = {
        "digest": digest(cookie),
        "sid": session.sid,
        "subject": session.subject,
        "auth_time": session.auth_time,
        "acr": session.acr,
        "amr": list(session.amr),
        "expires": settings.clock() + settings.session_lifetime,
    }
    store.run(insert_or_update(schema.sessions).values(row).on_conflict_do_update(index_elements=["sid"], set_=row))
    if old_cookie:
        moved = update(schema.interactions).where(schema.interactions.c.browser == digest(old_cookie))
        # Who signed in there was not this person, or not now: each visit asks again what it wanted of a sign-in.
        store.run(moved.values(browser=digest(cookie), authenticated=False))
    return cookie


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


def _interaction(row: Mapping[str, Any] | None) -> Interaction | None:
    if row is None:
        return None
    return Interaction(row["id"], Parameters.from_json(row["parameters"]), row["authenticated"])
