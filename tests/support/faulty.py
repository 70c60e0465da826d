"""The harness with more searchers: one that raises, one whose process is killed, one that is slow, one that
prints; run as a script."""

import os
import signal
import sys
import time
from pathlib import Path

from harness.cli import main
from searchers import base
from searchers.random_search import RandomSearch


class Broken(RandomSearch):
    name = "broken"

    def step(self):
        if self.task.seed == 1 and self.task.evaluations == 3:
            raise RuntimeError("out of\nluck <b>&</b>")
        return super().step()


class Dying(RandomSearch):
    name = "dying"

    def step(self):
        if self.task.seed == 1 and self.task.evaluations == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step()


class Slow(RandomSearch):
    name = "slow"

    def step(self):
        if self.task.evaluations == 0:  # wait until three commands are at it
            out = Path(sys.argv[-1])
            with open(out / f"made-{self.task.seed}", "a") as file:
                print(os.getpid(), file=file)
            (out / f"here-{os.getpid()}").touch()
            while len(list(out.glob("here-*"))) < 3:
                time.sleep(0.01)
            time.sleep(0.2)
        return super().step()


class Talking(RandomSearch):
    name = "talking"

    def step(self):
        print("±")
        return super().step()


# At import, so that worker processes know them too.
sys.modules.setdefault("faulty", sys.modules[__name__])
base.SEARCHERS |= {
    "broken": "faulty:Broken",
    "dying": "faulty:Dying",
    "slow": "faulty:Slow",
    "talking": "faulty:Talking",
}

if __name__ == "__main__":
    main()
