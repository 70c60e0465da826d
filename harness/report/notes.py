"""What stands around the numbers of a report: footnotes and warnings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.processor import kernels_in_words, processor_in_words
from harness import quantities
from harness.report.inference import ALPHA
from harness.report.power import power_note
from harness.results import Results, is_partial, scored_by, space_held, trains
from harness.schema import Entrant, Environment, Record

EQUIVALENCE = f"two one-sided tests, p ≤ {ALPHA} after Holm in a family of their own"
UNSAID = "that of the last step"  # true of every searcher, and all that an older campaign lets us say
FLAT = 0.999  # mean entropy of α's rows, 1 is uniform


@dataclass(frozen=True)
class Question:
    """What is asked of each pair of searchers: paired by seed or not, and a margin of equivalence in percent points.

    UserError where the margin is none.
    """

    paired: bool = False
    margin: float | None = None

    def __post_init__(self) -> None:
        quantities.margin(self.margin)


UNPAIRED = Question()


class Note(str):
    """A sentence whose gaps, {} in `ours`, are filled with words from records; as a str it is plain text.

    Only the words are to be escaped: brackets and dashes of ours are meant as they stand.
    """

    ours: str
    words: tuple[str, ...]

    def __new__(cls, ours: str, *words: object) -> Note:
        note = super().__new__(cls, ours.format(*words))
        note.ours, note.words = ours, tuple(map(str, words))
        return note

    def escaped(self, escape: Callable[[str], str]) -> str:
        """The sentence with each word passed through `escape`."""
        return self.ours.format(*map(escape, self.words))


def power(results: Results, question: Question = UNPAIRED) -> str:
    """The power note: which differences the planned seeds can show; if only ablations are tested, those of theirs."""
    planned = {s.label: set(results.planned(s)) for s in results.searchers}
    return _power(results, question, planned)[0]


def _power(results: Results, question: Question, seeds: dict[str, set[int]]) -> tuple[str, Entrant]:
    """The power note for the given seeds of each label, and the searcher with the fewest seeds.

    Imported cells are not counted, as nobody planned their number."""
    reference, *others = results.compared
    paired = question.paired and reference.kind != "imported" and any(s.kind != "imported" for s in others)
    if not others and results.ablated:
        others = [s for s in results.searchers if s.label in results.ablations]
        reference, paired = results.ablated, True
    own = [s for s in others if s.kind != "imported"] or others or [reference]
    first = seeds[reference.label]
    counts = {label: len(own & first if paired else own) for label, own in seeds.items()}
    fewest = min(own, key=lambda s: counts[s.label])
    n_b = counts[fewest.label]
    return power_note(n_b if paired else len(first), n_b, len(others) * len(results.datasets), paired), fewest


def _environments(records: Iterable[Record]) -> list[Environment]:
    """The environments of the finished runs; a run that was resumed elsewhere has two."""
    return [e for r in records if r.finished for e in (r.begun_in, r.environment) if e]


def hardware(records: Iterable[Record]) -> list[str]:
    """The distinct machines of the finished runs, in words: device, processor, its kernels, torch.

    Runs without torch name no kernels. They count as made on the same machine as runs that name some.
    """
    machines: dict[tuple[str, str], set[str]] = {}
    for e in _environments(records):
        place = ", ".join(filter(None, (e.get("device"), processor_in_words(e))))
        kernels = machines.setdefault((place, f"torch {e['torch']}" if e.get("torch") else ""), set())
        if words := kernels_in_words(e):
            kernels.add(words)
    return sorted(", ".join(filter(None, (place, words, torch)))
                  for (place, torch), kernels in machines.items() for words in kernels or {""})  # fmt: skip


def of_several_machines(records: Iterable[Record]) -> bool:
    """Whether the finished runs were made on several processors, with several of their kernels, or on several devices.

    A field that one environment lacks is no difference: without torch a run has neither kernels nor a choice of device,
    and older records lack a processor's numbers. Another version of torch is not another machine.
    """
    machines = [
        {
            "cpu": e.get("cpu"),
            "model": (e["cpu_family"], e.get("cpu_model")) if e.get("cpu_family") is not None else None,
            "ATen": e.get("cpu_capability"),
            "oneDNN": e.get("onednn_isa"),
            "device": _device(e),
        }
        for e in _environments(records)
    ]
    return any(len({e[what] for e in machines if e[what]}) > 1 for what in ("cpu", "model", "ATen", "oneDNN", "device"))


def _device(environment: Mapping[str, Any]) -> str | None:
    """The device of a supernet's training: a GPU's name without its number, or "cpu"; None where it is unknown."""
    kind, _, name = (environment.get("device") or "").partition(" ")
    if kind != "cpu":
        return name or None
    return kind if environment.get("cpu_capability") else None


def revisions(records: Iterable[Record]) -> list[str]:
    """The distinct versions of this program and of searchers' packages that made the runs, the program's first."""
    return [name for names in _revisions(records).values() for name in names]


def _revisions(records: Iterable[Record]) -> dict[str, list[str]]:
    """ "the program" or a plug-in's package -> its distinct versions.

    A version is a clean git revision, else a digest of the source."""
    code: dict[str, set[str]] = {"the program": set()}
    for e in _environments(records):
        if e.get("harness"):
            clean = e.get("git") and not e["git"].endswith("-dirty")
            code["the program"].add(e["git"] if clean else f"source {e.get('source') or 'unknown'}")
        if e.get("plugin"):
            name = e["plugin"].rpartition(" ")[0]
            code.setdefault(name, set()).add(f"{e['plugin']} (source {e.get('plugin_source')})")
    return {what: sorted(names) for what, names in code.items()}


def footnotes(results: Results, question: Question = UNPAIRED) -> list[Note]:
    """The footnotes of the table: runs, seeds, tests, protocol, clocks, power, hardware."""
    searchers = results.searchers
    planned = {s.label: results.planned(s) for s in searchers}
    ended = {s.label: {r.seed for r in results.runs(s.label)} for s in searchers}
    notes = [
        Note(
            "n counts complete searches, one a seed, none selected; std has ddof 1. Bold: best mean of our complete "
            "rows in the column that have no supernet at chance, underlined (in Markdown italic): second best."
        ),
        *_marks(results, question),
        Note("Seeds: {}.", _ranges(sorted({seed for seeds in planned.values() for seed in seeds}))),
        _protocol(results),
        *_answers(searchers),
        Note(
            "search s is measured on the hardware named here, simulated s is the benchmark's clock (queries); "
            "means per run, never added."
        ),
        *_proxy(results),
        *_made_by(results),
        Note("Power: {}.", power(results, question)),
    ]
    if any(len(ended[label]) < len(seeds) for label, seeds in planned.items()):
        note, fewest = _power(results, question, ended)
        notes.append(Note("With the runs there are (fewest: {}): {}.", fewest.spec, note))
    singles = [s.spec for s in searchers if len(ended[s.label]) == 1]
    if singles:
        notes.append(Note("n = 1: no ± and no test ({}).", ", ".join(singles)))
    first, *others = results.compared
    crossing = [s.spec for s in others if s.kind != first.kind and "imported" not in (s.kind, first.kind)]
    if crossing:
        notes.append(
            Note(
                "Crossing kinds: {} ({}) against {}; one-shot searchers spend training epochs, multi-trial ones "
                "simulated seconds, training-free ones neither, so budgets differ.",
                *(first.spec, first.kind, ", ".join(crossing)),
            )
        )
    return notes


def _marks(results: Results, question: Question) -> list[Note]:
    """The meaning of the arrows in the table."""
    tests = []
    first, *others = results.compared
    if others:
        test = "signed ranks of the pairs of a seed" if question.paired else "Mann-Whitney"
        tests.append(f"{first.spec} ({test})")
    if results.ablated:
        start = "for ablations " if tests else ""
        tests.append(f"{start}{results.ablated.spec} (signed ranks of the pairs of a seed)")
    if not tests:
        return []
    equal = "" if question.margin is None else f", ≈ those equivalent within {question.margin:g} points ({EQUIVALENCE})"
    text = "On the test columns ↑ and ↓ mark rows that are better or worse than {}, p ≤ {} after Holm{}."
    return [Note(text, ", ".join(tests), ALPHA, equal)]


def _proxy(results: Results) -> list[Note]:
    """The cost of a query, if any searcher makes queries."""
    cost = results.campaign.proxy_cost
    if not cost or not any(s.kind == "multi-trial" for s in results.searchers):
        return []
    return [Note("The simulated seconds of a multi-trial searcher's query: {}.", cost)]


def _made_by(results: Results) -> list[Note]:
    """Preset, hardware and revision of our runs, and the names of imported rows."""
    notes, campaign = [], results.campaign
    if any(s.kind != "imported" for s in results.searchers):
        setting = (campaign.preset.name, campaign.precision, campaign.threads)
        where = "; ".join(hardware(results.records)) or "unknown"
        code = "; ".join(revisions(results.records)) or "unknown"
        text = "Preset {}, precision {}, {} thread(s) a run. Hardware: {}. Revision of the program: {}."
        notes.append(Note(text, *setting, where, code))
    imported = [s.spec for s in results.searchers if s.kind == "imported"]
    if imported:
        text = "Imported, found with other code and scored from this table; seconds as given there: {}."
        notes.append(Note(text, ", ".join(imported)))
    return notes


def _protocol(results: Results) -> Note:
    if results.campaign.evaluations:  # `report/trained.py` says how each target's networks are trained
        text = "Search on {} only; the same cell is trained from scratch on every target. {}."
        return Note(text, results.campaign.search_dataset, scored_by(results.campaign, digits=64))
    scores = [s for r in results.finished for s in r.scores if not s.without_none]
    text = f"Search on {results.campaign.search_dataset} only; the same cell is scored on every data set"
    if scores:
        epochs = ", ".join(str(e) for e in sorted({s.epochs for s in scores}))
        trials = sorted({s.trials for s in scores})
        counts = str(trials[0]) if len(trials) == 1 else f"{trials[0]} to {trials[-1]}"
        origins = dict.fromkeys((s.dataset, s.split, s.record) for s in scores)
        named = "; ".join(f"{d} {split} from {record}" for d, split, record in origins if d != record)
        text += f", at {epochs} epochs, mean over the stored trials ({counts} a cell)"
        text += f" ({named})" if named else ""
    batch = "Supernets use batch statistics. " if trains(results.campaign) else ""
    return Note("{}. " + batch + "{}.", text, scored_by(results.campaign, digits=64))


def _answers(searchers: Sequence[Entrant]) -> list[Note]:
    """How each searcher chooses its cell. Older campaigns do not say it."""
    ways: dict[str, list[str]] = {}  # of each searcher: with other settings it may choose otherwise
    searched = [(s, s.answer_rule or UNSAID) for s in searchers if s.kind != "imported"]
    for s, way in searched:
        ways.setdefault(s.searcher, []).append(way)
    names: dict[str, dict[str, None]] = {}
    for s, way in searched:
        name = s.searcher if len(set(ways[s.searcher])) == 1 else s.spec
        names.setdefault(way, {})[name] = None
    words = [f"{way} ({', '.join(own)})" for way, own in names.items()]
    return [Note("The answered cell is {}.", "; ".join(words))] if words else []


def warnings(results: Results) -> list[Note]:
    """The warnings of the table: whatever may make its numbers misleading."""
    notes = [Note("{}", w) for w in results.campaign.warnings]
    if is_partial(results.campaign):
        text = "The table holds {}: optimum, mean, regret and the share beaten are of these, not of the whole space."
        notes.append(Note(text, space_held(results.campaign)))
    searched = [s.searcher for s in results.compared if s.kind != "imported"]
    if searched and "random" not in searched and not results.ablations:
        notes.append(Note("No random searcher in this campaign: nothing shows that the search beats chance."))
    waiting: list[str] = []
    collapsed: list[str] = []
    disconnected: list[str] = []
    still: list[str] = []
    flat: list[str] = []
    guessing: list[str] = []
    for s in results.searchers:
        finished, planned = results.runs(s.label), len(results.planned(s))
        failed = [r for r in results.attempts(s.label) if not r.finished]
        if failed and len(finished) < planned:
            text = "{}: {} of {} seeds: {} failed ({}); the rest is reported."
            notes.append(Note(text, s.spec, len(finished), planned, len(failed), _first_line(failed[0].error)))
        elif len(finished) < planned:
            waiting.append(f"{s.spec} {len(finished)} of {planned}")
        for shares, count in (
            (collapsed, sum(r.collapsed for r in finished)),
            (disconnected, sum(r.disconnected for r in finished)),
            (still, sum(r.alpha_change == 0 and r.kind == "one-shot" for r in finished)),
            (guessing, sum(r.guessing for r in finished)),
            (flat, sum((r.alpha_entropy or 0) > FLAT and r.alpha_change != 0 for r in finished)),
        ):
            if count:
                shares.append(f"{s.spec} {count} of {len(finished)}")
    if waiting:
        notes.append(Note("Not finished: {} seeds; what there is is reported.", "; ".join(waiting)))
    for shares, text in (
        (collapsed, "No convolution is left on any path of the answer (collapsed, × in the dots): {} runs."),
        (disconnected, "The answer's output depends on no input (disconnected): {} runs."),
        (guessing, "The supernet ended at chance, no better than a guess (diverged, or hardly trained): {} runs; what "
                   "these answer was not searched."),
        (still, "The architecture parameters did not move: {} runs; what these answer was not searched."),
        (flat, "The architecture parameters ended nearly equal (softmax entropy above {1} of 1): {0} runs; what these "
               "answer is the arg-max of small differences."),
    ):  # fmt: skip
        if shares:
            notes.append(Note(text, "; ".join(shares), FLAT))
    if of_several_machines(results.records):
        text = ("The runs come from several machines, or from other kernels of one: their search seconds are not "
                "comparable, and at the same seed each may find another cell.")  # fmt: skip
        notes.append(Note(text))
    for what, code in _revisions(results.records).items():
        if len(code) > 1:
            notes.append(Note("The runs come from several revisions of {}: {}.", what, "; ".join(code)))
    return notes


def _first_line(text: str | None) -> str:
    line = ((text or "").strip() or "no message").splitlines()[0]
    return line if len(line) <= 100 else line[:99] + "…"


def _ranges(seeds: Sequence[int]) -> str:
    """Sorted seeds in short, e.g. "0 to 4, 7"."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][1] + 1:
            runs[-1][1] = seed
        else:
            runs.append([seed, seed])
    return ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in runs)
