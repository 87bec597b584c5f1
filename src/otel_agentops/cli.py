"""The command `otel-agentops`."""

from __future__ import annotations

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_agentops import __version__
from otel_agentops.config import Config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_agentops.demo.run import Outcome

__all__ = ["main"]

_RECORDED = "Recorded OpenAI answers: tokens and costs are real, times are of this machine."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code, 0 when everything went well and adds up."""
    given = _parser().parse_args(arguments)
    try:
        return int(given.run(given))
    except BrokenPipeError:  # `| head`
        sys.stderr.close()
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="otel-agentops", description="OpenTelemetry for AI agents, with exact costs."
    )
    parser.add_argument("--version", action="version", version=f"otel-agentops {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo", help="run a small multi-agent program and show what it cost; needs no key and no network"
    )
    demo.add_argument("--json", action="store_true", help="print the received tree as JSON")
    demo.add_argument("--svg", metavar="FILE", help="also draw the tree into this file")
    demo.add_argument(
        "--otlp", metavar="URL", type=_url, help="send the spans to this collector too: http:// or grpc://"
    )
    demo.add_argument(
        "--live", action="store_true", help="use the real OpenAI API, with OPENAI_API_KEY; costs about $0.001"
    )
    demo.set_defaults(run=_demo)
    doctor = commands.add_parser(
        "doctor",
        help="say what is instrumented here, by whom, where spans go, and what to change; exit code for CI",
    )
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    doctor.add_argument("--strict", action="store_true", help="warnings count as errors")
    doctor.add_argument(
        "--import",
        dest="imports",
        metavar="MODULE",
        action="append",
        default=[],
        help="import this module of your program first, so that what it sets up is seen; may be repeated",
    )
    doctor.set_defaults(run=_doctor)
    _add_spool(commands)
    return parser


def _add_spool(commands: Any) -> None:
    spool = commands.add_parser("spool", help="spans that could not be sent: see, send or export them")
    actions = spool.add_subparsers(required=True, metavar="ACTION")
    status = actions.add_parser("status", help="how much waits, and for whom")
    status.add_argument("--json", action="store_true", help="print it as JSON")
    status.set_defaults(run=_spool_status)
    flush = actions.add_parser(
        "flush",
        help="send now what waits for the collector of OTEL_EXPORTER_OTLP_ENDPOINT; 1 if some is left",
    )
    flush.add_argument("--timeout", type=float, default=60.0, metavar="S", help="seconds to try (60)")
    flush.add_argument("--refused", action="store_true", help="try what was refused once more, too")
    flush.set_defaults(run=_spool_flush)
    export = actions.add_parser("export", help="print what waits as OTLP JSON lines; it stays where it is")
    export.add_argument("--refused", action="store_true", help="what was refused instead")
    export.set_defaults(run=_spool_export)


def _spool_status(given: argparse.Namespace) -> int:
    from otel_agentops.export import report  # noqa: PLC0415 - costs start-up time only here

    found = report.status(Config.load())
    if given.json:
        print(json.dumps([one.as_dict() for one in found], indent=2))  # noqa: T201
        return 0
    for one in found:
        age = "" if one.oldest_s is None else f", the oldest {one.oldest_s:.0f} s old"
        print(f"{one.destination}{' (of these settings)' if one.current else ''}: {one.directory}")  # noqa: T201
        print(f"  {one.spans} spans wait in {one.files} files, {one.bytes} bytes{age}")  # noqa: T201
        if one.refused or one.damaged:
            print(f"  {one.refused} refused, {one.damaged} damaged places")  # noqa: T201
    if not found:
        print("nothing waits")  # noqa: T201
    return 0


def _spool_flush(given: argparse.Namespace) -> int:
    from otel_agentops.export import report  # noqa: PLC0415 - as above

    counts = report.drain(Config.load(spool=True), given.timeout, given.refused)
    print(f"{counts['delivered']} spans were delivered, {counts['waiting']} spans still wait")  # noqa: T201
    return int(counts["delivered"] < counts["adopted"])


def _spool_export(given: argparse.Namespace) -> int:
    from otel_agentops.export import report  # noqa: PLC0415 - as above

    for line in report.as_json_lines(Config.load(), given.refused):
        print(line)  # noqa: T201
    return 0


def _url(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if scheme not in ("http", "https", "grpc", "grpcs") or not separator or not rest:
        raise argparse.ArgumentTypeError(f"{text!r} is no URL such as http://localhost:4318")
    return text


def _doctor(given: argparse.Namespace) -> int:
    from otel_agentops.doctor import examine, worst  # noqa: PLC0415 - costs start-up time only here

    findings = examine(given.imports)
    if given.json:
        print(json.dumps([finding._asdict() for finding in findings], indent=2))  # noqa: T201
    else:
        for finding in findings:
            print(f"{_MARKS[finding.level]} {finding.topic}: {finding.text}")  # noqa: T201
            if finding.advice:
                print(f"      {finding.advice}")  # noqa: T201
    return int(worst(findings) in (("warning", "error") if given.strict else ("error",)))


_MARKS = {"ok": "  ok ", "note": "  -- ", "warning": "WARN ", "error": "FAIL "}


def _say(text: str) -> None:
    sys.stderr.write(f"otel-agentops: {text}\n")


def _missing() -> list[str]:
    """Packages of the extra that are not there, or too old."""
    missing = [name for name in ("openai", "rich") if find_spec(name) is None]
    if "openai" not in missing and find_spec("openai.resources.responses") is None:
        missing.append("openai 1.66 or later")
    return missing


def _demo(given: argparse.Namespace) -> int:
    missing = _missing()
    if missing:
        _say(f'the demo needs {" and ".join(missing)}: pip install "otel-agentops[demo]"')
        return 1
    from openai import OpenAIError  # noqa: PLC0415 - an optional package

    from otel_agentops.demo.run import NoKey, run_demo  # noqa: PLC0415 - as above

    try:
        outcome = run_demo(given.otlp, given.live)
    except NoKey:
        _say("--live calls the real OpenAI API: set OPENAI_API_KEY, or leave --live out, which needs no key")
        return 1
    except OpenAIError as error:
        _say(f"the demo failed: {error}")
        return 1
    _print(outcome, given)
    return _verdict(outcome)


def _print(outcome: Outcome, given: argparse.Namespace) -> None:
    from otel_agentops.viewer import as_json, render  # noqa: PLC0415 - rich is an optional package

    notes = () if given.live else (_RECORDED,)
    if given.svg:
        Path(given.svg).write_text(render.svg(outcome.trees, "otel-agentops demo", notes), "utf-8")
    if given.json:
        print(json.dumps({"recorded": not given.live, **as_json(outcome.trees)}, indent=2))  # noqa: T201
    else:
        render.show(outcome.trees, notes=notes)


def _verdict(outcome: Outcome) -> int:
    from otel_agentops.viewer import totals  # noqa: PLC0415 - costs start-up time only where it is used

    total = totals(outcome.trees)
    if not outcome.trees:
        _say("no spans arrived")
    elif not outcome.sent:
        _say("not all spans could be sent")
    elif not total.agree:
        _say(f"the session says ${total.reported_usd}, its calls add up to ${total.cost_usd}")
    else:
        return 0
    return 1
