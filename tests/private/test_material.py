"""Correlation files: two recipients, one use; whatever is wrong with a file is named before anything is sent."""

from __future__ import annotations

import shutil
import threading

import numpy as np
import pytest

from moiety import ProtocolError
from moiety.private.link import PeerError
from moiety.private.material import MaterialFile, deal_files, dealt_batch


def _open(site, path, role="client", program=None):
    return MaterialFile(path, role, (program or site.program).hash, site.path(f"{role}-state"))


def test_an_inference_from_files_uses_a_serial_on_both_sides(site):
    server, client = site.files(count=2)
    site.server(correlations=[server])
    for used in ({0}, {0, 1}):
        site.infer(correlations=client)
        for path, role in ((server, "server"), (client, "client")):
            file = _open(site, path, role)
            assert file.ledger.used(file.deal) == used
            assert set(file.unused()) == {0, 1} - used
            file.close()
    with pytest.raises(ProtocolError, match="is used up: expected an unused serial, came 2 used ones; deal new files"):
        site.infer(correlations=client)


def test_a_chain_goes_through_the_file(site):
    server, client = site.files(count=3)
    site.server(correlations=[server])
    with site.client(correlations=client) as session:
        for _ in range(3):
            session.infer(np.zeros((2, 6), np.float32))


def test_files_are_private_and_say_what_they_are_for(site):
    server, client = site.files(batch=5, count=1)
    for path in (server, client):
        assert path.stat().st_mode & 0o777 == 0o600
        assert dealt_batch(path) == 5
    assert _close(_open(site, server, "server")).weight_seed is not None
    assert _close(_open(site, client)).weight_seed is None


def _close(file):
    file.close()
    return file


def test_a_used_record_is_erased(site):
    _, client = site.files()
    file = _open(site, client)
    assert file.claim(1)
    seed = bytes(file.read(1).seed)
    file.close()
    assert any(seed)
    assert seed not in client.read_bytes()


def test_the_files_restored_from_a_copy_bring_nothing_back(site, tmp_path):
    """One side restores its file, its ledger, or both: the serial stays used."""
    server, client = site.files(count=1)
    site.server(correlations=[server])
    saved = shutil.copy2(client, tmp_path / "saved")
    site.infer(correlations=client)
    shutil.copy2(saved, client)  # the file alone: this side's ledger knows
    with pytest.raises(ProtocolError, match="used up"):
        site.infer(correlations=client)
    shutil.rmtree(site.path("client-state"))  # file and ledger: the other side's ledger knows
    with pytest.raises(PeerError, match="no serial is left that neither side has used: expected one of 1"):
        site.infer(correlations=client)


def test_a_lost_ledger_alone_brings_nothing_back(site):
    server, client = site.files(count=1)
    site.server(correlations=[server])
    site.infer(correlations=client)
    shutil.rmtree(site.path("client-state"))
    with pytest.raises(ProtocolError, match="used up"):
        site.infer(correlations=client)


def test_a_server_that_lost_file_and_ledger_reuses_nothing(site, tmp_path):
    paths = site.files(count=2)
    saved = shutil.copy2(paths[0], tmp_path / "saved")
    first = site.server(correlations=[paths[0]])
    site.infer(correlations=paths[1])
    first.end()
    shutil.copy2(saved, paths[0])
    shutil.rmtree(site.path("server-state") / "ledger")
    site.server(correlations=[paths[0]])
    site.infer(correlations=paths[1])
    file = _close(_open(site, paths[1]))
    assert file.ledger.used(file.deal) == {0, 1}


def test_concurrent_sessions_take_different_serials(site):
    server, client = site.files(count=12)
    site.server(correlations=[server], max_clients=4)
    errors: list[BaseException] = []

    def run() -> None:
        try:
            for _ in range(3):
                site.infer(correlations=client)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    files = [_close(_open(site, path, role)) for path, role in ((server, "server"), (client, "client"))]
    # Nine inferences; a race between two clients may cost a serial, never share one.
    assert len(files[1].ledger.used(files[1].deal)) == 9
    assert files[0].ledger.used(files[0].deal) >= files[1].ledger.used(files[1].deal)


def test_a_client_that_dies_after_the_claim_costs_its_serial(site):
    server, client = site.files(count=2)
    site.server(correlations=[server])
    dying = site.client(correlations=client)
    dying._link.send("infer", **dying._source.offer())
    serial = dying._link.receive("session")["serial"]
    dying._link.abort()
    dying.close(RuntimeError("died"))
    site.infer(correlations=client)
    file = _close(_open(site, client))
    assert file.ledger.used(file.deal) == {1 - serial}
    with pytest.raises(PeerError, match="the server has 0 unused, the client 1, none in common"):
        site.infer(correlations=client)


def test_swapped_files_are_refused(site):
    server, client = site.files()
    with pytest.raises(ValueError, match=r"expected the client's file, came the server's; .*swapped"):
        site.client(correlations=server)
    with pytest.raises(ValueError, match="expected the server's file, came the client's"):
        site.server(correlations=[client])


@pytest.mark.parametrize("cut", [1, 40, 5000])
def test_a_truncated_file_is_refused(site, cut):
    _, client = site.files()
    data = client.read_bytes()
    client.write_bytes(data[: max(0, len(data) - cut)] if cut < 5000 else data[:10])
    with pytest.raises(ValueError, match=r"expected .*, came .*truncated"):
        site.client(correlations=client)


def test_an_altered_file_is_refused(site, make_toy):
    _, client = site.files()
    data = bytearray(client.read_bytes())
    cases = {
        "another kind": data[:0] + b"PK\3\4" + data[4:],
        "version 7": data[:8] + b"\7" + data[9:],
        "matches its checksum": data[:60] + bytes([data[60] ^ 1]) + data[61:],
    }
    for words, altered in cases.items():
        client.write_bytes(altered)
        with pytest.raises(ValueError, match=words):
            site.client(correlations=client)
    client.write_bytes(data)
    with pytest.raises(ValueError, match=r"expected program .*, came program"):
        site.client(correlations=client, program=make_toy(outputs=3))
    client.chmod(0o644)
    with pytest.raises(ValueError, match=r"expected mode 600.*came mode 644; chmod 600 it"):
        site.client(correlations=client)
    with pytest.raises(ValueError, match="is not there: `moiety deal` makes"):
        site.client(correlations=client.with_name("none"))


def test_a_damaged_record_is_refused_on_both_sides_and_stays_used(site, logged):
    server, client = site.files(count=2)
    site.server(correlations=[server])
    data = bytearray(client.read_bytes())
    data[-40] ^= 1  # the last record
    client.write_bytes(data)
    site.infer(correlations=client)  # the first record is whole
    with pytest.raises(ProtocolError, match=r"record 1 is damaged: expected .* bytes that match"):
        site.infer(correlations=client)
    logged("record 1 is damaged")
    file = _close(_open(site, client))
    assert file.ledger.used(file.deal) == {0, 1}


def test_files_of_another_deal_are_refused_on_both_sides(site, logged):
    server, _ = site.files("a")
    _, client = site.files("b")
    site.server(correlations=[server])
    with pytest.raises(ProtocolError, match=r"correlation files of deal: expected .*, came .*; weight epoch: expected"):
        site.client(correlations=client)
    logged("correlation files of deal: expected")


def test_a_server_takes_files_of_several_deals(site):
    a, b = site.files("a"), site.files("b")
    site.server(correlations=[a[0], b[0]])
    site.infer(correlations=b[1])
    site.infer(correlations=a[1])


def test_an_epoch_goes_on_in_a_second_deal(site):
    """With the dealer's state the mask stays, so the client keeps E; the seeds of the records are new."""
    program, state = site.program.without_weights(), site.path("dealer-state")
    first = [site.path("1s"), site.path("1c")]
    second = [site.path("2s"), site.path("2c")]
    epoch = deal_files(program, 2, 1, *first, comparison="circuit", state=state)
    assert deal_files(program, 2, 1, *second, comparison="circuit", state=state, epoch=epoch) == epoch
    server = site.server(correlations=[first[0], second[0]])
    site.infer(correlations=first[1])
    before = len(list((site.path("client-state") / "masks").iterdir()))
    site.infer(correlations=second[1])
    assert len(list((site.path("client-state") / "masks").iterdir())) == before == 1
    server.end()
    assert first[0].read_bytes()[-60:] != second[0].read_bytes()[-60:]


def test_other_weights_with_the_same_file_are_refused(site, make_toy, logged):
    server, client = site.files(count=4)
    first = site.server(correlations=[server])
    site.infer(correlations=client)
    first.end()
    site.server(correlations=[server], program=make_toy(weights=2))
    with pytest.raises(ProtocolError, match="belongs to other weights: expected a new epoch"):
        site.client(correlations=client)
    logged("belongs to other weights")


def test_a_batch_that_was_not_dealt_for_is_refused(site):
    server, client = site.files(batch=2)
    site.server(correlations=[server])
    with pytest.raises(ValueError, match=r"batch of 3: expected 2, what .* was dealt for"):
        site.client(3, correlations=client)


def test_dealing_refuses_nonsense_and_leaves_no_half(site):
    program = site.program.without_weights()
    with pytest.raises(ValueError, match="batch 0, count 1: expected both to be at least 1"):
        deal_files(program, 0, 1, site.path("s"), site.path("c"))
    with pytest.raises(ValueError, match="expected --state too"):
        deal_files(program, 1, 1, site.path("s"), site.path("c"), epoch="0" * 32)
    site.path("c").write_text("mine")
    with pytest.raises(ValueError, match="is there already: expected a new name"):
        deal_files(program, 1, 1, site.path("s"), site.path("c"))
    assert not site.path("s").exists()
    assert site.path("c").read_text() == "mine"


def test_the_servers_material_is_not_in_the_clients_file(site):
    """The seed of A, and the server's seeds, are in the server's file only."""
    server, client = site.files(count=1)
    file = _open(site, server, "server")
    assert file.claim(0)
    seed = file.read(0).seed
    secrets = [seed, file.weight_seed, file.weight_seed.hex().encode()]
    file.close()
    data = client.read_bytes()
    assert not any(secret in data for secret in secrets)
