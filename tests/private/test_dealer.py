"""The dealer: two streams, each handed out once to its role, from a handshake and a plan and nothing else."""

from __future__ import annotations

import re
import threading
import time

import numpy as np
import pytest

from moiety import ProtocolError
from moiety.private import dealer as dealer_module
from moiety.private.epochs import mint_id
from moiety.private.plan import plan
from moiety.private.session import PROTOCOL, material_sizes
from moiety.private.transport import connect


def greet(site, role, made=None, /, epoch="0" * 32, program="0" * 64, **changes):
    """A party's link to the dealer after the handshake, and the dealer's hello."""
    made = made or plan(site.program, 2, "circuit")
    link = connect(site.address("dealer"), "the dealer", timeout=3)
    hello = {"protocol": PROTOCOL, "role": role, "program": program, "ring": made.ring, "epoch": epoch}
    link.send("hello", **{**hello, "plan": made.to_json(), **changes})
    try:
        return link, link.receive("hello")
    except BaseException:
        link.close()
        raise


def both_streams(site, session, made=None):
    """Both parties ask for `session`; {role: (seed, material pieces)}."""
    made = made or plan(site.program, 2, "circuit")
    got = {}

    def run(role):
        link, _ = greet(site, role, made)
        with link:
            link.send("session", session=session)
            seed = link.receive("dealing")["seed"]
            pieces = [bytes(link.receive_material(size)) for size in material_sizes(made, role) if size]
            link.receive("dealt")
            got[role] = (seed, pieces)

    threads = [threading.Thread(target=run, args=(role,)) for role in ("server", "client")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


def test_each_session_has_fresh_seeds_and_each_role_its_own(site):
    site.dealer()
    first, second = both_streams(site, mint_id()), both_streams(site, mint_id())
    seeds = [first["server"][0], first["client"][0], second["server"][0], second["client"][0]]
    assert len(set(seeds)) == 4
    assert first["client"][1] != second["client"][1]


def test_the_seed_of_the_mask_goes_to_the_server_alone_and_lasts(site):
    service = site.dealer()
    for role, has in (("server", True), ("client", False), ("server", True)):
        link, hello = greet(site, role)
        link.close()
        assert ("weight_seed" in hello) == has
    seed = hello["weight_seed"]
    service.end()
    site.dealer("dealer")
    link, hello = greet(site, "server")
    link.close()
    assert hello["weight_seed"] == seed
    link, hello = greet(site, "server", epoch="1" * 32)
    link.close()
    assert hello["weight_seed"] != seed
    stored = next((site.path("dealer-state") / "seeds").iterdir())
    assert stored.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("role", ["server", "client"])
def test_a_stream_is_handed_out_once(site, role, logged):
    site.dealer()
    session = mint_id()
    both_streams(site, session)
    link, _ = greet(site, role)
    with link:
        link.send("session", session=session)
        with pytest.raises(ProtocolError, match=f"the {role}'s stream of session {session} was handed out before"):
            link.receive("dealing")
    logged("handed out before")


def test_a_second_client_cannot_take_the_place_of_the_first(site):
    """While the first still waits for the server."""
    site.dealer()
    session = mint_id()
    first, _ = greet(site, "client")
    second, _ = greet(site, "client")
    with first, second:
        first.send("session", session=session)
        time.sleep(0.1)
        second.send("session", session=session)
        with pytest.raises(ProtocolError, match=r"the client's stream of session .* was handed out before"):
            second.receive("dealing")


BAD = {
    "role": ({"role": "king"}, "role 'king': expected server or client"),
    "protocol": ({"protocol": 7}, "protocol version: expected 1, came 7"),
    "ring": ({"ring": 32}, "ring: expected 64, came 32"),
    "plan": ({"plan": {"requests": "all"}}, "the dealer refuses: expected a plan"),
    "plan type": ({"plan": [1]}, r"plan \[1\]: expected dict"),
    "epoch": ({"epoch": "../../etc"}, "weight epoch '../../etc': expected 32 hexadecimal digits"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_hello_is_refused(site, case, logged):
    changes, words = BAD[case]
    site.dealer()
    with pytest.raises(ProtocolError, match=words):
        greet(site, "client", **changes)
    logged("a connection ended")
    both_streams(site, mint_id())


def test_parties_with_different_plans_are_both_told(site):
    site.dealer()
    session = mint_id()
    errors = {}

    def run(role, batch):
        link, _ = greet(site, role, plan(site.program, batch, "circuit"))
        with link:
            link.send("session", session=session)
            with pytest.raises(
                ProtocolError, match=r"the parties of session .* differ: plan: expected .*, came"
            ) as caught:
                link.receive("dealing")
            errors[role] = str(caught.value)

    threads = [threading.Thread(target=run, args=pair) for pair in (("server", 2), ("client", 3))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(errors) == {"server", "client"}


def test_an_epoch_of_another_program_is_refused(site):
    site.dealer()
    greet(site, "server")[0].close()
    with pytest.raises(
        ProtocolError,
        match=r"weight epoch 0{32}: expected program 0000.*, came 1111",
    ):
        greet(site, "server", program="1" * 64)


def test_a_party_alone_is_told_who_is_missing(site):
    site.dealer(timeout=0.4)
    link, _ = greet(site, "client")
    start = time.monotonic()
    with link:
        link.send("session", session=mint_id())
        with pytest.raises(ProtocolError, match=r"the server did not come to the session within 0\.4 s: expected it"):
            link.receive("dealing")
    assert time.monotonic() - start < 2


def test_a_party_that_leaves_before_the_other_came(site, logged):
    site.dealer()
    session = mint_id()
    link, _ = greet(site, "client")
    link.send("session", session=session)
    time.sleep(0.1)
    link.close()
    logged("the client left before the server came")
    link, _ = greet(site, "server")
    with link:
        link.send("session", session=session)
        with pytest.raises(ProtocolError, match="is over: expected the server while the client waited"):
            link.receive("dealing")


def test_a_session_name_must_be_a_session_name(site):
    site.dealer()
    link, _ = greet(site, "client")
    with link:
        link.send("session", session="mine")
        with pytest.raises(ProtocolError, match="session 'mine': expected 32 hexadecimal digits"):
            link.receive("dealing")


def test_the_dealer_learns_the_handshake_and_the_plan_and_nothing_else(site, make_toy, draw):
    """What comes in is the same, byte for byte up to random names, for all inputs and all weights."""
    site.dealer()
    name = re.compile(rb'"[0-9a-f]{32}"')
    seen = set()
    for index in range(4):
        program = make_toy(weights=1 + index % 2)
        taps = [site.tap(f"{role}-tap-{index}", "dealer") for role in ("server", "client")]
        server = site.server(f"server-{index}", program=program, dealer=taps[0].address)
        x = draw(2, seed=index) if index else np.zeros((2, 6), np.float32)
        options = {"server": site.address(f"server-{index}"), "dealer": taps[1].address}
        site.infer(x, program=program, state=site.path(f"client-{index}"), **options)
        server.end()
        for tap in taps:
            tap.close()
        inbound = tuple(b"".join(tap.up) for tap in taps)
        assert len(inbound[0]) > 100
        # the random names: the weight epoch and the session
        assert [len(name.findall(side)) for side in inbound] == [2, 2]
        seen.add(tuple(name.sub(b'"' + b"0" * 32 + b'"', side) for side in inbound))
        for side in inbound:
            assert program.weights_hash.encode() not in side
    assert len(seen) == 1


def test_memory_stays_bounded_while_a_party_stalls(site, monkeypatch):
    """The dealer deals no further than its queues hold; the other party is told when the stalled one times out."""
    monkeypatch.setattr(dealer_module, "_QUEUE_BYTES", 1 << 20)
    dealt = []

    class Slow:
        def __init__(self, ring, requests, *_):
            self.sizes = [(r.server_bytes(ring), r.client_bytes(ring)) for r in requests]

        def deal(self, index):
            dealt.append(index)
            return tuple(bytes(size) for size in self.sizes[index])

    class Mpc:
        Dealer = Slow

    wide = site.program
    made = plan(wide, 20_000, "circuit")
    big = dict(made.to_json())
    big["requests"] = big["requests"][:1] + [dict(big["requests"][1]) for _ in range(60)]
    made = type(made).from_json(big)
    monkeypatch.setattr(dealer_module, "mpc", Mpc)
    site.dealer(timeout=1.0)
    session = mint_id()
    stalled, _ = greet(site, "client", made)
    active, _ = greet(site, "server", made)
    with stalled, active:
        stalled.send("session", session=session)
        active.send("session", session=session)
        active.receive("dealing")
        with pytest.raises(ProtocolError, match="the dealing stopped: the client"):
            active.receive("dealt")
    assert 0 < len(dealt) < 61


def test_a_dealer_that_is_busy_says_so(site):
    site.dealer(limit=2)
    first, second = greet(site, "server")[0], greet(site, "client")[0]
    with first, second, pytest.raises(ProtocolError, match="the dealer is busy: expected at most 2 connections"):
        greet(site, "client")


def test_the_dealers_counters_reach_the_client(site):
    site.both()
    with site.client() as client:
        stats = client.infer(np.zeros((2, 6), np.float32))[1].to_dict()["dealer"]
    sizes = material_sizes(plan(site.program, 2, "circuit"), "client")
    assert stats["offline"]["bytes_sent"] > sum(sizes)
    assert stats["offline"]["rounds"] == 2
    assert stats["setup"]["bytes_sent"] > 0
    assert stats["online"]["bytes_sent"] == 0
