"""One issuer at work: what every endpoint and grant is given."""

from dataclasses import dataclass
from functools import cached_property

from joserfc.jwk import ECKey

from stead.identity.jwks import Keys, load_keys
from stead.identity.nonces import Nonces
from stead.identity.server.settings import ServerSettings
from stead.identity.server.store import Store
from stead.identity.types import Json


@dataclass(frozen=True)
class Issuer:
    """Settings, store and signing key. Belongs, like the store, to the worker thread."""

    settings: ServerSettings
    store: Store

    @cached_property
    def key(self) -> ECKey:
        """The key that signs everything this issuer says."""
        return self.settings.home.key(self.settings.key_name)

    @cached_property
    def keys(self) -> Keys:
        """The public half, for checking what comes back."""
        return load_keys(self.jwks)

    @cached_property
    def jwks(self) -> Json:
        """The published document: no private member (RFC 7517 s5)."""
        return {"keys": [{**self.key.as_dict(private=False), "alg": "ES256", "use": "sig"}]}

    @cached_property
    def nonces(self) -> Nonces | None:
        """Where proofs must carry a nonce."""
        settings = self.settings
        secret = settings.home.secret(f"{settings.key_name}-nonces") if settings.proof_nonces else None
        return None if secret is None else Nonces(secret, settings.clock)

    @property
    def name(self) -> str:
        return self.settings.issuer

    def now(self) -> float:
        """Seconds since the epoch, by the one clock."""
        return self.settings.clock()
