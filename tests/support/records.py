"""Records of a campaign without what no two runs share: times, where they were made, and from where they were begun."""

from harness import store

TIMES = ("search_seconds", "environment", "sha256", "trace", "notes")


def records(folder):
    """(spec, seed) -> record of every run that has one; a damaged record raises."""
    found = {}
    for path in folder.glob("runs/*/*/record.json"):
        record = store.read_sealed(path)
        found[record["spec"], record["seed"]] = record
    return found


def timeless(record):
    kept = {key: value for key, value in record.items() if key not in TIMES}
    if kept.get("one_shot"):
        kept["one_shot"] = {key: value for key, value in kept["one_shot"].items() if key != "seconds"}
    kept["trajectory"] = [{k: v for k, v in point.items() if k != "search_seconds"} for point in kept["trajectory"]]
    return kept
