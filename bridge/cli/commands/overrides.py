"""Change fields of a sample event, as `reelbridge trigger --override data.status=failed` asks."""

import json
from collections.abc import Iterable
from typing import Any

from bridge.cli.local.errors import CommandError


def override(body: dict[str, Any], settings: Iterable[str]) -> dict[str, Any]:
    """Return a body with fields set as `path=value` says; a path is names and list positions with dots between.

    A value that is JSON is taken as such, any other as text. Raise `CommandError` for a path that leads nowhere.
    """
    changed: dict[str, Any] = json.loads(json.dumps(body))
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not path:
            raise CommandError(f"--override: write it as data.status=failed, not {setting}")
        _set(changed, path, _read_value(text))
    return changed


def _read_value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _set(body: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    place: Any = body
    for name in parents:
        place = _step(place, name, path)
    if isinstance(place, dict):
        place[last] = value
    elif isinstance(place, list) and last.isdecimal() and int(last) < len(place):
        place[int(last)] = value
    else:
        raise _nowhere(path, last)


def _step(place: Any, name: str, path: str) -> Any:
    """Return what is under a name; an object that was absent or null is made."""
    if isinstance(place, dict):
        if place.get(name) is None:
            place[name] = {}
        return place[name]
    if isinstance(place, list) and name.isdecimal() and int(name) < len(place):
        return place[int(name)]
    raise _nowhere(path, name)


def _nowhere(path: str, name: str) -> CommandError:
    return CommandError(
        f"--override: {path} leads nowhere in this event: there is nothing to put {name} into"
    )
