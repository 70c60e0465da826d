"""The harness with two more searchers, one that raises and one whose process is killed; run as a script."""

import os
import signal
import sys

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


# At import, so that worker processes know them too.
sys.modules.setdefault("faulty", sys.modules[__name__])
base.SEARCHERS |= {"broken": "faulty:Broken", "dying": "faulty:Dying"}

if __name__ == "__main__":
    main()
