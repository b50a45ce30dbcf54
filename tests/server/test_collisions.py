"""A client's name and a person's subject are never the same: both are `sub`, and whoever owns a task is told by it."""

import pytest
from joserfc.jwk import ECKey

from stead.identity.errors import ConfigurationError
from stead.identity.server import Seed, SeedClient, SeedPerson, seed
from tests.server.admission import metadata_of, register
from tests.server.world import World


@pytest.mark.parametrize("name", ["alice", "Alice", "bob", " admin "])
async def test_a_client_that_registers_as_a_person_does_not_become_their_subject(world: World, name: str) -> None:
    response = await register(world, metadata_of(ECKey.generate_key("P-256"), client_name=name))
    assert response.status_code == 201
    assert response.json()["client_id"] not in ("alice", "bob", "admin")


async def test_a_person_whose_subject_is_a_client_is_not_seeded(world: World) -> None:
    person = SeedPerson("broker", "mallory", "Mallory", "mallory-demo", ("customer",))
    with pytest.raises(ConfigurationError, match="broker"):
        seed(world.issuer.settings, Seed(persons=(person,)))


async def test_a_client_whose_name_is_a_subject_is_not_seeded(world: World) -> None:
    with pytest.raises(ConfigurationError, match="alice"):
        seed(world.issuer.settings, Seed(clients=(SeedClient("alice", "Alice", world.issuer.home.key("alice")),)))
