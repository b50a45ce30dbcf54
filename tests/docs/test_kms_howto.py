"""What the page on key services says is what the code does."""

import inspect
import json
import re
from pathlib import Path

import pytest
import yaml

from stead.identity import aws_keys
from stead.identity.vaults import VaultSettings

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "keep-the-vaults-key-in-your-kms.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", blocks("yaml"))
def test_every_example_loads(block: str) -> None:
    assert VaultSettings.model_validate(yaml.safe_load(block)["vault"]).keys in ("aws", "azure", "google", "transit")


def test_the_role_for_aws_may_do_exactly_what_is_asked() -> None:
    asked = re.findall(r'self\._ask\("([a-z_]+)"', inspect.getsource(aws_keys))
    crypto, describe = json.loads(blocks("json")[0])["Statement"]
    assert {f"kms:{name.title().replace('_', '')}" for name in asked} == {*crypto["Action"], describe["Action"]}
    bound = aws_keys.AwsKeys(yaml.safe_load(blocks("yaml")[0])["vault"]["aws_key"], "web-vault")._bound(b"place")
    [(condition, vaults)] = crypto["Condition"]["StringEquals"].items()
    assert bound[condition.removeprefix("kms:EncryptionContext:")] in vaults
    assert "Condition" not in describe, "describing a key has no context that a condition could look at"
