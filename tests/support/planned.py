"""Planned runs as the command line makes them."""

from harness import campaign, options
from harness.specs import parse_specs


def plans_for(bench, dataset, text, seeds, preset="smoke"):
    setting = options.Setting(bench, None, (), dataset, options.resolve_preset(bench, preset), "fp32", "cpu", 1)
    return campaign.plans(setting, parse_specs(text), seeds)


def plan_for(bench, dataset, text, preset="smoke"):
    (plan,) = plans_for(bench, dataset, text, [0], preset)
    return plan
