"""What stands around the numbers of a report: footnotes and warnings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.errors import UserError, suggestion
from harness import quantities
from harness.report.comparison import TESTS
from harness.report.inference import ALPHA, summary
from harness.report.machines import by_package, hardware, of_several_machines, revisions
from harness.report.power import (
    MANY,
    detectable,
    detectable_paired,
    equivalence_needs,
    one_sample_note,
    power_note,
    smallest_p,
    smallest_paired_p,
)
from harness.results import MEAN, Results, is_partial, scored_by, shared_at_seeds, space_held, trains
from harness.schema import Entrant

EQUIVALENCE = f"two one-sided tests of ranks and of means, both p ≤ {ALPHA} after Holm in a family of their own"
UNSAID = "that of the last step"  # true of every searcher, and all that an older campaign lets us say
TEST_NAMES = {"mann-whitney": "Mann-Whitney", "brunner-munzel": "Brunner-Munzel", "permutation": "permutation of means"}
FLAT = 0.999  # mean entropy of α's rows, 1 is uniform


@dataclass(frozen=True)
class Question:
    """What is asked of each pair of searchers: paired by seed or not, a margin of equivalence in points, and by which
    test.

    UserError where the margin or the test is none, or the test has no form for pairs.
    """

    paired: bool = False
    margin: float | None = None
    test: str = TESTS[0]

    def __post_init__(self) -> None:
        quantities.margin(self.margin)
        if self.test not in TESTS:
            raise UserError(f"--test {self.test!r}{suggestion(self.test, list(TESTS))}")
        if self.paired and self.test == "brunner-munzel":
            raise UserError("--paired --test brunner-munzel: that test has no form for pairs; take permutation")


UNPAIRED = Question()
UNSEEDED = "no searcher uses a seed: nothing is tested"


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
    return _power(results, question, {s.label: set(results.planned(s)) for s in results.searchers})


def _power(results: Results, question: Question, seeds: dict[str, set[int]]) -> str:
    """The note for these seeds of each searcher."""
    texts = []
    if sizes := _sizes(results, question, seeds):
        texts.append(power_note(*sizes[0]))
    if one := _one_sample(results, seeds):
        specs, n, family = one
        texts.append(one_sample_note(n, family, ", ".join(specs)))
    return "; ".join(texts) or UNSEEDED


def reach(results: Results, question: Question = UNPAIRED) -> str:
    """What the runs that there are could have shown, in short."""
    ended = {s.label: {r.seed for r in results.runs(s.label)} for s in results.searchers}
    sizes = _sizes(results, question, ended)
    if sizes is None:
        one = _one_sample(results, ended)
        return one_sample_note(one[1], one[2], ", ".join(one[0])) if one else UNSEEDED
    n_a, n_b, family, paired = sizes[0]
    n = f"n = {n_b}" if n_a == n_b else f"n = {n_a} against {n_b}"
    if min(n_a, n_b) < 2:
        return f"{n} shows no difference at all"
    smallest = smallest_paired_p(n_b, family) if paired else smallest_p(n_a, n_b, family)
    if smallest > ALPHA:
        return f"{n} could show no difference (smallest p after Holm {smallest:.2g})"
    shift = detectable_paired(n_b, family) if paired else detectable(n_a, n_b, family)
    return f"{n} shows with 80 % power what is {shift:.2g} standard deviations apart"


def _one_sample(results: Results, seeds: dict[str, set[int]]) -> tuple[list[str], int, int] | None:
    """The searchers that use no seed and are tested, the fewest runs against one of them, and the tests in the family.

    None where there are none, or where both sides use none.
    """
    reference, *others = results.compared
    fixed = [s for s in others if not s.uses_seed] if reference.uses_seed else [reference]
    drawn = [reference] if reference.uses_seed else [s for s in others if s.uses_seed]
    if not (fixed and drawn and others):
        return None
    return [s.spec for s in fixed], min(len(seeds[s.label]) for s in drawn), len(others)


def _sizes(
    results: Results, question: Question, seeds: dict[str, set[int]]
) -> tuple[tuple[int, int, int, bool], Entrant] | None:
    """Runs of the first searcher and of the one with the fewest, of the given seeds; tests in the family; whether
    paired; and that searcher. None where all pairs have one that uses no seed.

    Imported cells are not counted, as nobody planned their number."""
    reference, *others = results.compared
    paired = question.paired and reference.kind != "imported" and any(s.kind != "imported" for s in others)
    family, drawn = len(others), [s for s in others if s.uses_seed]
    if others and not (reference.uses_seed and drawn):
        return None
    if not others and results.ablated:
        drawn = [s for s in results.searchers if s.label in results.ablations]
        reference, paired, family = results.ablated, True, len(drawn)
    own = [s for s in drawn if s.kind != "imported"] or drawn or [reference]
    first = seeds[reference.label]
    counts = {label: len(own & first if paired else own) for label, own in seeds.items()}
    fewest = min(own, key=lambda s: counts[s.label])
    n_b = counts[fewest.label]
    return (n_b if paired else len(first), n_b, family, paired), fewest


def footnotes(results: Results, question: Question = UNPAIRED) -> list[Note]:
    """The footnotes of the table: runs, seeds, tests, protocol, clocks, power, hardware."""
    searchers = results.searchers
    planned = {s.label: results.planned(s) for s in searchers}
    ended = {s.label: {r.seed for r in results.runs(s.label)} for s in searchers}
    notes = [
        Note(
            "n counts complete searches, one a seed, none selected; std has ddof 1. Bold: best mean in the column of a "
            "kind's complete rows (two or more) that have no supernet at chance, underlined (in Markdown italic): "
            "second best; kinds have budgets of their own. Collapsed: no convolution on any path, with Clopper and "
            "Pearson's 95 % interval of the rate: 0 of n leaves about 3/n open."
        ),
        *_endpoint(results, question),
        *_marks(results, question),
        *_one_value(results, question),
        Note("Seeds: {}.", _ranges(sorted({seed for seeds in planned.values() for seed in seeds}))),
        _protocol(results),
        *_answers(searchers),
        *_development(searchers),
        Note(
            "search s is measured on the hardware named here, simulated s is the benchmark's clock (queries); "
            "means per run, never added."
        ),
        *_proxy(results),
        *_made_by(results),
        Note("Power: {}.", power(results, question)),
        *_equivalence(results, question),
    ]
    if any(len(ended[label]) < len(seeds) for label, seeds in planned.items()):
        sizes = _sizes(results, question, ended)
        fewest = f" (fewest: {sizes[1].spec})" if sizes else ""
        notes.append(Note("With the runs there are{}: {}.", fewest, _power(results, question, ended)))
    singles = [s.spec for s in searchers if len(ended[s.label]) == 1 and s.uses_seed]
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


def endpoint_in_words(results: Results) -> str:
    """The primary endpoint, e.g. "cifar10 test accuracy"."""
    if results.endpoint == MEAN:
        return "the mean over the data sets of test accuracy, 0 the mean cell and 100 the best one"
    return f"{results.endpoint} test accuracy"


def _endpoint(results: Results, question: Question) -> list[Note]:
    """What is tested, and what is only described."""
    if len(results.searchers) < 2:
        return []
    declared = "declared with the campaign" if results.campaign.endpoint else "by default, as none was declared"
    text = (
        "Primary endpoint: {} ({}); its tests are one Holm family over the searchers. Collapse is the secondary one, a "
        "family of its own. Other columns are the same searches seen again: intervals, no verdicts."
    )
    notes = [Note(text, endpoint_in_words(results), declared)]
    if question.test != TESTS[0]:
        notes.append(Note("The test was chosen for this report: {}.", question.test))
    return notes


def _marks(results: Results, question: Question) -> list[Note]:
    """The meaning of the arrows in the table."""
    tests = []
    first, *others = results.compared
    if others and first.uses_seed and any(s.uses_seed for s in others):
        ranks = "signed ranks of the pairs of a seed" if question.paired else TEST_NAMES[question.test]
        tests.append(f"{first.spec} ({ranks if question.test != 'permutation' else TEST_NAMES['permutation']})")
    elif others:
        tests.append(first.spec)
    if results.ablated:
        start = "for ablations " if tests else ""
        by = TEST_NAMES["permutation"] if question.test == "permutation" else "signed ranks"
        tests.append(f"{start}{results.ablated.spec} ({by} of the pairs of a seed; collapse: McNemar)")
    if not tests:
        return []
    equal = "" if question.margin is None else f", ≈ those equivalent within {question.margin:g} points ({EQUIVALENCE})"
    text = "At the primary endpoint ↑ and ↓ mark rows that are better or worse than {}, p ≤ {} after Holm{}."
    return [Note(text, ", ".join(tests), ALPHA, equal)]


def _one_value(results: Results, question: Question) -> list[Note]:
    """Which searchers have one answer whatever the seed, and what they are tested by."""
    specs = [s.spec for s in results.compared if not s.uses_seed]
    if not specs:
        return []
    text = "No seed is used by {}: one run each, and no spread."
    if all(not s.uses_seed for s in results.compared):
        return [Note(text, ", ".join(specs))]
    test = "permutation of signs" if question.test == "permutation" else "sign test"
    text += " The runs of the other of a tested pair stand against this value as one sample ({}); the tests of "
    text += "collapse and of all together leave it out."
    return [Note(text, ", ".join(specs), test)]


def _development(searchers: Sequence[Entrant]) -> list[Note]:
    """How many settings of each searcher were tried while it was made. Older campaigns do not say it."""
    said = {s.searcher: s.development for s in searchers if s.development}
    tried = [f"{name}: {text}" for name, text in said.items() if text != "none"]
    if not said:
        return []
    if not tried:
        return [Note("Settings tried during development: none, for any searcher.")]
    others = "; of the others none" if len(tried) < len(said) else ""
    return [Note("Settings tried during development: {}{}.", "; ".join(tried), others)]


def _equivalence(results: Results, question: Question) -> list[Note]:
    """How many seeds it takes to show equivalence, where a margin is asked for."""
    first, *others = results.compared
    std = summary(list(results.outcomes(first.label, results.endpoint).values())).std
    if question.margin is None or not others or not std:
        return []
    sd = std * (2**0.5 if question.paired else 1)  # of pairs that share nothing
    needed = equivalence_needs(sd, question.margin, len(others), question.paired)
    what = "pairs (fewer where they share something)" if question.paired else "seeds each"
    enough = f"{needed} {what}" if needed else f"more than {MANY} {what}"
    text = (
        "Equivalence within {} points: two alike searchers, normal with the standard deviation of {}, {}, show it "
        "with 80 % power from {} on, at Holm's first step. A collapse that did not occur is seen by no test."
    )
    return [Note(text, f"{question.margin:g}", first.spec, f"{std:.2f}", enough)]


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


def warnings(results: Results, question: Question = UNPAIRED) -> list[Note]:
    """The warnings of the table: whatever may make its numbers misleading."""
    notes = [Note("{}", w) for w in results.campaign.warnings]
    if is_partial(results.campaign):
        text = "The table holds {}: optimum, mean, regret and the share beaten are of these, not of the whole space."
        notes.append(Note(text, space_held(results.campaign)))
    searched = [s.searcher for s in results.compared if s.kind != "imported"]
    if searched and "random" not in searched and not results.ablations:
        notes.append(Note("No random searcher in this campaign: nothing shows that the search beats chance."))
    drawn = [s for s in results.compared if s.uses_seed]
    if question.paired and len(drawn) > 1 and not shared_at_seeds(results, drawn):
        text = "Paired by seed as asked, but these searchers share nothing at a seed: other pairs would give another p."
        notes.append(Note(text))
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
    for what, code in by_package(results.records).items():
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
