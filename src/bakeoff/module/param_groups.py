"""Groups of parameters: rules on kind, name and shape say which group a parameter is in, and with which options.

    {"no_decay": {"kind": ["bias", "norm"], "weight_decay": 0.0}, "decay": {"rest": True}}

Every parameter is in just one group: one in none, or in two, is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from bakeoff.module.named_parameters import KINDS, NamedParameter

Rules = Mapping[str, Mapping[str, Any]]
SELECTORS = ("kind", "names", "ndim", "rest")
EXPECTED = "give it kind, names, ndim or rest: true"


class ParamGroupsError(ValueError):
    """Rules that do not fit the parameters, or the optimizer; the message begins with their key in the settings."""


def select(rules: Rules, named: Sequence[NamedParameter], key: str = "param_groups") -> dict[str, list[NamedParameter]]:
    """The parameters of each rule, in their order.

    Args:
        rules: name -> what is to hold of a parameter, all of it: `kind`, one of `KINDS` or a list; `names`, a pattern
            such as `head.*` or a list; `ndim`, a number or a list. `rest: True` takes what no other rule takes. Other
            keys are options.
        named: see `named_parameters`.
        key: where the rules stand in the settings, for messages.

    Raises:
        ParamGroupsError: a parameter is in no rule or in several, or a rule cannot be read, or names what is not there.

    """
    for name, rule in rules.items():
        _check_rule(f"{key}.{name}", rule)
    rest = [name for name, rule in rules.items() if rule.get("rest")]
    if len(rest) > 1:
        raise ParamGroupsError(f"{key}: {' and '.join(rest)} have rest: true; only one can take the rest")
    chosen: dict[str, list[NamedParameter]] = {name: [] for name in rules}
    for pair in named:
        takers = [name for name, rule in rules.items() if name not in rest and _takes(rule, pair)] or rest
        if len(takers) != 1:
            raise ParamGroupsError(_not_in_one(key, pair, takers))
        chosen[takers[0]].append(pair)
    for name, rule in rules.items():
        _check_patterns(f"{key}.{name}", rule, named)
    return chosen


def groups(rules: Rules, named: Sequence[NamedParameter], key: str = "param_groups") -> list[dict[str, Any]]:
    """The groups for an optimizer, each with its `name` and its options; a rule that selects nothing has none.

    Raises:
        ParamGroupsError: see `select`.

    """
    chosen = select(rules, named, key)
    return [
        {"params": [parameter for _, parameter in pairs], "name": name, **options_of(rules[name])}
        for name, pairs in chosen.items()
        if pairs
    ]


def options_of(rule: Mapping[str, Any]) -> dict[str, Any]:
    """What a rule gives the optimizer, such as `lr`."""
    return {option: value for option, value in rule.items() if option not in SELECTORS}


def as_list(value: Any) -> list[Any]:
    """One value, or several."""
    return list(value) if isinstance(value, list | tuple) else [value]


def _check_rule(key: str, rule: Any) -> None:
    if not isinstance(rule, Mapping):
        raise ParamGroupsError(f"{key} must be a rule, got {rule}; {EXPECTED}")
    given = [selector for selector in SELECTORS if selector in rule]
    if not given:
        raise ParamGroupsError(f"{key} says of no parameter that it is in it; {EXPECTED}")
    if "rest" in rule and (rule["rest"] is not True or given != ["rest"]):
        raise ParamGroupsError(f"{key}.rest must be true, and stand without kind, names and ndim, got {dict(rule)}")
    for kind in as_list(rule.get("kind", [])):
        if kind not in KINDS:
            raise ParamGroupsError(f"{key}.kind must be of {', '.join(KINDS)}, got {kind}")
    for pattern in as_list(rule.get("names", [])):
        if not isinstance(pattern, str):
            raise ParamGroupsError(f"{key}.names must be patterns such as 'head.*', got {pattern}")
    for ndim in as_list(rule.get("ndim", [])):
        if not isinstance(ndim, int) or isinstance(ndim, bool) or not ndim >= 0:
            raise ParamGroupsError(f"{key}.ndim must be a number of axes >= 0, got {ndim}")


def _takes(rule: Mapping[str, Any], pair: NamedParameter) -> bool:
    name, parameter = pair
    return (
        ("kind" not in rule or pair.kind in as_list(rule["kind"]))
        and ("names" not in rule or any(fnmatchcase(name, pattern) for pattern in as_list(rule["names"])))
        and ("ndim" not in rule or parameter.ndim in as_list(rule["ndim"]))
    )


def _not_in_one(key: str, pair: NamedParameter, takers: Iterable[str]) -> str:
    name, parameter = pair
    what = f"{name} ({pair.kind}, shape {tuple(parameter.shape)})"
    if not (found := list(takers)):
        return f"{key}: {what} is in no group; give one group rest=true, which takes what no other takes"
    return f"{key}: {what} is in the groups {' and '.join(found)}; change a rule so that one alone takes it"


def _check_patterns(key: str, rule: Mapping[str, Any], named: Iterable[NamedParameter]) -> None:
    """A net may have no norms, but a pattern that matches no name is a typing error."""
    known = [name for name, _ in named]
    for pattern in as_list(rule.get("names", [])):
        if not any(fnmatchcase(name, pattern) for name in known):
            raise ParamGroupsError(f"{key}.names: no parameter is called {pattern}; there are {_some(known)}")


def _some(names: Sequence[str], shown: int = 6) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{', '.join(names[:shown])}{more}"
