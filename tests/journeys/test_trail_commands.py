"""An auditor's questions to a running network, asked by the command line: is it whole, who, through whom, for whom."""

import json
from pathlib import Path

import pytest

from tests.journeys.finport import FinPort

PAY = "Transfer 250 EUR to Bob's savings"


@pytest.fixture(scope="module")
async def task(finport: FinPort) -> str:
    code, answer = await finport.ask(PAY, "alice", "--approve")
    assert code == 0
    await finport.trail(answer["task"])
    return str(answer["task"])


async def test_a_running_network_is_whole_by_its_files_and_by_its_collector(finport: FinPort, task: str) -> None:
    code, out, err = await finport.stead("trail", "verify", "--as", "admin")
    assert (code, out.strip()) == (0, "Every chain is whole."), err


async def test_who_is_answered_in_a_sentence_for_each_hop(finport: FinPort, task: str) -> None:
    code, out, err = await finport.stead("trail", "who", "--task", task, "--json")
    assert code == 0, err
    said = [hop["sentence"] for hop in json.loads(out)["hops"]]
    assert any(sentence.startswith("Broker, on behalf of Alice, asked Transfer for transfer.send") for sentence in said)
    assert any("authorized by Alice at Northbank" in sentence and "allowed by" in sentence for sentence in said)
    code, out, err = await finport.stead("trail", "who", "--task", task)
    assert code == 0, err
    assert all(sentence[:40] in " ".join(out.split()) for sentence in said)


async def test_what_was_done_for_a_person_is_theirs_and_an_auditors_to_read(finport: FinPort, task: str) -> None:
    for words in (("--user", "alice"), ("--user", "alice", "--as", "admin")):
        code, out, err = await finport.stead("trail", "for", *words, "--since", "1h", "--json")
        assert code == 0, err
        hops = json.loads(out)["hops"]
        assert task in {hop["task"] for hop in hops}
        assert {"portfolio.summary", "transfer.send"} & {hop["resource"] for hop in hops}
        assert not any(hop["grant"] == "s2s" for hop in hops)
    code, _, err = await finport.stead("trail", "for", "--user", "alice", "--as", "bob")
    assert code != 0
    assert "own stead" in err


async def test_the_journals_are_checked_elsewhere_with_nothing_but_files_and_public_keys(
    finport: FinPort, task: str, tmp_path: Path
) -> None:
    exported, keys = tmp_path / "events.jsonl", tmp_path / "keys.json"
    for path, words in ((exported, ("trail", "events")), (keys, ("trail", "keys"))):
        code, out, err = await finport.stead(*words)
        assert code == 0, err
        path.write_text(out)
    elsewhere = FinPort(type(finport.home)(tmp_path / "nothing"), {}, finport.launcher)
    check = ("trail", "verify", "--file", str(exported), "--keys", str(keys), "--json")
    lines = exported.read_text().splitlines(keepends=True)
    exported.write_text("".join(line for line in lines if task not in line))
    code, out, _ = await elsewhere.stead(*check)
    assert (code, json.loads(out)["whole"]) == (1, False)
    assert any(finding["problem"] == "missing" for finding in json.loads(out)["details"])


@pytest.mark.parametrize("form", ["ocsf", "ecs"])
async def test_every_event_can_be_sent_to_another_system(finport: FinPort, task: str, form: str) -> None:
    code, out, err = await finport.stead("trail", "events", form)
    assert code == 0, err
    ids = [json.loads(line)["metadata" if form == "ocsf" else "event"] for line in out.splitlines()]
    assert len({each["uid" if form == "ocsf" else "id"] for each in ids}) == len(ids) > 8
    assert "Alice" not in out
    assert "Transfer 250" not in out
