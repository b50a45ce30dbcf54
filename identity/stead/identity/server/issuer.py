"""One issuer at work: what every endpoint and grant is given."""

from dataclasses import dataclass
from functools import cached_property

from joserfc.jwk import ECKey

from stead.identity.jwks import Keys
from stead.identity.nonces import Nonces
from stead.identity.server.keyring import KeyRing
from stead.identity.server.settings import ServerSettings
from stead.identity.server.store import Store
from stead.identity.types import Json


@dataclass(frozen=True)
class Issuer:
    """Settings, store and signing key. Belongs, like the store, to the worker thread."""

    settings: ServerSettings
    store: Store

    @cached_property
    def ring(self) -> KeyRing:
        """The signing keys, over time."""
        return KeyRing(self.settings.home, self.settings.key_name)

    @property
    def key(self) -> ECKey:
        """The key that signs everything this issuer says now."""
        return self.ring.signing(self.now())

    @property
    def keys(self) -> Keys:
        """The public halves, for checking what comes back."""
        return self.ring.own()

    @property
    def jwks(self) -> Json:
        """The published document."""
        return self.ring.published(self.now())

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
