"""Handshake, chains of inferences, weight epochs, several clients: what differs is named on both sides."""

from __future__ import annotations

import dataclasses
import json
import threading

import numpy as np
import pytest

from moiety import ProtocolError
from moiety.private import session as session_module
from moiety.private.client import check_input
from moiety.private.epochs import ServerEpochs, mint_id
from moiety.private.session import agree
from moiety.private.transport import connect, listen


def test_a_chain_of_inferences_gives_the_plain_result(site, draw, plainly):
    site.both()
    with site.client(3) as client:
        for seed in range(3):
            x = draw(3, seed)
            output, stats = client.infer(x)
            np.testing.assert_allclose(output, plainly(site.program, x), atol=1e-3)
            for party in stats.to_dict().values():
                assert set(party) == {"setup", "offline", "online"}
            assert (stats.client["setup"].bytes_sent > 0) == (seed == 0)
            assert stats.client["online"].bytes_sent > 0
            assert stats.dealer["offline"].bytes_sent > 0
            assert stats.dealer["online"].bytes_sent == 0


def test_counters_say_what_the_links_carried(site):
    """The counters are the bytes on the wire, but for the farewell that follows them."""
    site.dealer()
    tap = site.tap("tap", "server")
    site.server(dealer=site.address("dealer"))
    with site.client(2, server=tap.address, dealer=site.address("dealer")) as client:
        _, stats = client.infer(np.zeros((2, 6), np.float32))
        mine = client._link.bytes_sent
    site.close()
    carried = len(tap.up[0]) - len(b'{"type":"bye"}') - 24
    assert mine == carried
    to_dealer = (
        stats.client["setup"].bytes_sent + stats.client["offline"].bytes_sent + stats.client["online"].bytes_sent
    )
    assert to_dealer > carried


def test_rounds_are_the_same_on_both_sides(site):
    site.both()
    with site.client() as client:
        _, stats = client.infer(np.zeros((2, 6), np.float32))
        _, again = client.infer(np.zeros((2, 6), np.float32))
    assert stats.client["online"].rounds == stats.server["online"].rounds > 0
    assert stats.client["offline"].rounds == stats.server["offline"].rounds == again.client["offline"].rounds
    assert again.server["offline"].rounds == again.client["offline"].rounds
    assert stats.dealer["offline"].bytes_sent == again.dealer["offline"].bytes_sent


FIELDS = {
    "protocol": (99, "protocol version: expected 1, came 99"),
    "role": ("server", "role: expected client, came server"),
    "program": ("0" * 64, "program hash: expected "),
    "ring": (32, "ring: expected 64, came 32"),
    "fraction_bits": (12, "fraction bits: expected 16, came 12"),
    "randomness": ("file", "source of correlations: expected dealer, came file"),
    "comparison": ("runes", "comparison: expected circuit, came runes"),
    "batch": (65, "batch: expected 64, came 65"),
    "plan": ("1" * 64, "plan hash: expected "),
}


@pytest.mark.parametrize("field", FIELDS)
def test_the_server_refuses_a_client_that_differs(site, logged, field):
    site.both()
    site.infer()
    with site.client() as good:
        terms = session_module.terms(
            good._program, good._hash, good._plan, randomness="dealer", comparison="circuit", batch=2, role="client"
        )
    value, words = FIELDS[field]
    with connect(site.address("server"), "the server", timeout=2) as link:
        link.send("hello", **{**terms, field: value})
        answer = link.receive("hello")
        # The server's own terms come back, so the client can name the difference as well.
        assert answer[field] != value or field == "role"
        with pytest.raises(ProtocolError, match="gave up"):
            link.receive("masks")
    assert words in logged(words)
    site.infer()


@pytest.mark.parametrize("field", FIELDS)
def test_the_client_refuses_a_server_that_differs(site, field):
    """A server whose hello carries one other value; the client names both values."""
    value, _ = FIELDS[field]
    value = "client" if field == "role" else value
    listener = listen(site.address("server"))

    def serve() -> None:
        sock = listener.accept(lambda: False)
        with listener.greet(sock, "the client", 2) as link:
            hello = link.receive("hello")
            link.send("hello", **{**hello, "role": "server", "epoch": mint_id(), field: value})
            with pytest.raises(ProtocolError, match="gave up: the server does not fit"):
                link.receive("setup")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with pytest.raises(ProtocolError, match=f"came {str(value)[:20]}"):
            site.client()
    finally:
        thread.join()
        listener.close()


def test_a_client_with_another_program_is_refused_on_both_sides(site, make_toy, logged):
    site.both()
    with pytest.raises(ProtocolError, match=r"the server does not fit: program hash: expected .*, came "):
        site.client(program=make_toy(outputs=5))
    logged("the client does not fit: program hash: expected")
    site.infer()


def test_a_client_with_another_ring_is_refused_on_both_sides(site, logged):
    site.both()
    other = dataclasses.replace(
        site.program,
        ring=32,
        tensors=tuple(dataclasses.replace(t, bits=32, bound=None) for t in site.program.tensors),
    ).without_weights()
    with pytest.raises(ProtocolError, match="ring: expected 32, came 64"):
        site.client(program=other)
    logged("ring: expected 64, came 32")


def test_a_batch_beyond_the_plan_is_refused_on_both_sides(site, logged):
    site.both(max_batch=4)
    with pytest.raises(ProtocolError, match="batch: expected 5, came 4"):
        site.client(5)
    logged("batch: expected 4, came 5")
    site.infer()


def test_agree_names_every_difference_but_a_plan_that_follows_from_them():
    ours = {"ring": 64, "batch": 2, "plan": "aa"}
    with pytest.raises(ProtocolError, match=r"ring: expected 64, came 32; batch: expected 2, came nothing$"):
        agree("the server", ours, {"ring": 32, "plan": "bb"})
    with pytest.raises(ProtocolError, match="plan hash: expected aa, came bb"):
        agree("the server", ours, {**ours, "plan": "bb"})
    agree("the server", ours, {**ours, "more": 1})


def test_a_peers_words_are_made_printable():
    with pytest.raises(ProtocolError) as caught:
        agree("the server", {"ring": 64}, {"ring": "\x1b[2J" + "x" * 500})
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 200


BAD_INPUTS = {
    "list": ([[0.0] * 6], "input is a list: expected an array"),
    "dtype": (np.zeros((2, 6)), "dtype float64: expected float32"),
    "integers": (np.zeros((2, 6), np.uint8), "dtype uint8: expected float32"),
    "shape": (np.zeros((2, 5), np.float32), r"shape \(2, 5\): expected \(batch, 6\)"),
    "no batch": (np.zeros(6, np.float32), r"shape \(6,\): expected \(batch, 6\)"),
    "empty": (np.zeros((0, 6), np.float32), r"shape \(0, 6\): expected"),
    "nan": (np.full((2, 6), np.nan, np.float32), "12 values that are not finite: expected finite"),
    "inf": (np.full((2, 6), np.inf, np.float32), "not finite"),
    "range": (np.full((2, 6), 4.5, np.float32), "reaches 4.5: expected magnitudes up to 4"),
    "batch": (np.zeros((3, 6), np.float32), "batch of 3: expected 2"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_bad_input_is_refused_before_anything_is_sent(site, case):
    x, words = BAD_INPUTS[case]
    site.both()
    with site.client(2) as client:
        before = client._link.bytes_sent
        with pytest.raises(ValueError, match=words):
            client.infer(x)
        assert client._link.bytes_sent == before
        client.infer(np.zeros((2, 6), np.float32))  # the session goes on


def test_check_input_names_the_plans_batch(toy):
    with pytest.raises(ValueError, match="batch of 3: expected at most 2"):
        check_input(toy, np.zeros((3, 6), np.float32), max_batch=2)


def test_masks_are_sent_once_a_client_and_epoch(site):
    site.both()
    sent = []
    for _ in range(2):
        with site.client() as client:
            sent.append(client.infer(np.zeros((2, 6), np.float32))[1].server["setup"].bytes_sent)
    assert sent[0] - sent[1] >= 8 * 24
    masks = list((site.path("client-state") / "masks").iterdir())
    assert len(masks) == 1
    assert masks[0].stat().st_mode & 0o777 == 0o600
    masks[0].write_bytes(masks[0].read_bytes()[:-1])  # damaged: asked for again
    site.infer()


def test_other_weights_mean_another_epoch(site, make_toy):
    site.dealer()
    first = site.server(dealer=site.address("dealer"))
    site.infer()
    first.end()
    changed = make_toy(weights=2)
    assert changed.hash == site.program.hash
    second = site.server(dealer=site.address("dealer"), program=changed)
    site.infer(program=changed)
    second.end()
    third = site.server(dealer=site.address("dealer"))  # the first weights again: their own epoch goes on
    site.infer()
    third.end()
    epochs = {path.stem for path in (site.path("server-state") / "epochs").iterdir()}
    assert len(epochs) == 2
    assert {path.stem for path in (site.path("dealer-state") / "seeds").iterdir()} == epochs
    records = [json.loads((site.path("server-state") / "epochs" / f"{epoch}.json").read_text()) for epoch in epochs]
    assert len({record["weight_seed"] for record in records}) == 2


def test_an_epoch_never_serves_two_sets_of_weights(tmp_path):
    epoch = mint_id()
    ServerEpochs(tmp_path, "program", "weights").bind(epoch, "file", bytes(16))
    with pytest.raises(ProtocolError, match="belongs to other weights: expected a new epoch"):
        ServerEpochs(tmp_path, "program", "other weights").bind(epoch, "file", bytes(16))


def test_a_dealer_that_lost_its_state_costs_one_session(site):
    site.both()
    site.infer()
    for path in (site.path("dealer-state") / "seeds").iterdir():
        path.unlink()
    with pytest.raises(ProtocolError, match="another mask than on record"):
        site.client()
    site.infer()


def test_several_clients_at_once(site, draw):
    site.both(max_clients=4)
    errors: list[BaseException] = []

    def one(seed: int) -> None:
        try:
            for turn in range(3):
                site.infer(draw(2, 10 * seed + turn), state=site.path(f"state-{seed}"))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_one_client_too_many_is_told_so(site, logged):
    site.both(max_clients=1)
    with site.client() as first:
        with pytest.raises(ProtocolError, match="busy: expected at most 1 connections at once"):
            site.client()
        logged("busy")
        first.infer(np.zeros((2, 6), np.float32))
    # The first's place is free once its thread has ended.
    for _ in range(50):
        try:
            site.infer()
            break
        except ProtocolError:
            pass
    else:
        raise AssertionError("the server did not become free")


def test_a_server_needs_weights_and_a_source(site):
    with pytest.raises(ValueError, match="no weights"):
        site.server(program=site.program.without_weights(), dealer=site.address("dealer"))
