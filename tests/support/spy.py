"""Functions that are watched while they work."""


def spy(monkeypatch, owner, name, keep=lambda *arguments: arguments, instead=None):
    """What `keep` makes of the arguments of each call of `owner.name`, as a list; it works on, or `instead` of it."""
    work, calls = instead or getattr(owner, name), []

    def watched(*arguments, **more):
        calls.append(keep(*arguments))
        return work(*arguments, **more)

    monkeypatch.setattr(owner, name, watched)
    return calls
