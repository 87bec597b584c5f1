"""What every instrumentation must keep to, as cases that each library's tests fill in."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import otel_agentops as ao
from otel_agentops.instrumentation.base import Instrumentor
from otel_agentops.testing import capture


@dataclass(frozen=True)
class Call:
    """One call of an SDK.

    Attributes:
        name: For the test's id.
        run: Makes the call with these keyword arguments and reads the answer to its end.
        arguments: What it is called with.
    """

    name: str
    run: Callable[[dict[str, Any]], Any]
    arguments: dict[str, Any]


def targets_present(instrumentor: Instrumentor) -> Iterator[tuple[Any, str]]:
    """Owner and name of every target that this version of the library has."""
    for target in instrumentor.targets:
        try:
            module = importlib.import_module(target.module)
        except ModuleNotFoundError:
            continue
        class_name, _, method = target.attribute.rpartition(".")
        owner = vars(module).get(class_name)
        if owner is not None and owner.__module__ == target.module and hasattr(owner, method):
            yield owner, method


class InstrumentorContract:
    """Inherit, and provide `instrumentor` and `calls`."""

    instrumentor: Instrumentor

    def test_undo_restores_the_identical_objects(self) -> None:
        """After un-instrumenting, each method is the very object that it was."""
        before = {(o, n): inspect.getattr_static(o, n) for o, n in targets_present(self.instrumentor)}
        assert before
        with capture(auto_session=False):
            during = {key: inspect.getattr_static(*key) for key in before}
            ao.instrument(self.instrumentor.name)  # twice is once
        after = {key: inspect.getattr_static(*key) for key in before}
        assert all(during[key] is not before[key] for key in before)
        assert all(after[key] is before[key] for key in before)

    def test_a_wrapper_above_ours_survives_and_ours_passes_through(self, calls: list[Call]) -> None:
        """Un-instrumenting below another wrapper leaves it alone, and nothing is recorded any more."""
        owner, name = next(targets_present(self.instrumentor))
        original = inspect.getattr_static(owner, name)
        try:
            with capture(auto_session=False) as captured:
                ours = inspect.getattr_static(owner, name)

                def above(*args: Any, **kwargs: Any) -> Any:
                    return ours.__get__(args[0], owner)(*args[1:], **kwargs)

                setattr(owner, name, above)
                ao.uninstrument(self.instrumentor.name)
                assert inspect.getattr_static(owner, name) is above
                for call in calls:
                    call.run(call.arguments)
                assert captured.spans == []
        finally:
            setattr(owner, name, original)
            self.instrumentor._patches.clear()

    def test_signatures_stay(self) -> None:
        """`inspect` says the same of a method with and without us."""
        bare = {key: describe(*key) for key in targets_present(self.instrumentor)}
        with capture(auto_session=False):
            assert {key: describe(*key) for key in bare} == bare

    def test_methods_can_be_copied_and_pickled(self) -> None:
        """As they can be without us."""
        with capture(auto_session=False):
            for owner, name in targets_present(self.instrumentor):
                method = getattr(owner, name)
                assert copy.copy(method) is method
                assert copy.deepcopy({"method": method})["method"] is method
                assert pickle.loads(pickle.dumps(method)).__wrapped__ is method.__wrapped__

    def test_a_patch_that_is_undone_around_ours(self) -> None:
        """When a test puts the original back over ours, instrumenting again works."""
        owner, name = next(targets_present(self.instrumentor))
        original = inspect.getattr_static(owner, name)
        with capture(auto_session=False):
            setattr(owner, name, original)
            ao.uninstrument(self.instrumentor.name)
            ao.instrument(self.instrumentor.name)
            assert inspect.getattr_static(owner, name) is not original
        assert inspect.getattr_static(owner, name) is original

    def test_arguments_are_untouched(self, calls: list[Call]) -> None:
        """What the caller passes in is the same afterwards, down to the last nested value."""
        with capture(auto_session=False, capture_content=True):
            for call in calls:
                before = copy.deepcopy(call.arguments)
                call.run(call.arguments)
                assert call.arguments == before

    def test_one_span_a_call(self, calls: list[Call]) -> None:
        """Each call is one span, whatever its shape."""
        with capture(auto_session=False) as captured:
            for call in calls:
                captured.clear()
                call.run(call.arguments)
                assert len(captured.spans) == 1, call.name

    def test_suppressed_calls_are_not_recorded(self, calls: list[Call]) -> None:
        """Whoever asks instrumentations to keep quiet is heard."""
        from opentelemetry.context import attach, detach, set_value

        with capture(auto_session=False) as captured:
            for key in ("suppress_instrumentation", "suppress_language_model_instrumentation"):
                token = attach(set_value(key, True))
                try:
                    calls[0].run(calls[0].arguments)
                finally:
                    detach(token)
            assert captured.spans == []

    def test_our_failure_is_not_the_callers(self, calls: list[Call], monkeypatch: pytest.MonkeyPatch) -> None:
        """When reading a request fails inside us, the call goes out all the same."""
        from otel_agentops.failsafe import failures
        from otel_agentops.instrumentation import base

        def fail(*_: Any) -> Any:
            raise RuntimeError("ours")

        with capture(strict=False, auto_session=False):
            monkeypatch.setattr(base, "take_digest", fail)
            bare = calls[0].run(calls[0].arguments)
        assert bare is not None
        assert sum(failures.values()) == 1


def describe(owner: Any, name: str) -> Any:
    """What introspection tells of a method."""
    function = getattr(owner, name)
    return (
        inspect.signature(function),
        inspect.iscoroutinefunction(function),
        inspect.isfunction(function),
        function.__name__,
        function.__qualname__,
        function.__doc__,
        function.__module__,
    )
