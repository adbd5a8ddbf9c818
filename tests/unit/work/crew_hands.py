"""Workers for the tests of `crew`: what they do stands in the name of the unit."""

import logging
import os
import signal
import time

from vesalius.errors import InvalidValue


class Handy:
    """Says of itself what it is made of, and does what a unit's name says."""

    def __init__(self, order):
        if order == "broken":
            raise InvalidValue("the order is broken", remedy="mend it")
        if order == "dead":
            os.kill(os.getpid(), signal.SIGKILL)
        self.about = {"order": os.getpid() if order == "each its own" else order}

    def do(self, unit, tell):
        tell(1, 2, "half")
        kind, name = unit
        if kind == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "exit":
            os._exit(7)
        if kind == "bug":
            raise ZeroDivisionError("a mistake")
        if kind == "memory":
            raise MemoryError
        if kind == "refuse":
            raise InvalidValue("that is not possible", remedy="try something else")
        if kind == "warn":
            logging.getLogger("vesalius.there").warning("mind the %s", "gap")
        if kind == "sleep":
            time.sleep(60)
        return {name: os.environ["OMP_NUM_THREADS"]}
