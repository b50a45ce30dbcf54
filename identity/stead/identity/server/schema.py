"""The tables of one issuer. Credentials are stored as SHA-256 digests only, and sealed where they are needed again.

A column that a later release adds may be null or has a default: `Store` adds it to older databases.
"""

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table

metadata = MetaData()

persons = Table(
    "persons",
    metadata,
    Column("subject", String, primary_key=True),
    Column("username", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("password", String, nullable=False),
    Column("sample_password", String),
    Column("roles", JSON, nullable=False),
    Column("claims", JSON, nullable=False),
    Column("authenticator", LargeBinary),
    Column("last_code", Integer),
)

clients = Table(
    "clients",
    metadata,
    Column("client_id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("jwks", String),
    Column("thumbprint", String, index=True),
    Column("redirect_uris", JSON, nullable=False),
    Column("post_logout_redirect_uris", JSON, nullable=False),
    Column("grants", JSON, nullable=False),
    Column("details_types", JSON, nullable=False),
    Column("first_party", Boolean, nullable=False),
    Column("pushed_only", Boolean, nullable=False),
    Column("created", Float, nullable=False),
)

audiences = Table(
    "audiences",
    metadata,
    Column("audience", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("client_id", String, index=True),
    Column("joined", Boolean, nullable=False),
)

# One row for each role that is entitled; a scope that only services have has one row without a role.
scopes = Table(
    "scopes",
    metadata,
    Column("audience", String, primary_key=True),
    Column("scope", String, primary_key=True),
    Column("role", String, primary_key=True),
)

edges = Table(
    "edges",
    metadata,
    Column("client_id", String, primary_key=True),
    Column("audience", String, primary_key=True),
    Column("scope", String, primary_key=True),
    Column("mode", String, primary_key=True),
    Column("joined_by", String, index=True),
)

# Wrong passwords, each until it is forgotten.
guesses = Table(
    "guesses",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String, nullable=False, index=True),
    Column("expires", Float, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", String, primary_key=True),
    Column("sid", String, nullable=False, unique=True),
    Column("subject", String, nullable=False),
    Column("auth_time", Integer, nullable=False),
    Column("acr", String, nullable=False, server_default="urn:stead:acr:pwd"),
    Column("amr", JSON, nullable=False, server_default='["pwd"]'),
    Column("expires", Float, nullable=False),
    Column("ended", Float),
)

# Where clients want to be told that a session ended, which of them were told who signed in, and what is to be told.
logout_addresses = Table(
    "logout_addresses",
    metadata,
    Column("client_id", String, primary_key=True),
    Column("uri", String, nullable=False),
)

participants = Table(
    "participants",
    metadata,
    Column("sid", String, primary_key=True),
    Column("client_id", String, primary_key=True),
    Column("subject", String, nullable=False),
    Column("expires", Float, nullable=False),
)

notices = Table(
    "logout_notices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("client_id", String, nullable=False),
    Column("uri", String, nullable=False),
    Column("sid", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", Float, nullable=False, index=True),
    Column("expires", Float, nullable=False),
)

interactions = Table(
    "interactions",
    metadata,
    Column("id", String, primary_key=True),
    Column("browser", String, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("authenticated", Boolean, nullable=False),
    Column("expires", Float, nullable=False),
)

pushed = Table(
    "pushed_requests",
    metadata,
    Column("digest", String, primary_key=True),
    Column("client_id", String, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("expires", Float, nullable=False),
)

remembered = Table(
    "remembered_consents",
    metadata,
    Column("subject", String, primary_key=True),
    Column("client_id", String, primary_key=True),
    Column("audience", String, primary_key=True),
    Column("scope", String, primary_key=True),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", String, primary_key=True),
    Column("subject", String, nullable=False),
    Column("client_id", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("family", String),
    Column("details", JSON, nullable=False),
    Column("expires", Float, nullable=False),
    Column("redeemed", Integer, nullable=False),
    Index("approvals_by_request", "digest", "client_id", "subject"),
)

# Everything issued from one login at one client: revoking the family revokes it all.
families = Table(
    "families",
    metadata,
    Column("id", String, primary_key=True),
    Column("revoked", Float),
    Column("expires", Float, nullable=False),
)

codes = Table(
    "codes",
    metadata,
    Column("digest", String, primary_key=True),
    Column("client_id", String, nullable=False),
    Column("redirect_uri", String, nullable=False),
    Column("challenge", String, nullable=False),
    Column("nonce", String),
    Column("family", String, nullable=False),
    Column("authorization", JSON, nullable=False),
    Column("expires", Float, nullable=False),
    Column("claimed", Float),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("digest", String, primary_key=True),
    Column("client_id", String, nullable=False),
    Column("family", String, nullable=False, index=True),
    Column("authorization", JSON, nullable=False),
    Column("expires", Float, nullable=False),
    Column("used", Float),
)

tokens = Table(
    "access_tokens",
    metadata,
    Column("jti", String, primary_key=True),
    Column("parent", String, index=True),
    Column("family", String, index=True),
    Column("sid", String),
    Column("client_id", String, nullable=False),
    Column("expires", Float, nullable=False, index=True),
    Column("revoked", Float),
)

proofs = Table(
    "spent_proofs",
    metadata,
    Column("thumbprint", String, primary_key=True),
    Column("jti", String, primary_key=True),
    Column("expires", Float, nullable=False),
)

assertions = Table(
    "spent_assertions",
    metadata,
    Column("client_id", String, primary_key=True),
    Column("jti", String, primary_key=True),
    Column("expires", Float, nullable=False),
)
