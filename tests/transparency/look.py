"""What a program can see of a value, an exception, a method or its own process, as plain data."""

from __future__ import annotations

import abc
import asyncio
import atexit
import builtins
import collections.abc
import contextlib
import copy
import functools
import gc
import inspect
import logging
import os
import pickle
import pydoc
import re
import signal
import sys
import threading
import traceback
import types
import typing
import warnings
import weakref
from pathlib import Path
from typing import Any

__all__ = [
    "descriptors",
    "exception_of",
    "fingerprint",
    "method_of",
    "plain",
    "process_of",
    "stream_of",
    "value_of",
]

OURS = ("otel_agentops", "wrapt")
"""Packages whose frames and threads are not the program's, nor the SDK's."""

_CHANGING = (
    (re.compile(r"(127\.0\.0\.1|localhost):\d+"), "SERVER"),
    (re.compile(r"0x[0-9a-f]{6,}"), "0x"),
    (re.compile(r"cancel scope [0-9a-f]+"), "cancel scope"),
    (re.compile(r"asynchronous generator <.*>\n.*"), "asynchronous generator"),
    (re.compile(r"port=\d+"), "port=N"),
    (re.compile(r"\breq_\d+"), "req_N"),
    (re.compile(r"(?i)(b?'date'[,:] b?')[^']*'"), r"\1DATE'"),
    (re.compile(r"\d+\.\d+ ?(ms|seconds|s)\b"), "TIME"),
    (re.compile(r"(Task|Thread|worker|pool)[-_ ]?\d+(?:[-_]\d+)?"), r"\1-N"),
    (re.compile(r"\('127\.0\.0\.1', \d+\)"), "SERVER"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.0-9]*(\+00:00)?"), "NOW"),
    (re.compile(r"datetime\.datetime\([^)]*\)"), "NOW"),
    (re.compile(r"'timestamp': \d+"), "NOW"),
    (re.compile(r"(started|stopped)( daemon)? \d+"), r"\1\2"),
)


def plain(text: Any) -> str:
    """A text without ports, addresses of objects, dates and times."""
    found = str(text)
    for pattern, instead in _CHANGING:
        found = pattern.sub(instead, found)
    return found


def _name(kind: Any) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


_ABCS = [getattr(collections.abc, name) for name in collections.abc.__all__ if name != "ByteString"] + [
    contextlib.AbstractContextManager,
    contextlib.AbstractAsyncContextManager,
    os.PathLike,
]
_SPECIAL = (
    "__iter__",
    "__next__",
    "__aiter__",
    "__anext__",
    "__enter__",
    "__exit__",
    "__aenter__",
    "__aexit__",
    "__await__",
    "__len__",
    "__getitem__",
    "__contains__",
    "__call__",
    "__bool__",
    "__del__",
    "__int__",
    "__float__",
    "__index__",
    "__fspath__",
    "__get__",
)


def value_of(value: Any) -> dict[str, Any]:
    """Everything about a result."""
    kind = value.__class__
    told: dict[str, Any] = {
        "type": _name(type(value)),
        "class": _name(kind),
        "isinstance": [_name(each) for each in kind.__mro__ if isinstance(value, each)],
        "abcs": [_name(each) for each in _ABCS if isinstance(value, each)],
        "special": [name for name in _SPECIAL if hasattr(value, name)],
        "repr": plain(repr(value)),
        "str": plain(str(value)),
        "dir": sorted(dir(value)),
        "true": bool(value) if not isinstance(value, type) else None,
        "pickled": _try(lambda: _name(pickle.loads(pickle.dumps(value)).__class__)),
        "copied": _try(lambda: _name(copy.copy(value).__class__)),
        "weakly": _try(lambda: weakref.ref(value)() is value),
        "vars": _try(lambda: sorted(vars(value))),
    }
    if hasattr(value, "model_dump"):
        told |= {
            "dump": plain(value.to_dict(warnings=False) if hasattr(value, "to_dict") else value.model_dump()),
            "set": sorted(value.model_fields_set),
            "extra": plain(value.model_extra),
            "request": getattr(value, "_request_id", None),
            "equal": value == copy.deepcopy(value),
        }
    return told


def _try(look: Any) -> Any:
    try:
        return look()
    except Exception as error:
        return f"{type(error).__name__}: {plain(error)}"


def stream_of(stream: Any) -> dict[str, Any]:
    """A stream before it is read: nothing of this reads it."""
    response = stream.response
    return {
        **value_of(stream),
        "response": {
            "class": _name(response.__class__),
            "status": response.status_code,
            "headers": plain(sorted(response.headers.items())),
            "closed": response.is_closed,
            "request": plain((response.request.method, response.request.url)),
            "same": stream.response is stream.response,
        },
        "equal": stream == stream,  # noqa: PLR0124 - what the program would find
        "hash": hash(stream) == hash(stream),
        "iterator": _try(lambda: inspect.isgenerator(iter(stream))),
        "async iterator": _try(lambda: inspect.isasyncgen(aiter(stream))),
    }


def exception_of(error: BaseException) -> dict[str, Any]:
    """Everything about an exception, and the frames it went through."""
    chain, link = [], error
    while link is not None and len(chain) < 10:
        chain.append((_name(type(link)), plain(repr(link.args)), link.__suppress_context__))
        link = link.__cause__ or link.__context__  # type: ignore[assignment]
    frames = [
        (Path(frame.filename).name, frame.name)
        for frame in traceback.extract_tb(error.__traceback__)
        if not any(f"/{package}/" in frame.filename for package in OURS)
    ]
    own = {name: plain(repr(value)) for name, value in sorted(vars(error).items()) if "request" not in name}
    return {
        "class": _name(type(error)),
        "isinstance": [_name(each) for each in type(error).__mro__],
        "str": plain(error),
        "repr": plain(repr(error)),
        "chain": chain,
        "notes": [plain(note) for note in getattr(error, "__notes__", ())],
        "frames": frames,
        "vars": own,
    }


# --- methods ---


def descriptors(owner: Any, name: str) -> dict[str, Any]:
    """What introspection tells of a method, unbound and bound, and what one can do with it."""
    function = getattr(owner, name)
    instance = owner.__new__(owner)
    method = getattr(instance, name)

    class Child(owner):  # type: ignore[misc]
        def call(self) -> Any:
            return getattr(super(), name)

    return {
        "function": _introspected(function),
        "method": _introspected(method),
        "static": isinstance(inspect.getattr_static(owner, name), types.FunctionType),
        "members": [member for member, _ in inspect.getmembers(owner, inspect.isfunction)],
        "routines": [member for member, _ in inspect.getmembers(instance, inspect.ismethod)],
        "equal": method == getattr(instance, name),
        "hash": hash(method) == hash(getattr(instance, name)),
        "unequal": method == getattr(owner.__new__(owner), name),
        "self": method.__self__ is instance,
        "func": _try(lambda: method.__func__ == function),
        "method type": isinstance(method, types.MethodType),
        "callable": isinstance(method, collections.abc.Callable),  # type: ignore[arg-type]
        "rebound": _try(lambda: function.__get__(instance, owner) == method),
        "class bound": _try(lambda: owner.__dict__[name].__get__(None, owner) == function),
        "weak method": _try(lambda: weakref.WeakMethod(method)() == method),
        "weak function": _try(lambda: weakref.ref(function)() is function),
        "copied": _try(lambda: copy.copy(function) is function),
        "deep": _try(lambda: copy.deepcopy([function])[0] is function),
        "pickled": _try(lambda: pickle.loads(pickle.dumps(function)) == function),
        "partial": _try(lambda: plain(inspect.signature(functools.partial(method)))),
        "wraps": _try(lambda: functools.wraps(method)(lambda: None).__name__),
        "super": _try(lambda: _introspected(Child.__new__(Child).call())),
        "inherited": _try(lambda: getattr(Child, name) == function),
        "autospec": _try(lambda: _autospec(owner, name)),
        "set": _try(lambda: setattr(method, "mark", 1)),
        "missing": _try(lambda: method.no_such_thing),
    }


def _autospec(owner: Any, name: str) -> str:
    from unittest import mock

    return plain(inspect.signature(getattr(mock.create_autospec(owner), name)))


def _introspected(function: Any) -> dict[str, Any]:
    looks = {
        "signature": lambda: plain(inspect.signature(function)),
        "spec": lambda: plain(inspect.getfullargspec(function)),
        "hints": lambda: sorted(typing.get_type_hints(function)),
        "overloads": lambda: len(typing.get_overloads(function)),
        "source": lambda: hash(inspect.getsource(function)),
        "lines": lambda: inspect.getsourcelines(function)[1],
        "file": lambda: inspect.getsourcefile(function),
        "module": lambda: inspect.getmodule(function).__name__,  # type: ignore[union-attr]
        "doc": lambda: inspect.getdoc(function),
        "rendered": lambda: plain(pydoc.render_doc(function)),
        "annotations": lambda: sorted(inspect.get_annotations(function)),
        "closure": lambda: sorted(inspect.getclosurevars(function).nonlocals),
        "unwrapped": lambda: inspect.unwrap(function).__qualname__,
        "repr": lambda: plain(repr(function)),
        "dir": lambda: sorted(dir(function)),
        "class": lambda: _name(function.__class__),
    }
    told = {name: _try(look) for name, look in looks.items()}
    kinds = ("coroutinefunction", "generatorfunction", "asyncgenfunction", "function", "method", "routine")
    told |= {kind: getattr(inspect, f"is{kind}")(function) for kind in kinds}
    told |= {"builtin": inspect.isbuiltin(function), "descriptor": inspect.ismethoddescriptor(function)}
    names = "name qualname doc module defaults kwdefaults annotations dict type_params"
    told |= {name: plain(_try(lambda: getattr(function, f"__{name}__"))) for name in names.split()}  # noqa: B023
    told["asyncio"] = asyncio.iscoroutinefunction(function) if sys.version_info < (3, 14) else None
    return told


method_of = _introspected

# --- the process ---


def process_of() -> dict[str, Any]:
    """State that everybody in the process shares."""
    from opentelemetry import metrics, propagate, trace

    gc.collect()
    return {
        "environ": sorted((name, plain(value)) for name, value in os.environ.items()),
        "propagator": _propagators(propagate.get_global_textmap()),
        "tracer provider": _name(type(trace.get_tracer_provider())),
        "meter provider": _name(type(metrics.get_meter_provider())),
        "hooks": {
            name: _name(type(value)) + " " + getattr(value, "__qualname__", "")
            for name, value in (
                ("sys", sys.excepthook),
                ("threads", threading.excepthook),
                ("unraisable", sys.unraisablehook),
                ("display", sys.displayhook),
                ("breakpoint", sys.breakpointhook),
                ("import", __import__),
            )
        },
        "trace": (sys.gettrace() is None, sys.getprofile() is None, threading.gettrace() is None),
        "asyncgen hooks": sys.get_asyncgen_hooks() == (None, None),
        "signals": {
            number.name: _handler(signal.getsignal(number))
            for number in signal.Signals
            if number not in (signal.SIGKILL, signal.SIGSTOP)
        },
        "gc": (gc.isenabled(), gc.get_threshold(), len(gc.callbacks)),
        "limits": (sys.getrecursionlimit(), sys.getswitchinterval(), threading.stack_size()),
        "path": len(sys.path),
        # of each kind one, as Python's own and everybody's who waits for an import
        "finders": [_name(each if isinstance(each, type) else type(each)) for each in sys.meta_path],
        "umask": _umask(),
        "cwd": str(Path.cwd()),
        "root log handlers": [_name(type(handler)) for handler in logging.getLogger().handlers],
        "log levels": {
            name: logging.getLogger(name).level
            for name in ("", "anthropic", "openai", "httpx", "httpx2", "opentelemetry", "asyncio")
        },
        "disabled logs": logging.root.manager.disable,
        "log class": _name(logging.getLoggerClass()),
        "log factory": _name(logging.getLogRecordFactory()),
        # the SDK adds some for warnings of its own when parts of it are imported
        "filters": sum(
            "opentelemetry" not in f"{kind.__module__} {module}" for _, _, kind, module, _ in warnings.filters
        ),
        "showwarning": warnings.showwarning.__qualname__,
        "loop policy": _name(type(asyncio.get_event_loop_policy())) if sys.version_info < (3, 14) else "",
        "threads": threads_of(),
        "files": files_of(),
        "children": _children(),
        "builtins": hash(tuple(sorted(vars(builtins)))),
        "thread class": threading.Thread.start.__qualname__ + threading.Thread.run.__qualname__,
        "abc": _name(abc.ABCMeta),
    }


def _propagators(textmap: Any) -> list[str]:
    return [_name(type(textmap)), *(_name(type(each)) for each in getattr(textmap, "_propagators", ()))]


def _handler(handler: Any) -> str:
    return getattr(handler, "__qualname__", None) or str(handler)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _children() -> int:
    tasks = Path("/proc/self/task").glob("*/children")
    return sum(len(task.read_text().split()) for task in tasks)


def callbacks_at_exit() -> int:
    """How many functions run at exit."""
    return int(atexit._ncallbacks())


def threads_of() -> list[str]:
    """Names of the threads, but for ours, which are documented, and anyio's, which end some time later."""
    names = [plain(thread.name) for thread in threading.enumerate()]
    return sorted(name for name in names if not name.startswith(("otel-agentops", "AnyIO")))


def files_of() -> list[str]:
    """What the open files are."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(re.sub(r"\[\d+\]|\d+", "", str(entry.readlink())))
    return sorted(name for name in found if not name.startswith("/proc/"))


def fingerprint(value: Any) -> Any:
    """Identities and content of what was passed in."""
    if isinstance(value, dict):
        return {key: (id(item), fingerprint(item)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [(id(item), fingerprint(item)) for item in value]
    return repr(value)
