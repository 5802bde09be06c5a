"""What classes of the package show to users: names of their attributes and methods."""

from __future__ import annotations

from dataclasses import fields, is_dataclass


def list_attributes(thing):
    """Return the public attributes and methods of a class, those of a tuple or error left out."""
    inherited = {*dir(tuple), *dir(Exception)}
    own = {name for name in dir(thing) if name[0] != "_" and name not in inherited}
    own |= {field.name for field in fields(thing)} if is_dataclass(thing) else set()
    own |= {*getattr(thing, "_fields", ())}
    declared = {name for part in thing.__mro__ for name in vars(part).get("__annotations__", {})}
    return {name for name in own | declared if name[0] != "_"}
