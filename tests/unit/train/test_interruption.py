import signal
import threading

import pytest

from vesalius.train.interruption import Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_stops(number):
    heard = []
    before = signal.signal(number, lambda *_: heard.append("hard"))
    try:
        with Interruption() as interruption:
            assert not interruption.requested
            signal.raise_signal(number)
            assert interruption.requested
            assert heard == []
            signal.raise_signal(number)
            assert heard == ["hard"]
        signal.raise_signal(number)
        assert heard == ["hard", "hard"]
    finally:
        signal.signal(number, before)


def test_handlers_come_back_after_an_error():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyError), Interruption():
        raise KeyError
    assert signal.getsignal(signal.SIGINT) is before


def test_another_thread_trains_without_it():
    seen = []

    def work():
        with Interruption() as interruption:
            seen.append(interruption.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
