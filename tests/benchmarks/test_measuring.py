"""What is around the measurements: fresh processes, turns, medians, lateness, digits."""

import comparing
import fresh
import pytest
from clients.catalogue import AIOHTTP, OURS, catalogue
from comparing import compare
from digits import grouped, significant
from figures import Polled, middle
from responder import Hosts
from watching import lateness


def test_a_function_is_called_in_a_fresh_process():
    assert fresh.run("math:hypot", 3, 4) == 5


def test_who_takes_too_long_is_ended():
    with pytest.raises(TimeoutError, match=r"time:sleep: not finished in 0\.2 s"):
        fresh.run("time:sleep", 60, seconds=0.2)


@pytest.fixture
def asked(monkeypatch):
    """Who was asked for how many gateways; requests is too slow for 10 of them."""
    targets = {client.target: client.label for client in catalogue().values() if client.runs_on != "trio"}
    asked = []

    def run(_target, client, runs_on, size, *_arguments, seconds):
        if runs_on != "trio":
            asked.append((targets[client], size))
        if "requests" in client and size == 10:
            raise TimeoutError
        return {"at_once": 1.0, "by_sixteen": float(len(asked)), "memory": 1.0, "p50": 1.0, "p99": 1.0}

    monkeypatch.setattr(comparing.fresh, "run", run)
    return asked


def test_who_did_not_finish_is_shown_and_not_asked_for_more(asked):
    polled = compare(Hosts(80, distinct=True), [1, 10, 100], limit=1, seconds=1, turns=1)
    assert ("requests, threads", 10) in asked
    assert ("requests, threads", 100) not in asked
    assert [polled["requests, threads", size] is None for size in (1, 10, 100)] == [False, True, True]
    assert [label for label, size in polled if size == 100] == [*catalogue()]


def test_ours_and_aiohttp_take_turns(asked):
    compare(Hosts(80, distinct=True), [1], limit=1, seconds=1, turns=3)
    assert [label for label, _ in asked if label in {OURS, AIOHTTP}] == [OURS, AIOHTTP] * 3
    assert asked.count(("bare sockets", 1)) == 1


def test_of_several_turns_each_figure_is_the_median():
    turns = [Polled(None, 1, 5, 0, 0), Polled(None, 3, 4, 0, 0), Polled(None, 2, 9, 0, 0)]
    assert middle(turns) == Polled(None, 2, 5, 0, 0)
    assert middle([Polled(2, 1, 1, 1, 1), Polled(4, 1, 1, 1, 1)]).at_once == 3


def test_lateness_is_against_the_most_punctual_and_counts_what_was_missed():
    arrivals = {"a": [(0, 10.5), (1, 15.0), (3, 25.25)], "b": [(0, 11.0), (4, 32.0)]}
    assert lateness(arrivals, 5.0, begun=0.0, ended=29.0) == [0.5, 0.0, 0.25, 0.0, 1.0]


def test_news_from_before_sets_the_rhythm_only_and_news_that_does_not_come_is_late():
    arrivals = {"a": [(0, 10.0), (1, 15.5)], "b": [(0, 11.0)]}
    assert lateness(arrivals, 5.0, begun=15.0, ended=30.0) == [0.5, 10.0, 14.0]


def test_ten_thousand_gateways_are_ten_thousand_hosts():
    hosts = Hosts(8080, distinct=True)
    addresses = {hosts.address(number) for number in range(100_000)}
    assert len(addresses) == 100_000
    assert all(int(part) < 255 for address in addresses for part in address.removesuffix(":8080").split("."))
    assert Hosts(8080, distinct=False).address(7) == "127.0.0.1:8080"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0366, "0.037"),
        (0.0996, "0.10"),
        (1.04, "1.0"),
        (9.96, "10"),
        (37.2, "37"),
        (1234, "1200"),
        (16340, "16 000"),
        (0, "0"),
    ],
)
def test_two_digits(value, written):
    assert significant(value) == written


def test_three_digits():
    assert [significant(value, 3) for value in (0.9996, 1.004, 1.006, 16340)] == ["1.00", "1.00", "1.01", "16 300"]


def test_groups_of_three():
    assert [grouped(number) for number in (999, 1000, 10_000)] == ["999", "1000", "10 000"]
