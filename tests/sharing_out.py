"""How files of tests are shared out to pytest-xdist's workers: a file stays whole, and one browser runs at a time.

A browser, its server and the test are more than one core; two of each on two cores wait for each other. So as long as
there is other work, only one worker drives a browser, and as it goes on from one such file to the next, servers that
live for the whole run (`sample`, `odd`, `idle`) are started once.
"""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

BROWSER = "tests/browser/"

FIRST = (
    "tests/browser/test_browser_picture", "tests/browser/test_browser_layout", "tests/browser/test_browser_t",
    "tests/browser/test_browser_states", "tests/test_", "tests/dashboard/", "tests/station/", "tests/runs/",
    "tests/events/", "tests/hdf5/",
)  # fmt: skip
"""Of browser tests those that share servers, of all others those that wait for processes: a short file ends the run."""


class OneBrowserAtATime(LoadFileScheduling):
    """Gives a worker that asks for more a file that drives a browser, unless another worker is at one."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        others = (work for worker, work in self.assigned_work.items() if worker is not node)
        taken = any(
            scope.startswith(BROWSER) and not all(done.values()) for work in others for scope, done in work.items()
        )
        next_one = min(
            self.workqueue, key=lambda scope: (scope.startswith(BROWSER) == taken, not scope.startswith(FIRST))
        )
        self.workqueue.move_to_end(next_one, last=False)
        super()._assign_work_unit(node)
