"""HOT's functions, as one table. A function takes its unevaluated arguments and the scope they are evaluated in.

``evaluate`` returns new data and never changes the template. What a reference means is the scope's business: it is ``None``
for a resource that does not exist yet, as when a stack is validated, so functions have to bear that.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from forestay_simvim.hot.template import invalid


class Scope(Protocol):
    """What functions can look at."""

    def parameter(self, name: str) -> Any:
        """The parameter's typed value; raises KeyError when it is not declared."""
        ...

    def reference(self, resource: str) -> Any:
        """What ``get_resource`` gives."""
        ...

    def attribute(self, resource: str, path: list[Any]) -> Any:
        """What ``get_attr`` gives."""
        ...

    def file(self, name: str) -> str:
        """What ``get_file`` gives."""
        ...

    def condition(self, name: str) -> bool:
        """The value of a named condition."""
        ...


class _Dropped:
    """What ``if`` without an else gives: the property or list item is left out."""


DROPPED = _Dropped()


def evaluate(value: Any, scope: Scope) -> Any:
    """The value with every function in it replaced by its result."""
    if isinstance(value, dict):
        if len(value) == 1:
            name, args = next(iter(value.items()))
            function = FUNCTIONS.get(name)
            if function is not None:
                return function(args, scope)
        done = {key: evaluate(each, scope) for key, each in value.items()}
        return {key: each for key, each in done.items() if each is not DROPPED}
    if isinstance(value, list):
        return [each for item in value if (each := evaluate(item, scope)) is not DROPPED]
    return value


def truth(value: Any, scope: Scope) -> bool:
    """The value of a condition: a name, a boolean or a condition function."""
    if isinstance(value, str):
        return scope.condition(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _CONDITIONS:
        name, args = next(iter(value.items()))
        return _CONDITIONS[name](args, scope)
    result = evaluate(value, scope)
    if isinstance(result, bool):
        return result
    raise invalid("StackValidationFailed", f'Invalid condition "{value}"')


def select(value: Any, path: list[Any]) -> Any:
    """Follow *path* into maps, lists and JSON text; ``None`` where it leads nowhere."""
    for step in path:
        if isinstance(value, str) and value[:1] in "{[":
            try:
                value = json.loads(value)
            except ValueError:
                return None
        if isinstance(value, list):
            try:
                value = value[int(step)]
            except (ValueError, IndexError):
                return None
        elif isinstance(value, dict):
            value = value.get(step, value.get(str(step)))
        else:
            return None
    return value


def _get_param(args: Any, scope: Scope) -> Any:
    path = evaluate(args, scope)
    name, *rest = path if isinstance(path, list) else [path]
    try:
        value = scope.parameter(name)
    except KeyError:
        raise invalid("UserParameterMissing", f"The Parameter ({name}) was not provided.") from None
    if not rest:
        return value
    found = select(value, rest)
    return "" if found is None else found


def _get_resource(args: Any, scope: Scope) -> Any:
    return scope.reference(evaluate(args, scope))


def _get_attr(args: Any, scope: Scope) -> Any:
    resource, *path = evaluate(args, scope)
    return scope.attribute(resource, path)


def _get_file(args: Any, scope: Scope) -> Any:
    return scope.file(evaluate(args, scope))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _replace(text: str, mapping: dict[str, str]) -> str:
    """One pass over the text, longest keys first, so that no replacement is replaced again."""
    parts: list[str | int] = [text]
    values: list[str] = []
    for key in sorted(mapping, key=len, reverse=True):
        if not key:
            continue
        marker = len(values)
        values.append(mapping[key])
        split: list[str | int] = []
        for part in parts:
            pieces = part.split(key) if isinstance(part, str) else [part]
            for number, piece in enumerate(pieces):
                split += [marker, piece] if number else [piece]
        parts = split
    return "".join(values[part] if isinstance(part, int) else part for part in parts)


def _str_replace(args: Any, scope: Scope) -> str:
    mapping = evaluate(args["params"], scope) or {}
    return _replace(str(evaluate(args["template"], scope)), {str(key): _text(value) for key, value in mapping.items()})


def _str_replace_strict(args: Any, scope: Scope) -> str:
    template = str(evaluate(args["template"], scope))
    unused = [key for key in args["params"] if str(key) not in template]
    if unused:
        raise invalid("ValueError", f"The following params were not found in the template: {','.join(unused)}")
    return _str_replace(args, scope)


def _list_join(args: Any, scope: Scope) -> str:
    delimiter, *lists = evaluate(args, scope)
    return str(delimiter).join(_text(each) for each in itertools.chain.from_iterable(part or [] for part in lists))


def _str_split(args: Any, scope: Scope) -> Any:
    delimiter, text, *index = evaluate(args, scope)
    if text is None:
        return None
    parts = str(text).split(delimiter)
    return parts[int(index[0])] if index else parts


def _map_merge(args: Any, scope: Scope) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for each in evaluate(args, scope):
        merged |= each or {}
    return merged


def _map_replace(args: Any, scope: Scope) -> dict[str, Any]:
    source, how = evaluate(args, scope)
    keys, values = how.get("keys") or {}, how.get("values") or {}
    return {
        keys.get(key, key): values.get(value, value) if _hashable(value) else value
        for key, value in (source or {}).items()
    }


def _hashable(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _list_concat(args: Any, scope: Scope) -> list[Any]:
    return list(itertools.chain.from_iterable(part or [] for part in evaluate(args, scope)))


def _list_concat_unique(args: Any, scope: Scope) -> list[Any]:
    unique: list[Any] = []
    for each in _list_concat(args, scope):
        if each not in unique:
            unique.append(each)
    return unique


def _filter(args: Any, scope: Scope) -> list[Any]:
    values, sequence = evaluate(args, scope)
    return [each for each in sequence or [] if each not in values]


def _repeat(args: Any, scope: Scope) -> list[Any]:
    loops: dict[str, Any] = evaluate(args["for_each"], scope)
    names = list(loops)
    combine = itertools.product if args.get("permutations", True) else zip
    chosen: Iterator[tuple[Any, ...]] = iter(combine(*(list(loops[name] or []) for name in names)))
    done = [evaluate(_fill(args["template"], dict(zip(names, values, strict=True))), scope) for values in chosen]
    return [each for each in done if each is not DROPPED]


def _fill(template: Any, values: dict[str, Any]) -> Any:
    if isinstance(template, str):
        return values[template] if template in values else _replace(template, {k: _text(v) for k, v in values.items()})
    if isinstance(template, dict):
        return {_fill(key, values): _fill(each, values) for key, each in template.items()}
    if isinstance(template, list):
        return [_fill(each, values) for each in template]
    return template


def _digest(args: Any, scope: Scope) -> str:
    algorithm, text = evaluate(args, scope)
    return hashlib.new(algorithm, str(text).encode()).hexdigest()


def _make_url(args: Any, scope: Scope) -> str:
    parts = evaluate(args, scope)
    host = str(parts.get("host", ""))
    host = f"[{host}]" if ":" in host else host
    user = "{}@".format(":".join(str(parts[key]) for key in ("username", "password") if parts.get(key)))
    port = f":{parts['port']}" if parts.get("port") else ""
    query = "&".join(f"{key}={value}" for key, value in (parts.get("query") or {}).items())
    url = f"{parts.get('scheme', '')}://{user if len(user) > 1 else ''}{host}{port}{parts.get('path', '')}"
    return url + (f"?{query}" if query else "") + (f"#{parts['fragment']}" if parts.get("fragment") else "")


def _if(args: Any, scope: Scope) -> Any:
    condition, *branches = args
    if truth(condition, scope):
        return evaluate(branches[0], scope)
    return evaluate(branches[1], scope) if len(branches) > 1 else DROPPED


def _equals(args: Any, scope: Scope) -> bool:
    left, right = evaluate(args, scope)
    return left == right


def _contains(args: Any, scope: Scope) -> bool:
    needle, haystack = evaluate(args, scope)
    return needle in (haystack or [])


_CONDITIONS: dict[str, Callable[[Any, Scope], bool]] = {
    "equals": _equals,
    "contains": _contains,
    "not": lambda args, scope: not truth(args, scope),
    "and": lambda args, scope: all(truth(each, scope) for each in args),
    "or": lambda args, scope: any(truth(each, scope) for each in args),
}

FUNCTIONS: dict[str, Callable[[Any, Scope], Any]] = {
    "get_param": _get_param,
    "get_resource": _get_resource,
    "get_attr": _get_attr,
    "get_file": _get_file,
    "str_replace": _str_replace,
    "str_replace_strict": _str_replace_strict,
    "str_replace_vstrict": _str_replace_strict,
    "str_split": _str_split,
    "list_join": _list_join,
    "list_concat": _list_concat,
    "list_concat_unique": _list_concat_unique,
    "map_merge": _map_merge,
    "map_replace": _map_replace,
    "repeat": _repeat,
    "filter": _filter,
    "digest": _digest,
    "make_url": _make_url,
    "if": _if,
    "contains": _contains,
}
