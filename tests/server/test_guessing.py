"""Passwords are not guessed at full speed, and guessing shuts nobody out for long, nor anybody else."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from stead.identity.server.guessing import FOR_A_NAME, FROM_A_PLACE, WINDOW
from tests.server.issuers import BROKER
from tests.server.parties import Browser, Login
from tests.server.world import World


@pytest.fixture(autouse=True)
def forgotten(world: World) -> Iterator[None]:
    """Other tests sign in at the same issuer, from the same place."""
    yield
    with closing(sqlite3.connect(world.issuer.settings.path)) as database, database:
        database.execute("DELETE FROM guesses")


async def login_page(world: World, browser: Browser) -> httpx.Response:
    return await browser.get("/authorize", Login().parameters(world.web, "openid broker:ask", BROKER))


async def tried(world: World, browser: Browser, username: str, password: str) -> httpx.Response:
    return await browser.submit(await login_page(world, browser), username=username, password=password)


async def test_after_so_many_wrong_passwords_the_right_one_has_to_wait_too(world: World) -> None:
    async with world.browser() as browser:
        for _ in range(FOR_A_NAME):
            assert (await tried(world, browser, "alice", "wrong")).status_code == 403
        waiting = await tried(world, browser, "alice", "alice-demo")
        assert (waiting.status_code, waiting.headers["retry-after"]) == (429, str(int(WINDOW)))
        assert "Too many wrong passwords" in waiting.text


async def test_another_person_signs_in_meanwhile(world: World) -> None:
    async with world.browser() as browser:
        for _ in range(FOR_A_NAME + 1):
            await tried(world, browser, "alice", "wrong")
        assert (await tried(world, browser, "bob", "bob-demo")).is_redirect


async def test_the_wait_ends(world: World) -> None:
    async with world.browser() as browser:
        for _ in range(FOR_A_NAME):
            await tried(world, browser, "alice", "wrong")
        world.issuer.clock.ahead += WINDOW + 1
        assert (await tried(world, browser, "alice", "alice-demo")).is_redirect


async def test_the_right_password_forgives_wrong_ones_before_it(world: World) -> None:
    async with world.browser() as browser:
        for _ in range(2):
            for _ in range(FOR_A_NAME - 1):
                assert (await tried(world, browser, "alice", "wrong")).status_code == 403
            async with world.browser() as another:
                assert (await tried(world, another, "alice", "alice-demo")).is_redirect


async def test_password_spraying_one_password_at_many_names_is_slow_as_well(world: World) -> None:
    async with world.browser() as browser:
        page = await login_page(world, browser)
        answers = [
            (await browser.submit(page, username=f"name-{number}", password="summer")).status_code
            for number in range(FROM_A_PLACE + 1)
        ]
    assert answers == [403] * FROM_A_PLACE + [429]
