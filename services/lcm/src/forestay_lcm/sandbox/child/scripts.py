"""The calling conventions of Tacker (wire sections 8.4, 8.5, 12), inside the script's own process.

Rules:

* Arguments arrive as JSON and are pickled here, for the script; what the script pickles is read in another process with
  the same limits and leaves it as JSON. Nobody outside of the sandbox ever reads a pickle.
* What a script prints is no result: for user data everything printed goes to standard error; a hook's pickle is found
  between whatever else the hook printed.
* A script file runs as if it were the program, in an interpreter that has the shim loaded already.
* A user data script is a module of its package: it imports the package's other files from the CSAR's root, relatively, or
  from its own folder.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import os
import pickle
import runpy
import sys
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

_USER_DATA_ARGUMENTS = ("req", "inst", "grant_req", "grant", "tmp_csar_dir")
_HOOK_RESULTS = frozenset({"vnf_instance", "user_script_err_handling_data"})
_MAX_PICKLES = 1000
_FIRST_API = "tacker.vnfm.mgmt_drivers"

Call = dict[str, Any]


def prepared(call: Call, slots: dict[str, str]) -> Callable[[], None]:
    """The program that a call stands for.

    :param call: ``kind``, ``script`` (path in the package), ``arguments``; ``class`` and ``method`` for user data.
    :param slots: where packages lie, by the name of the argument that tells the script.
    """
    path = f"{slots['tmp_csar_dir']}/{call['script']}" if slots else call["script"]
    arguments: dict[str, Any] = call["arguments"] | slots
    runs = {"lcm-hook": _run_hook, "coordination": _run_file, "user-data": _run_method}
    return lambda: runs[call["kind"]](path, call, arguments)


def _run_file(path: str, _call: Call, arguments: dict[str, Any]) -> None:
    _globals_of(path, arguments)


def _run_hook(path: str, _call: Call, arguments: dict[str, Any]) -> None:
    """A hook is a program, or a method of a class as in Tacker's first API."""
    found = _globals_of(path, arguments)
    if _FIRST_API in sys.modules:
        importlib.import_module(f"{_FIRST_API}._calling").call_driver(found, arguments)


def _globals_of(path: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """What is global in a script that has run as the program."""
    _feed(pickle.dumps(arguments))
    _become(path)
    return runpy.run_path(path, run_name="__main__")


def _run_method(path: str, call: Call, arguments: dict[str, Any]) -> None:
    _feed(b"")
    _become(path)
    sys.path.append(path.removesuffix(f"/{call['script']}"))
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    dotted = call["script"].removesuffix(".py").replace("/", ".")
    spec = importlib.util.spec_from_file_location(dotted, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{call['script']} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    owner = getattr(module, call["class"], None)
    first_api = importlib.import_module("tacker.vnfm.lcm_user_data._calling")
    method = first_api.adapted(owner, call["method"]) or getattr(owner, call["method"], None)
    if method is None:
        missing = f"class {call['class']!r}" if owner is None else f"method {call['method']!r} in {call['class']!r}"
        sys.exit(f"{call['script']} has no {missing}.")
    pickle.dump(method(*(arguments.get(name) for name in _USER_DATA_ARGUMENTS)), results)
    results.close()


def _feed(content: bytes) -> None:
    """Give standard input a content."""
    memory = os.memfd_create("stdin")
    with os.fdopen(os.dup(memory), "wb") as file:
        file.write(content)
    os.lseek(memory, 0, os.SEEK_SET)
    os.dup2(memory, 0)
    os.close(memory)


def _become(path: str) -> None:
    sys.argv = [path]
    sys.path[0] = os.path.dirname(path)
    sys.excepthook = _say


def _say(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an uncaught error from the script's first line on: what called the script is not its author's business, nor is
    the place of an error before it."""
    place = os.path.dirname(sys.argv[0])
    start = trace
    while start is not None and not start.tb_frame.f_code.co_filename.startswith(place):
        start = start.tb_next
    traceback.print_exception(kind, error, start)


def as_json(kind: str, output: bytes) -> Callable[[], None]:
    """The program that finds the result in a script's output and prints it as JSON, ``null`` when there is none."""

    def read() -> None:
        result = next((value for value in _pickles(output) if _is_result(kind, value)), None)
        try:
            sys.stdout.write(json.dumps(result, allow_nan=False))
        except (TypeError, ValueError) as error:
            sys.exit(f"{error}.")

    return read


def _is_result(kind: str, value: object) -> bool:
    if not isinstance(value, dict):
        return False
    return kind != "lcm-hook" or bool(_HOOK_RESULTS & set[object](value))


def _pickles(output: bytes) -> Iterator[object]:
    """Every pickle that starts somewhere in the output (protocol 2 and newer; older ones only at its start)."""
    stream, at = io.BytesIO(output), 0
    for _ in range(_MAX_PICKLES):
        stream.seek(at)
        try:
            yield pickle.load(stream)  # noqa: S301 - this process is made to be harmed
            at = stream.tell()
        except Exception:  # noqa: BLE001 - noise can raise anything
            at += 1
        at = output.find(b"\x80", at)
        if at < 0:
            return
