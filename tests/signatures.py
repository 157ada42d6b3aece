"""Signatures, as tests hold them against those that trainers use."""

import inspect


def listed(function):
    """Name and default of each parameter but ``self`` and those that are keyword-only."""
    parameters = inspect.signature(function).parameters.values()
    return [
        (p.name,) if p.default is p.empty else (p.name, p.default)
        for p in parameters
        if p.kind is not p.KEYWORD_ONLY and p.name != "self"
    ]
