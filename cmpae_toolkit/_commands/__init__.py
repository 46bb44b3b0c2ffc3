"""The verbs of the `cmpae` command: each is a class whose fields are its options and whose `run` is one call into the library.

The comment behind a field is its help. What takes long to import is imported when a verb runs, so that help comes at once.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from .. import studies
from ..config import MethodConfig, config_for, presets
from ..data.naming import default_name
from ..errors import InputError
from ..methods import get
from .on_data import Doctor, Download, Extract, Films, Labels, Pack
from .on_pages import Explorer, Watch
from .on_runs import Evaluate, Predict, Train
from .on_studies import Leaderboard, Methods, Study, Tables

VERBS: dict[str, type] = {
    verb.__name__.lower(): verb
    for verb in (
        Doctor, Download, Films, Extract, Labels, Pack, Train, Predict, Evaluate, Explorer, Watch, Tables, Study, Leaderboard, Methods,
    )
}


def parse(arguments: Sequence[str]) -> Any:
    """The verb with its options, ready to `run`. Help and options that cannot be read end the program, as usual."""
    verb, rest = (arguments[0] if arguments else "--help"), list(arguments[1:])
    if verb in VERBS:
        return _parse_study(rest) if verb == "study" and rest and rest[0] in studies.STUDIES else _parse_verb(verb, rest)
    if verb not in ("-h", "--help"):
        raise InputError(f"there is no command {verb!r}: use one of {', '.join(VERBS)}.")
    print("usage: cmpae COMMAND [OPTIONS]\n\nEvidential audio-visual event perception; `cmpae COMMAND --help` lists the options.\n")
    for name, about in VERBS.items():
        print(f"  {name:12}{about.__doc__.splitlines()[0]}")
    print(f"\nPresets: {', '.join(presets)}. Studies: {', '.join(studies.STUDIES)}.")
    raise SystemExit(0)


def _parse_verb(verb: str, arguments: list[str]) -> Any:
    default = {"default": Train(config=_starting_config(arguments))} if verb == "train" else {}
    return tyro.cli(VERBS[verb], prog=f"cmpae {verb}", args=arguments, **default)


def _parse_study(arguments: list[str]) -> Study:
    name, *rest = arguments
    study = studies.get(name)

    @functools.wraps(study)
    def planned(*given: Any, **options: Any) -> Callable[[], Any]:
        return functools.partial(study, *given, **options)

    return Study(name=name, call=tyro.cli(planned, prog=f"cmpae study {name}", args=rest))


def _starting_config(arguments: list[str]) -> MethodConfig:
    """The config that --preset, --method and --data stand for: its class says which further options there are."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option in ("--data", "--preset", "--method"):
        first.add_argument(option, nargs="?")
    known, _ = first.parse_known_args(arguments)
    data_name = known.data or default_name()
    if known.method is None:
        return config_for(data_name, known.preset)
    if known.preset is not None:
        raise InputError("a preset names its method: give --preset or --method, not both.")
    return get(known.method).Config().adopting(**config_for(data_name, "paper").difference(presets["paper"]))
