"""What one more library costs: a table of methods and a few small functions about one call.

An integration says which methods there are (`Target`), how a request is read into a record and how an
answer or a chunk fills it. Everything else lives here and in `spans`: patching when the library is
imported, sync and async, streams, switching off, and undoing.

A whole integration::

    def request(client, kwargs, capture):
        return ModelCall("acme", kwargs.get("model"), capture=capture)

    def response(call, answer):
        call.usage = Usage(answer.usage.tokens_in, answer.usage.tokens_out)

    INSTRUMENTOR = Instrumentor("acme", (
        Target("acme.chat", "Chat.create", request, response, prompt=("messages",)),
        Target("acme.chat", "AsyncChat.create", request, response, prompt=("messages",)),
    ))
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple

import wrapt

from otel_agentops.accounting import take_digest
from otel_agentops.failsafe import Refusal, failsafe, logger, swallowed
from otel_agentops.instrumentation.arguments import ABSENT, given
from otel_agentops.instrumentation.layers import layers_of
from otel_agentops.instrumentation.methods import Pending, below, method_around, wrapper_in
from otel_agentops.instrumentation.quiet import quiet
from otel_agentops.instrumentation.switches import TargetState, suppressed
from otel_agentops.spans import current, follow, join, start_annotated, start_gated, waiting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_agentops.records import ModelCall
    from otel_agentops.spans import OpenCall, Recorder

__all__ = [
    "ABSENT",
    "Amend",
    "Conceal",
    "Instrumentor",
    "Target",
    "TargetState",
    "given",
]

Request = Callable[[Any, "Mapping[str, Any]", bool], "ModelCall"]
Conceal = Callable[[Any], bool]
Amend = Callable[[Any, "dict[str, Any]", "Recorder"], "tuple[dict[str, Any], Conceal | None]"]


def _nothing(*_: Any) -> None:
    """For methods that have no chunks, or nothing to put together after them."""


class Target(NamedTuple):
    """One method to instrument.

    Attributes:
        module: Module that defines it; it is patched when that module is imported, never before.
        attribute: `Class.method` in the module.
        request: `(resource, kwargs, capture)` -> the record. Reads only what it knows by name.
        response: `(call, answer)`: fills the record from a whole answer.
        chunk: `(call, part)`: fills the record from one part of a stream.
        chunks: `(call)` -> what reads one part after the other, for streams where `chunk` is too slow.
        done: `(call)`: puts together what the chunks left in `call.scratch`.
        positional: Names of the arguments that may be given by place.
        prompt: Names of the arguments that make up the prompt, for its digest.
        follow: Gives the caller what comes instead of the result; see `otel_agentops.spans.follow`.
        amend: `(resource, kwargs, recorder)` -> the arguments to send instead and what hides the
            difference from the caller; None where requests are never touched.
        former: Whether only older versions of the library have it, so that its absence says nothing.
    """

    module: str
    attribute: str
    request: Request
    response: Callable[[ModelCall, Any], object] = _nothing
    chunk: Callable[[ModelCall, Any], object] = _nothing
    chunks: Callable[[ModelCall], Callable[[Any], object]] | None = None
    done: Callable[[ModelCall], object] = _nothing
    positional: tuple[str, ...] = ()
    prompt: tuple[str, ...] = ()
    follow: Callable[..., Any] = follow
    amend: Amend | None = None
    former: bool = False


class Instrumentor:
    """All targets of one library, switched on and off together.

    Args:
        name: What `instrument()` and the settings call it.
        targets: Its methods; one that this version of the library lacks is passed over.
        only_gate: Whether its calls are only ever checked, as somebody else makes their spans.

    Attributes:
        gate: Whether calls are only checked: against budgets and for loops, without a span of ours.
    """

    def __init__(self, name: str, targets: tuple[Target, ...], only_gate: bool = False) -> None:
        self.name = name
        self.targets = targets
        self.only_gate = self.gate = only_gate
        self.active = False
        self._patches: dict[Target, _Patch] = {}
        self._hooked: set[str] = set()
        self._lock = RLock()
        os.register_at_fork(after_in_child=self._fresh_lock)

    def _fresh_lock(self) -> None:
        self._lock = RLock()

    def instrument(self) -> None:
        """Switch on; modules that are not imported yet are patched when they are. Idempotent."""
        with self._lock:
            self.active = True
            new = {target.module for target in self.targets} - self._hooked
            self._hooked |= new
        for module in sorted(new):
            # a module that is already imported is patched right here
            wrapt.register_post_import_hook(self._patch_module, module)
        if not new:
            for module in self._hooked:
                self._repatch(module)

    def to_top(self) -> None:
        """Be outermost again: wrap what others have put around ours, which lets through from now on."""
        import sys  # noqa: PLC0415 - as below

        with self._lock:
            absent = sorted(name for name in self._hooked if name not in sys.modules)
            for target, patch in list(self._patches.items()):
                if self.active and not patch.outermost:
                    with failsafe(f"instrumenting {target.module}.{target.attribute} once more"):
                        patch.retired = True
                        self._patch(target, sys.modules[target.module])
        for name in absent:  # others may have hooked it since we did
            wrapt.register_post_import_hook(lambda _module: self.to_top(), name)

    def uninstrument(self) -> None:
        """Switch off; the very objects that were there come back, where nobody has wrapped ours since."""
        with self._lock:
            self.active = False
            for patch in self._patches.values():
                patch.undo()
            self._patches = {target: patch for target, patch in self._patches.items() if patch.applied}

    @property
    def package(self) -> str:
        """The distribution that the targets come from."""
        return self.targets[0].module.partition(".")[0]

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules that are patched when they are imported."""
        return tuple(sorted({target.module for target in self.targets}))

    def inspect(self) -> list[TargetState]:
        """What became of each target in this process, and who else has wrapped it.

        Targets of older versions of the library are left out where they do not exist.
        """
        states = [(target, self._inspect(target)) for target in self.targets]
        return [state for target, state in states if state.state == "active" or not target.former]

    def _inspect(self, target: Target) -> TargetState:
        name = f"{target.module}.{target.attribute}"
        module = sys.modules.get(target.module)
        if module is None:
            return TargetState(name, "not imported", [])
        owner, method = _place(target, module)
        if owner is None:
            return TargetState(name, "missing", [])
        patch = self._patches.get(target)
        ours = self.active and patch is not None and patch.in_place
        return TargetState(name, "active" if ours else "off", layers_of(owner, method))

    def _repatch(self, module_name: str) -> None:
        module = sys.modules.get(module_name)
        if module is not None:
            self._patch_module(module)

    def _patch_module(self, module: Any) -> None:
        with self._lock:
            if not self.active:
                return
            for target in self.targets:
                known = self._patches.get(target)
                if target.module == module.__name__ and (known is None or not known.in_place):
                    with failsafe(f"instrumenting {target.module}.{target.attribute}"):
                        self._patch(target, module)

    def _patch(self, target: Target, module: Any) -> None:
        owner, method = _place(target, module)
        if owner is None:
            logger.debug("%s.%s does not exist in this version", target.module, target.attribute)
            return
        patch = _Patch(owner, method)
        patch.apply(_wrapper(target, self, patch))
        self._patches[target] = patch


def _place(target: Target, module: Any) -> tuple[Any, str]:
    """The class that has a target's method (None if this version has no such method), and its name."""
    class_name, _, method = target.attribute.rpartition(".")
    # not getattr: modules may load others lazily, and the class of another module is not this target
    owner = vars(module).get(class_name)
    there = owner is not None and owner.__module__ == module.__name__ and hasattr(owner, method)
    return (owner if there else None), method


class _Patch:
    """One replaced attribute of a class."""

    __slots__ = ("_inherited", "_name", "_owner", "applied", "original", "ours", "retired")

    def __init__(self, owner: Any, name: str) -> None:
        self._owner = owner
        self._name = name
        self._inherited = name not in vars(owner)
        self.original = inspect.getattr_static(owner, name)
        self.ours: Any = None
        self.applied = False
        self.retired = False

    def apply(self, wrapper: Callable[..., Any]) -> None:
        """Put ours around what is there."""
        self.ours = method_around(self.original, wrapper, self._owner)
        setattr(self._owner, self._name, self.ours)
        self.applied = True

    @property
    def outermost(self) -> bool:
        """Whether nobody has wrapped ours since."""
        return self._is_ours(self._present)

    @property
    def _present(self) -> Any:
        return vars(self._owner).get(self._name)

    def _is_ours(self, layer: Any) -> bool:
        # a peer below ours that was taken off has left another object with the same wrapper of ours
        return wrapper_in(layer) is self.ours._self_wrapper

    @property
    def in_place(self) -> bool:
        """Whether ours is still there, perhaps below others (one may have put back what was there)."""
        layer = self._present
        for _ in range(_LAYERS):
            if self._is_ours(layer):
                return True
            if not hasattr(layer, "__wrapped__"):
                break
            layer = layer.__wrapped__
        # a plain function above ours need not tell what it wraps: believe that it does
        return layer is not inspect.unwrap(self.original)

    def undo(self) -> None:
        """Take ours off if it is outermost; below another wrapper it stays and passes through."""
        if not self.in_place:
            self.applied = False
        if not self.outermost:
            return
        if self._inherited:
            delattr(self._owner, self._name)
        else:
            setattr(self._owner, self._name, below(self._present))
        self.applied = False


_LAYERS = 32
"""Wrappers of one method that are looked through."""


def _wrapper(target: Target, instrumentor: Instrumentor, patch: _Patch) -> Callable[..., Any]:
    """A wrapt wrapper around one method; async methods run when they are awaited, as they do bare."""
    begin = _Begin(target, instrumentor, patch)
    finish = target.follow

    def sync(
        wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        begun = begin(instance, args, kwargs)
        if begun is None:
            return wrapped(*args, **kwargs)
        call, kwargs, conceal = begun
        attached = call.attach(None if instrumentor.gate else quiet)
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as error:
            call.fail(error)
            raise
        finally:
            call.detach(attached)
        return finish(result, call, target, conceal)

    async def run(
        pending: Pending, wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: dict[str, Any]
    ) -> Any:
        try:
            begun = begin(instance, args, kwargs)
        except Refusal:
            pending.take().close()  # not left to the collector, which may find the coroutine first
            raise
        if begun is None:
            return await pending.take()
        call, sent, conceal = begun
        attached = call.attach(None if instrumentor.gate else quiet)
        try:
            result = await (pending.take() if sent is kwargs else wrapped(*args, **sent))
        except BaseException as error:
            call.fail(error)
            raise
        finally:
            call.detach(attached)
        return finish(result, call, target, conceal)

    def coroutine(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        pending = Pending()
        pending.hold(wrapped(*args, **kwargs))
        ours: Any = run(pending, wrapped, instance, args, kwargs)
        ours.__name__, ours.__qualname__ = names
        return ours

    method = inspect.unwrap(patch.original)
    names = getattr(method, "__name__", "run"), getattr(method, "__qualname__", "run")
    return coroutine if inspect.iscoroutinefunction(method) else sync


def _open(recorder: Recorder, call: ModelCall, gate: bool) -> OpenCall | None:
    annotated = start_annotated(recorder, call)
    if annotated is not None:
        return annotated
    return start_gated(recorder, call) if gate else recorder.start_call(call)


class _Begin:
    """Start a call, or find that this one is not ours to record.

    Raises nothing but a `Refusal`, which the program has asked for.
    """

    def __init__(self, target: Target, instrumentor: Instrumentor, patch: _Patch) -> None:
        self._target = target
        self._instrumentor = instrumentor
        self._patch = patch

    def __call__(
        self, resource: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[OpenCall, dict[str, Any], Conceal | None] | None:
        gate = self._instrumentor.gate
        if not self._instrumentor.active or self._patch.retired or suppressed(gate):
            return None
        target, conceal = self._target, None
        try:
            recorder = current()
            if recorder is None:
                return None
            named = {**dict(zip(target.positional, args, strict=False)), **kwargs} if args else kwargs
            capture, layer = recorder.encoder.capture_content, waiting()
            call = target.request(resource, named, capture or layer is not None)
            if target.prompt:
                prompt = [given(named.get(name)) for name in target.prompt]
                take_digest(call, recorder.digest_key, *prompt, weigh=recorder.budgets.wanted)
            if target.amend is not None:
                kwargs, conceal = target.amend(resource, kwargs, recorder)
            opened = join(recorder, layer, call, capture) if layer is not None else None
            opened = opened or _open(recorder, call, gate)
            return None if opened is None else (opened, kwargs, conceal)
        except Refusal:
            raise
        except Exception as error:  # noqa: BLE001 - the call must go out, recorded or not
            swallowed(f"starting {target.attribute}", error)
            return None
