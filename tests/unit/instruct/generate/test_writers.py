"""Who writes, at which pace, for how much: clocks and endpoints are made up here; a real server is in the flows."""

import threading

import pytest

from vesalius.errors import ConfigError
from vesalius.instruct.generate.writers import BudgetSpent, EndpointWriter, Pace, Purse, Request, Wrote
from vesalius.models.endpoint import Endpoint, EndpointError

REQUEST = Request(({"role": "system", "content": "s" * 30}, {"role": "user", "content": "u" * 300}), {"type": "object"}, 0.5, 100, 7)


class Clock:
    def __init__(self):
        self.now, self.slept = 0.0, []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(round(seconds, 6))
        self.now += seconds


class Server:
    """What a client's `_post` gives, by the response format that is asked for."""

    def __init__(self, *, takes=("json_schema", "json_object", None), reply=None, error=None):
        self.takes, self.error, self.bodies = takes, error, []
        self.reply = reply or {"choices": [{"message": {"content": "{}"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 11, "completion_tokens": 5}}

    def complete(self, body):
        self.bodies.append(body)
        kind = (body.get("response_format") or {}).get("type")
        if self.error or kind not in self.takes:
            raise EndpointError(self.error or "http://x refused with status 400: response_format", remedy="try again")
        return self.reply


def writer(server, **how):
    return EndpointWriter(Endpoint("http://x/v1", "m", parallel=3, input_price=1.0, output_price=2.0), "ward", client=server, **how)


def test_a_request_is_sent_whole():
    server = Server()
    assert writer(server).write([REQUEST]) == [Wrote("{}", 11, 5)]
    (body,) = server.bodies
    assert body["messages"] == [dict(m) for m in REQUEST.messages]
    assert (body["temperature"], body["max_tokens"], body["seed"], body["model"]) == (0.5, 100, 7, "m")
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}


@pytest.mark.parametrize(("takes", "calls"), [(("json_schema",), 1), (("json_object", None), 2), ((None,), 3)])
def test_what_an_endpoint_does_not_offer_is_tried_once(takes, calls):
    server = Server(takes=takes)
    made = writer(server)
    assert made.write([REQUEST, REQUEST]) == [Wrote("{}", 11, 5)] * 2
    assert len(server.bodies) == calls + 1


def test_a_request_that_is_refused_in_every_way_is_its_own_trouble():
    server = Server(takes=())
    made = writer(server)
    assert made.write([REQUEST])[0].refused == "http://x refused with status 400: response_format"
    server.takes = ("json_schema",)
    assert made.write([REQUEST])[0].refused is None  # the next is asked in every way again


@pytest.mark.parametrize("error", ["http://x cannot be reached (ConnectionError)", "http://x refused with status 401: no key", "refused with status 4000: odd"])
def test_other_trouble_stops_the_run(error):
    with pytest.raises(EndpointError):
        writer(Server(error=error)).write([REQUEST])


def test_a_chosen_way_is_kept_to():
    server = Server()
    writer(server, structured="words").write([REQUEST])
    assert "response_format" not in server.bodies[0]
    with pytest.raises(ConfigError, match="'xml'"):
        writer(server, structured="xml")


@pytest.mark.parametrize(
    ("reply", "wrote"),
    [
        ({"choices": [{"message": {"content": None}}]}, Wrote("", 126, 1)),
        ({"choices": [{"message": {"content": "a" * 30}, "finish_reason": "length"}], "usage": None}, Wrote("a" * 30, 126, 11, whole=False)),
        ({"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": -5, "completion_tokens": 3}}, Wrote("a", 0, 3)),
    ],
)
def test_missing_counts_are_estimated_rather_too_high(reply, wrote):
    assert writer(Server(reply=reply)).write([REQUEST]) == [wrote]


@pytest.mark.parametrize("reply", [{}, [], None, "text", {"choices": []}, {"choices": [{}]}, {"choices": [{"message": {}}], "usage": {"prompt_tokens": "x"}}])
def test_what_is_no_chat_completion_is_told(reply):
    server = Server()
    server.reply = reply
    with pytest.raises(EndpointError, match="no chat completion"):
        writer(server).write([REQUEST])


def test_keys_differ_with_everything_that_decides_the_reply():
    import dataclasses

    changed = [{"messages": REQUEST.messages[:1]}, {"schema": {}}, {"temperature": 0.0}, {"most": 99}, {"seed": 8}]
    keys = {dataclasses.replace(REQUEST, **change).key("m", "auto") for change in changed}
    keys |= {REQUEST.key("m", "auto"), REQUEST.key("n", "auto"), REQUEST.key("m", "words")}
    assert len(keys) == 8
    assert REQUEST.key("m", "auto") == dataclasses.replace(REQUEST).key("m", "auto")


def test_tokens_a_minute_are_kept():
    clock = Clock()
    pace = Pace(100, clock=clock, sleep=clock.sleep)
    turn = pace.take(60)
    pace.used(turn, 20)
    pace.take(80)
    assert clock.slept == []
    pace.take(50)  # 20 + 80 are in the window: the first leaves it after a minute, and both with it
    assert clock.slept == [60.0]
    assert clock.now == 60.0


def test_a_request_larger_than_a_minute_waits_for_an_empty_one():
    clock = Clock()
    pace = Pace(100, clock=clock, sleep=clock.sleep)
    pace.take(500)
    pace.take(500)
    assert clock.now == 60.0
    Pace(None, clock=clock, sleep=clock.sleep).take(10**9)
    with pytest.raises(ConfigError, match="at least 1"):
        Pace(0)


def test_a_purse_holds_the_worst_case_and_settles_what_it_was():
    purse = Purse((0.0, 1e6), "USD", 250.0)  # a token costs 1
    held = purse.hold([REQUEST])
    assert held == 100.0
    second = purse.hold([REQUEST])
    purse.settle(held, [Wrote("", 0, 30)])
    purse.settle(second, [])
    assert purse.spent == 30.0
    for _ in range(2):
        purse.settle(purse.hold([REQUEST]), [Wrote("", 0, 100)])
    with pytest.raises(BudgetSpent, match=r"budget of 250 USD .*\(230.0000 spent, the next may cost 100.0000\)"):
        purse.hold([REQUEST])


def test_a_purse_waits_for_requests_in_hand_before_it_says_no():
    purse, done = Purse((0.0, 1e6), "USD", 150.0), []
    held = purse.hold([REQUEST])
    waiting = threading.Thread(target=lambda: done.append(purse.hold([REQUEST])))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    purse.settle(held, [Wrote("", 0, 10)])
    waiting.join(5)
    assert done == [100.0]


@pytest.mark.parametrize(("prices", "budget"), [((0.0, 0.0), 5.0), ((1.0, 0.0), 0.0), ((1.0, 0.0), -1.0), ((1.0, 0.0), float("nan"))])
def test_a_budget_that_makes_no_sense_is_refused(prices, budget):
    with pytest.raises(ConfigError):
        Purse(prices, "USD", budget)
