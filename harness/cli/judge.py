"""What ``bench gate`` does once it knows what is judged: gate, print, and tell the CI system."""

from __future__ import annotations

import json as json_text
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from harness.cli.failure import report_and_continue
from harness.cli.options import parse_option
from harness.cli.page import write_page
from harness.core.axis import parse_duration, parse_percent
from harness.core.errors import EXIT_INCONCLUSIVE, EXIT_OK, HarnessError, UsageError
from harness.core.run import were_interleaved
from harness.detect import detect_environment
from harness.formats.exports import check_savable, save_file
from harness.formats.github import write_headline, write_summary, write_workflow_commands
from harness.formats.json_document import replace_infinities
from harness.formats.junit import write_junit
from harness.formats.wording import describe_comparison
from harness.gate import gate_run, test_gate_itself
from harness.resolve import resolve_run
from harness.revisions import SLOWED, TWIN
from harness.runner import open_run
from harness.store.read import read_run
from harness.terminal.comparison import print_report, serialize_comparison
from harness.terminal.console import open_console
from harness.terminal.progress import Terminal
from harness.terminal.streams import check_output

if TYPE_CHECKING:
    from collections.abc import Collection

    from harness.analysis.decision import Decision
    from harness.core.rules import Rules
    from harness.core.run import Run
    from harness.gate import GateResult

_DEFAULT_BASELINE = "main"


def judge_and_print(
    folder: Path,
    baseline: str | None,
    results: Path,
    rules: Rules,
    *,
    budget: str,
    despite: Collection[str],
    junit: Path | None,
    json: bool,
) -> int:
    """Gate a run, print the decision, and leave it where CI systems look; return the exit code."""
    budget_s = _seconds(budget)
    if junit:
        check_savable(junit)
    base, new = _pair(folder, baseline, results)
    with Terminal(new.launches, silent=json) as terminal:
        verdict = gate_run(
            base, new, rules, detect_environment(), terminal.observer, budget_s=budget_s, despite=despite
        )
    with report_and_continue(f"{_sentence(verdict)}, but not printed"):
        if json:
            typer.echo(json_text.dumps(replace_infinities(_document(verdict)), indent=1))
        else:
            print_report(verdict.report)
            _print_decision(verdict)
        check_output()
    _tell_ci(verdict, junit)
    if verdict.looks > 1 and were_interleaved(base, new):
        write_page((verdict.report.base, verdict.report.new))
    return verdict.decision.code


def self_test_and_print(folder: Path, rules: Rules, *, budget: str, planted: str, json: bool) -> int:
    """Gate a run's cases against themselves and against a planted slowdown; return the exit code."""
    budget_s, share = _seconds(budget), parse_option("--planted", planted, parse_percent)
    run = read_run(folder)
    with tempfile.TemporaryDirectory(prefix="benchwright-") as place, Terminal(run.launches, silent=json) as terminal:
        found, code = test_gate_itself(
            run,
            Path(place),
            rules,
            detect_environment(),
            terminal.observer,
            planted=share,
            budget_s=budget_s,
            command=sys.argv,
        )
    expected = {TWIN: "the same code: must not turn red", SLOWED: f"steps {share:.0%} longer: must turn red"}
    with report_and_continue(f"gate: self-test (exit code {code}), but not printed"):
        if json:
            sides = {role: _document(verdict) for role, verdict in found.items()}
            typer.echo(json_text.dumps(replace_infinities({"exit_code": code, **sides}), indent=1))
        else:
            for role, verdict in found.items():
                open_console().print(Text(f"{role} ({expected[role]})", style="bold"))
                print_report(verdict.report)
                _print_decision(verdict)
        check_output()
    return code


def _pair(folder: Path, baseline: str | None, results: Path) -> tuple[Run, Run]:
    """Return the base and the run that is judged, which is the new side where a base was named."""
    sides = open_run(folder)
    new = next((side for side in sides if side.folder.resolve() == folder.resolve()), sides[-1])
    if len(sides) > 1 and baseline is None:
        base = sides[0]
        new = sides[1] if new is base else new
    else:
        base = read_run(resolve_run(baseline or _DEFAULT_BASELINE, results, new.environment.fingerprint, but=new.id))
    for run in (base, new):
        if not run.complete:
            raise UsageError(f"{run.folder} is not complete; go on with: bench run --resume {run.folder}")
    if base.id == new.id:
        raise UsageError(f"{new.folder} is its own base; name another with --baseline")
    return base, new


def _print_decision(verdict: GateResult) -> None:
    out, decision = open_console(), verdict.decision
    for row, one in decision.accepted:
        out.print(
            Text(f"  accepted: {row.case.id} {describe_comparison(row)}: {one.reason}", style="yellow"), soft_wrap=True
        )
    for one, why in decision.ended:
        out.print(Text(f"  {one.case} need not be accepted any more: {why}", style="yellow"), soft_wrap=True)
    if verdict.stopped:
        out.print(Text(f"  not measured on: {verdict.stopped}", style="yellow"), soft_wrap=True)
    colour = {EXIT_OK: "green", EXIT_INCONCLUSIVE: "yellow"}.get(decision.code, "red")
    out.print(Text(_sentence(verdict), style=f"bold {colour}"))


def _sentence(verdict: GateResult) -> str:
    looks = f" after {verdict.looks} looks, each with more launches" if verdict.looks > 1 else ""
    return f"gate: {write_headline(verdict.decision)}{looks} (exit code {verdict.decision.code})"


def _tell_ci(verdict: GateResult, junit: Path | None) -> None:
    """Write JUnit XML where asked; on GitHub, a summary and annotations. What cannot be written changes no verdict."""
    report, decision = verdict.report, verdict.decision
    if junit:
        with report_and_continue("no JUnit XML"):
            save_file(write_junit(report, decision).encode(), junit)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with report_and_continue("no job summary"):
            _append(write_summary(report, decision), Path(summary))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in write_workflow_commands(decision):
            typer.echo(line, err=True)


def _append(text: str, path: Path) -> None:
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        raise HarnessError(f"cannot write to {path}: {error.strerror}") from None


def _document(verdict: GateResult) -> dict[str, Any]:
    return {
        "exit_code": verdict.decision.code,
        "looks": verdict.looks,
        "stopped": verdict.stopped,
        **_lists(verdict.decision),
    } | serialize_comparison(verdict.report)


def _lists(decision: Decision) -> dict[str, Any]:
    return {
        "regressed": [_name(row) for row in decision.regressed],
        "uncompared": [_name(row) for row in decision.uncompared],
        "undecided": [_name(row) for row in decision.undecided],
        "accepted": [{**_name(row), "reason": one.reason} for row, one in decision.accepted],
        "ended": [{**asdict(one), "why": why} for one, why in decision.ended],
    }


def _name(row: Any) -> dict[str, str]:
    return {"case": row.case.id, "metric": row.metric, "verdict": row.verdict}


def _seconds(budget: str) -> float:
    return 0.0 if budget == "0" else parse_option("--budget", budget, parse_duration)
