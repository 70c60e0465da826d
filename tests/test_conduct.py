"""A command from its options to its report: what is said meanwhile."""

from harness import conduct, store
from harness.report import page

DIGITS = ["--benchmark", "digits201"]


def test_a_word_is_said_while_folder_records_and_report_are_worked_at(harness, tmp_path, monkeypatch):
    """Each within a Waiting; records are read once for the report."""
    now, during = [], []

    class Heard(conduct.Waiting):
        def __enter__(self):
            now.append(self.what)
            return super().__enter__()

        def __exit__(self, *exception):
            now.remove(self.what)
            super().__exit__(*exception)

    def watched(module, name):
        ours = getattr(module, name)

        def work(*arguments):
            during.append((name, *now))
            return ours(*arguments)

        monkeypatch.setattr(module, name, work)

    monkeypatch.setattr(conduct, "Waiting", Heard)
    for name in ("plans", "prepare", "left_to_do"):
        watched(conduct, name)
    watched(store, "load_records")
    watched(page, "show")
    common = ("run", "--searchers", "random", "--seeds", 2, *DIGITS, "--preset", "smoke", "--workers", 1)
    assert harness(*common, "--out", tmp_path)[0] == 0
    assert during == [
        *((name, "still loading") for name in ("plans", "prepare", "left_to_do")),
        *((name, "drawing the report") for name in ("load_records", "show")),
    ]
