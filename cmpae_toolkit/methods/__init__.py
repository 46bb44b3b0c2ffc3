"""Published methods, one file each. A method is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from ..method import Method

__all__ = ["METHODS", "get"]

METHODS: dict[str, str] = {
    "cmpae": "cmpae_toolkit.model:CMPAE",
    "han": "cmpae_toolkit.methods.han:HAN",
    "jomold": "cmpae_toolkit.methods.jomold:JoMoLD",
    "ma": "cmpae_toolkit.methods.ma:MA",
    "mm_pyramid": "cmpae_toolkit.methods.mm_pyramid:MMPyramid",
    "valor": "cmpae_toolkit.methods.valor:VALOR",
    "cvcms": "cmpae_toolkit.methods.cvcms:CVCMS",
    "dhhn": "cmpae_toolkit.methods.dhhn:DHHN",
    "leap": "cmpae_toolkit.methods.leap:LEAP",
    "uwav": "cmpae_toolkit.methods.uwav:UWAV",
    "coleaf": "cmpae_toolkit.methods.coleaf:CoLeaF",
    "linear_probe": "cmpae_toolkit.methods.linear_probe:LinearProbe",
    "avel": "cmpae_toolkit.methods.avel:AVEL",
    "psp": "cmpae_toolkit.methods.psp:PSP",
    "cmran": "cmpae_toolkit.methods.cmran:CMRAN",
    "cmbs": "cmpae_toolkit.methods.cmbs:CMBS",
    "cmbs_parsing": "cmpae_toolkit.methods.cmbs_parsing:CMBSParsing",
    "avel_parsing": "cmpae_toolkit.methods.avel_parsing:AVELParsing",
    "avsdn_parsing": "cmpae_toolkit.methods.avsdn_parsing:AVSDNParsing",
}


def get(name: str) -> type[Method]:
    """The class of a method, by its name in `METHODS` or as "package.module:Class" for one of your own.

    Raises InputError for a name that is neither, with the reason where a module cannot be imported.

    >>> get("han").__name__, get("cmpae_toolkit.methods.han:HAN") is get("han")
    ('HAN', True)
    """
    module, _, attribute = METHODS.get(name, str(name)).partition(":")
    try:
        found = getattr(import_module(module), attribute)
        if not hasattr(found, "Config"):
            raise ValueError(f"{attribute} is no method: it has no Config")
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"there is no method {name!r} ({error}): use one of {', '.join(METHODS)}, or 'package.module:Class' for your own."
        ) from None
    return found


def __dir__() -> list[str]:
    return __all__
