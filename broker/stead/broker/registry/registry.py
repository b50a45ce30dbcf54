"""The registry: which agents and MCP servers there are, kept fresh, and what of them a plan may use."""

import asyncio
import logging
import random
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx

from stead.broker.errors import BrokerError, NotRegistrable, UnknownEntry
from stead.broker.plans import Candidate
from stead.broker.registry.cards import agent_entry, read_card, slug
from stead.broker.registry.catalogue import Catalogue
from stead.broker.registry.edges import Edges
from stead.broker.registry.entries import Entry, Kind, Status
from stead.broker.registry.servers import read_server
from stead.identity.addresses import may_reach
from stead.identity.errors import IdentityError
from stead.identity.home import Network
from stead.identity.workload import Workload

IMPATIENT, PATIENT = 0.5, 30.0
"""Seconds between looks at an entry: while it was not reached yet, and once it was."""

GATHERING = 10.0

_log = logging.getLogger(__name__)


class Registry:
    """All entries in memory, in the database, and looked at again in the background."""

    def __init__(self, workload: Workload, catalogue: Catalogue) -> None:
        self._workload = workload
        self._catalogue = catalogue
        self._edges = Edges(workload)
        self._entries: dict[str, Entry] = {}
        self._looked = asyncio.Event()
        self._changing = asyncio.Lock()

    async def open(self, network: Network) -> None:
        """Reads what is kept, and enters the network's own agents and servers."""
        await self._catalogue.open()
        self._entries = {entry.name: entry for entry in await self._catalogue.all()}
        seeds: tuple[tuple[Kind, Mapping[str, str]], ...] = (("agent", network.agents), ("mcp", network.mcp_servers))
        for kind, origins in seeds:
            for name, url in origins.items():
                known = self._entries.get(name)
                if known is None or known.url != url:
                    await self._keep(Entry(name=name, kind=kind, url=url, seeded=True))

    async def refresh(self) -> None:
        """Looks at every entry again and again, for as long as the process lives."""
        pause = IMPATIENT
        while True:
            before = self.entries()
            await asyncio.gather(*(self._look(entry) for entry in before), return_exceptions=True)
            self._looked.set()
            settled = all(entry.status in (Status.READY, Status.CLOSED) for entry in self._entries.values())
            pause = PATIENT if settled else IMPATIENT if self.entries() != before else min(pause * 1.5, PATIENT)
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311

    async def looked(self) -> None:
        """Waits until every entry was looked at once, or long enough."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHERING):
                await self._looked.wait()

    def entries(self) -> list[Entry]:
        """Every entry, by name."""
        return sorted(self._entries.values(), key=lambda entry: entry.name)

    def entry(self, name: str) -> Entry:
        """The entry of this name. Raises `UnknownEntry`."""
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownEntry(
                f"No agent or MCP server “{name[:60]}” is registered.", hint="See GET /registry."
            ) from None

    async def candidates(self) -> tuple[Candidate, ...]:
        """What a plan may use: the skills and tools for which this broker has an edge."""
        offered = (candidate for entry in self.entries() if _usable(entry) for candidate in entry.candidates())
        return await self._edges.allow(tuple(offered))

    async def add(self, url: str, kind: Kind | None = None, name: str | None = None) -> Entry:
        """Enters what answers at the origin `url`. Raises `NotRegistrable`, also when nothing answers.

        The same origin again is the same entry, looked at anew.
        """
        origin = _origin(url)
        _check_reach(origin, self._workload.url)
        known = next((entry for entry in self._entries.values() if entry.url == origin), None)
        entry = await self._read(known.name if known else name, origin, known.kind if known else kind)
        self._edges.forget()
        await self._keep(entry)
        return entry

    async def remove(self, name: str) -> None:
        """Forgets an entry; the network's own come back at the next start. Raises `UnknownEntry`."""
        self.entry(name)
        async with self._changing:
            self._entries.pop(name, None)
            await self._catalogue.remove(name)

    def examples(self, limit: int = 12) -> list[str]:
        """Example prompts of the registered skills, the first of each before the second of any."""
        lists = [skill.examples for entry in self.entries() if entry.kind == "agent" for skill in entry.skills]
        longest = max(map(len, lists), default=0)
        ordered = [examples[turn] for turn in range(longest) for examples in lists if turn < len(examples)]
        return list(dict.fromkeys(ordered))[:limit]

    async def _keep(self, entry: Entry) -> None:
        async with self._changing:
            self._entries[entry.name] = entry
            await self._catalogue.put(entry)

    async def _look(self, entry: Entry) -> None:
        try:
            seen = await self._read(entry.name, entry.url, entry.kind)
        except BrokerError as error:
            seen = entry.model_copy(update={"status": Status.UNREACHABLE, "note": error.description})
        seen = seen.model_copy(update={"seeded": entry.seeded})
        async with self._changing:
            if self._entries.get(entry.name) is entry and seen != entry:
                self._entries[entry.name] = seen
                await self._catalogue.put(seen)

    async def _read(self, name: str | None, url: str, kind: Kind | None) -> Entry:
        try:
            entry = await self._identify(name, url, kind)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotRegistrable(f"Nothing usable answers at {url}.", hint="Is it running?") from error
        except IdentityError as error:
            raise NotRegistrable(f"{url}: {error.description}", hint=error.hint) from error
        except BrokerError:
            raise
        except Exception as error:  # whatever a foreign server makes an SDK raise
            _log.warning("%s could not be read: %s", url, type(error).__name__)
            raise NotRegistrable(f"What answers at {url} could not be read.") from error
        if entry is None:
            raise NotRegistrable(f"At {url} is neither an A2A agent nor an MCP server.")
        return entry

    async def _identify(self, name: str | None, url: str, kind: Kind | None) -> Entry | None:
        if kind != "mcp":
            card = await read_card(url, self._workload.bare)
            if card is not None:
                return agent_entry(name or self._free_name(str(card.get("name", ""))), url, card)
        if kind != "agent":
            entry = await read_server(name or "", url, self._workload)
            return entry and (entry if name else entry.model_copy(update={"name": self._free_name(entry.title)}))
        return None

    def _free_name(self, title: str) -> str:
        wanted = slug(title)
        taken = (f"{wanted}_{number}" for number in range(2, 1000))
        return wanted if wanted not in self._entries else next(name for name in taken if name not in self._entries)


def _usable(entry: Entry) -> bool:
    """An entry that was read once is planned with, also while it does not answer: the step will say so."""
    return entry.status is not Status.CLOSED and bool(entry.skills)


def _origin(url: str) -> str:
    """Raises `NotRegistrable` unless `url` is an http(s) origin, with nothing but a slash after it."""
    parts = urlsplit(url.strip())
    try:
        port = parts.port
    except ValueError:
        port = -1
    plain = parts.scheme in ("http", "https") and parts.hostname and port != -1
    if not plain or parts.username or parts.query or parts.fragment or parts.path not in ("", "/"):
        raise NotRegistrable("That is not an origin.", hint="Give it as http://host:port, without a path.")
    return f"{parts.scheme}://{parts.netloc}".lower()


def _check_reach(origin: str, own: str) -> None:
    """An address that only this process reaches is nobody's service; a cloud's credentials may lie there."""
    if not may_reach(urlsplit(origin).hostname or "", urlsplit(own).hostname or ""):
        raise NotRegistrable(
            "That address is nearer to the broker than the broker is to others.",
            hint="Give the address at which everybody reaches the service.",
        )


def describe(entries: list[Entry], candidates: tuple[Candidate, ...]) -> dict[str, Any]:
    """The registry as JSON."""
    planned = frozenset(candidate.key for candidate in candidates)
    return {"entries": [entry.as_json(planned) for entry in entries]}
