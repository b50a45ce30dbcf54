"""Data keys wrapped by a key of AWS KMS, through botocore, which is the extra `aws`. Imported only where it is chosen.

The wrapping key never leaves the service, which sees data keys only. Credentials are found as all of AWS's tools find
them: environment, web identity (IRSA), container, instance, profile.
"""

import base64
import logging
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from stead.identity.errors import ConfigurationError, IdentityError, ProviderUnavailable
from stead.identity.vault_keys import Wrapped

NAME = (
    r"^arn:(?P<partition>aws[a-z-]*):kms:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12})"
    r":(key|alias)/[A-Za-z0-9/_-]{1,256}$"
)
"""A key or an alias, by its ARN: that says account and region, so that nothing else has to."""

CONNECT, READ, ATTEMPTS = 2.0, 4.0, 2
"""Seconds for a connection and for its answer, and how often it is tried."""

_PASSING = frozenset(
    {
        "DependencyTimeoutException",
        "KeyUnavailableException",
        "KMSInternalException",
        "LimitExceededException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""Codes of errors that pass by themselves; any other with status 4xx has to be mended by somebody."""


class AwsKeys:
    """The key of AWS KMS that an ARN names. Of an alias, the key that it leads to now.

    Wrapped keys are bound to `purpose` and to their place by the encryption context, which AWS's own log shows: neither
    tells a person. A key opens what it wrapped if it is of the same account and region, whichever the alias leads to.
    """

    def __init__(self, key: str, purpose: str, *, endpoint: str | None = None) -> None:
        self._key = key
        self._purpose = purpose
        self._endpoint = endpoint
        self._home = _home(key)

    def current(self) -> str:
        answer = self._ask("describe_key", KeyId=self._key)
        return self._ours(answer.get("KeyMetadata", {}).get("Arn"))

    def knows(self, by: str) -> bool:
        return _home(by) == self._home

    def wrap(self, key: bytes, context: bytes) -> Wrapped:
        answer = self._ask("encrypt", KeyId=self._key, Plaintext=key, EncryptionContext=self._bound(context))
        sealed = answer.get("CiphertextBlob")
        if not isinstance(sealed, bytes) or not sealed:
            raise ProviderUnavailable("AWS KMS gave no wrapped key.")
        return Wrapped(self._ours(answer.get("KeyId")), sealed)

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        if not self.knows(wrapped.by):
            # A file that somebody altered must not lead us to a key of theirs.
            raise ConfigurationError(
                f"The vault was sealed by the key {wrapped.by}, not by one of the account and region of vault.aws_key.",
                hint="Name in vault.former what sealed it, and run `stead vault rotate`.",
            )
        blob, bound = wrapped.sealed, self._bound(context)
        answer = self._ask("decrypt", KeyId=wrapped.by, CiphertextBlob=blob, EncryptionContext=bound)
        plain = answer.get("Plaintext")
        if answer.get("KeyId") != wrapped.by or not isinstance(plain, bytes):
            raise ProviderUnavailable("AWS KMS gave no key, or another one's.")
        return plain

    def _bound(self, context: bytes) -> dict[str, str]:
        return {"stead:vault": self._purpose, "stead:place": base64.urlsafe_b64encode(context).decode()}

    def _ours(self, arn: object) -> str:
        if not isinstance(arn, str) or ":key/" not in arn or not self.knows(arn):
            raise ProviderUnavailable("AWS KMS named a key that is not of the account and region of vault.aws_key.")
        return arn

    def _ask(self, operation: str, **members: Any) -> Mapping[str, Any]:
        client = self._client
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        try:
            answer: Mapping[str, Any] = getattr(client, operation)(**members)
        except ClientError as error:
            raise _refusal(error.response) from None
        except NoCredentialsError:
            raise ConfigurationError(
                "There are no credentials for AWS KMS.", hint="As for any AWS client: environment, role or profile."
            ) from None
        except BotoCoreError:
            # Its text may quote the request.
            raise ProviderUnavailable("AWS KMS cannot be reached.", hint="Check vault.aws_endpoint.") from None
        return answer

    @cached_property
    def _client(self) -> Any:
        try:
            from botocore.config import Config
            from botocore.session import Session
        except ModuleNotFoundError:
            raise ConfigurationError(
                "vault.keys is aws, but botocore is not installed.", hint="Install `stead[aws]`."
            ) from None
        # At the level DEBUG botocore writes down every request: a data key is in it.
        logging.getLogger("botocore").setLevel(logging.INFO)
        settings = Config(
            connect_timeout=CONNECT,
            read_timeout=READ,
            retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
            proxies={},
            ignore_configured_endpoint_urls=True,
        )
        return Session().create_client("kms", self._home[1], endpoint_url=self._endpoint, config=settings)


def _home(arn: str) -> tuple[str, str, str]:
    """Partition, region and account of an ARN; of anything else, what no ARN has."""
    match = re.fullmatch(NAME, arn)
    return ("", "", "") if match is None else (match["partition"], match["region"], match["account"])


def _refusal(response: Mapping[str, Any]) -> IdentityError:
    """What an error of the service means for us. Its code is told, its message is not."""
    given = str(response.get("Error", {}).get("Code"))
    code = given if re.fullmatch(r"[A-Za-z]{1,64}", given) else "unknown"
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code not in _PASSING and status in (400, 401, 403, 404):
        return ConfigurationError(
            f"AWS KMS refused: {code}.",
            hint="Check vault.aws_key, that it is symmetric and enabled, and that kms:Encrypt, kms:Decrypt and "
            "kms:DescribeKey are allowed to us.",
        )
    return ProviderUnavailable(f"AWS KMS cannot answer at the moment: {code}.", hint="Try again in a moment.")
