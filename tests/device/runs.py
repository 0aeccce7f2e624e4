"""The whole path: ``bench run`` on the device, and what its rows must say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import bench
from bench import median, run, want_status

if TYPE_CHECKING:
    from report import Report

MIB, LIMIT_MIB = 2**20, 16
PLAIN = "naive,online_softmax,online_softmax_lazy,split_kv,sdpa_math,sdpa_flash,sdpa_efficient,sdpa_cudnn,flash_triton"
WITH_GRADIENTS = "naive,recompute_backward,sdpa_math,sdpa_flash,sdpa_efficient,sdpa_cudnn,flash_triton"
HOSTILE = {
    "never_ends": "timeout",
    "writes_astray": "error",
    "asserts": "error",
    "takes_200_gib": "oom",
    "nan": "incorrect",
    "caches_output": "incorrect",
    "changes_inputs": "incorrect",
    "leaves_thread": "error",
}


def calibration(report: Report) -> None:
    """Fork, contexts, turns and signals with every known step."""
    rows = run(report, "calibration", "--launches", report.pick("2", "1"), "--budget", report.pick("0.6s", "0.2s"))
    want_status(report, rows)
    _want_ratios(report, rows)


def modes(report: Report) -> None:
    """The same in the modes that are not the default."""
    for mode in ("hot", "graph", "host"):
        impl = ("--impl", "twin_a,twin_b,slower", "--budget", "0.6s", "--mode", mode)
        rows = run(report, "calibration", *impl)
        want_status(report, rows)
        _want_ratios(report, rows, mode)


def memory(report: Report) -> None:
    """Hold the memory probe against allocations of a known size."""
    metric = report.pick("device_peak_allocated", "peak_allocated")
    sizes = report.pick("64MiB,1GiB", "64MiB")
    rows = run(report, "calibration", "--impl", "allocate", "--bytes", sizes, "--budget", "0.2s")
    want_status(report, rows)
    for row in rows:
        wanted, allocated = row["params"]["bytes"], median(row, metric)
        reserved = median(row, "device_peak_reserved")
        report.keep(row["case"], row["metrics"])
        report.say(f"{wanted / MIB:.0f} MiB: allocated {allocated / MIB:.3f}, reserved {reserved / MIB:.3f}")
        report.want(allocated == wanted or not report.cuda, f"{wanted} bytes read as {allocated:.0f}")
        report.want(not reserved > wanted + 2 * MIB, f"{wanted} bytes reserve {reserved:.0f}")


def forward(report: Report) -> None:
    """Check, name and time every forward pass that is not compiled by Inductor."""
    _attention(report, "forward", report.pick(PLAIN, "naive,sdpa_flash"))


def backward(report: Report) -> None:
    """The same of the backward pass."""
    _attention(report, "backward", report.pick(WITH_GRADIENTS, "naive,recompute_backward"))


def compiled(report: Report) -> None:
    """Compile in a forked worker, forward and backward."""
    for passes in report.pick(("forward", "backward"), ("forward",)):
        _attention(report, passes, report.pick("naive_compiled,flex_attention", "naive_compiled"))


def graph(report: Report) -> None:
    """Capture what is hard to capture: autograd's backward pass, and a training step."""
    for passes in ("forward_backward", "backward"):
        _attention(report, passes, "naive,sdpa_flash", "--mode", "graph")
    training = ("--size", "tiny", "--impl", "fp32_highest", "--budget", "0.2s", "--mode", "graph")
    want_status(report, run(report, "precision", *training))


def hostile(report: Report) -> None:
    """Expect of each bad implementation its status, and of a good one after them that nothing is left of it."""
    wanted = {name: status for name, status in HOSTILE.items() if report.cuda or name not in ("writes_astray",)}
    tests = Path(__file__).parents[1]
    plug_ins = ("--load", str(tests / "device" / "hostile.py"), "--load", str(tests / "launch" / "hostile.py"))
    limit = report.pick("6s", "5s")
    rows = run(report, "calibration", *plug_ins, "--impl", ",".join(wanted), "--timeout", limit, "--budget", "0.2s")
    for row in rows:
        report.say(f"{row['implementation']} {row['status']}")
        right = row["status"] == wanted[row["implementation"]]
        report.want(
            right, f"{row['implementation']} {row['status']}, not {wanted[row['implementation']]}: {row['message']}"
        )
    want_status(report, run(report, "calibration", "--impl", "twin_a", "--budget", "0.2s"), ("ok",))


def path(report: Report) -> None:
    """The README's main job with intervals, ratios and energy."""
    big = ("--seq", "16k", "--heads", "16", "--head-dim", "128", "--causal", "true")
    words = report.pick((*big, "--launches", "3", "--budget", "3s", "--energy-precision", "2%"), ("--seq", "128"))
    names = report.pick("sdpa_flash,sdpa_cudnn,flash_triton", "naive,sdpa_flash")
    rows = run(report, "attention", *words, "--impl", names)
    want_status(report, rows)
    for row in (row for row in rows if "time" in row["metrics"]):
        time, watts = row["metrics"]["time"], median(row, "power_mean")
        half = (time["ci_high"] / time["median"] - 1) if time["ci_high"] else float("nan")
        report.say(f"{row['implementation']} {1e3 * time['median']:.4g} ms +-{100 * half:.2f} %, {watts:.0f} W")
        report.want(half < 0.01 or not report.cuda, f"{row['implementation']}: an interval of {100 * half:.1f} %")
        report.want(500 <= watts <= 700 or not report.cuda, f"{row['implementation']}: {watts:.0f} W")
        report.want("meters_disagree" not in row["flags"], f"{row['implementation']}: meters_disagree")


def precision(report: Report) -> None:
    """Training steps in each precision, with their proofs."""
    rows = []
    base = ("--batch", "16", "--size", "base", "--impl", "fp32_highest,tf32,bf16_amp,fp16_amp")
    small = ("--batch", "16", "--size", "small")
    for words in report.pick((small, base), (("--size", "tiny", "--impl", "fp32_highest,bf16_amp"),)):
        rows += run(report, "precision", *words, "--budget", report.pick("0.5s", "0.1s"))
    want_status(report, [row for row in rows if row["implementation"] != "fp16_pure"])
    at_base = {row["implementation"]: median(row, "time") for row in rows if row["params"]["size"] == "base"}
    if at_base:
        gain = at_base["fp32_highest"] / at_base["bf16_amp"]
        report.say(f"bf16_amp at base is {gain:.2f} times as fast as fp32_highest")
        report.want(2 <= gain <= 4, f"bf16_amp gains {gain:.2f}")


def decoding(report: Report) -> None:
    """Text of a model with drawn weights, by four methods."""
    words = ("--model", "random:small", "--prompts", "copying", "--dtype", "bf16", "--budget", "0.5s")
    size = report.pick(("--new-tokens", "32", "--batch", "1,4"), ("--new-tokens", "8"))
    names = report.pick("ar_cached,ar_recompute,prompt_lookup,lookahead", "ar_cached,prompt_lookup")
    rows = run(report, "decoding", *words, *size, "--impl", names)
    want_status(report, rows)
    for row in rows:
        batch, token_s = row["params"]["batch"], median(row, "time") / row["params"]["new_tokens"]
        report.say(f"{row['implementation']} b{batch} {1e3 * token_s:.3g} ms a token")
        plain = report.cuda and (row["implementation"], batch) == ("ar_cached", 1)
        report.want(not plain or 3e-3 <= token_s <= 6e-3, f"ar_cached takes {1e3 * token_s:.2f} ms a pass")


def gate(report: Report) -> None:
    """Let the gate prove itself on a device."""
    launches, budget = report.pick(("3", "1s"), ("3", "0.2s"))
    rows = run(report, "calibration", "--impl", "twin_a", "--launches", launches, "--budget", budget)
    want_status(report, rows)
    words = ("--planted", "5%", "--budget", "0", "--results", str(report.work / "results"), "--json")
    done = bench.call("gate", "--self-test", *words)
    found = json.loads(done.stdout)
    report.keep("self-test", found)
    codes = {role: side["exit_code"] for role, side in found.items() if isinstance(side, dict)}
    report.say(f"exit codes {codes}")
    report.want(codes.get("twin") != 1, "the twin is red")
    report.want(codes.get("slowed") == 1 or not report.cuda, "5 % more is not red")


def readme(report: Report) -> None:
    """The README's command, and a report of it."""
    words = ("--launches", "2", "--budget", "1s", "--seq", report.pick("8k", "128"))
    want_status(
        report,
        run(report, "attention", *words, "--impl", report.pick("naive,sdpa_flash,sdpa_cudnn", "naive,sdpa_flash")),
    )
    done = bench.call(
        "report", "--format", "md", "--results", str(report.work / "results"), "-o", str(report.work / "report.md")
    )
    report.want(done.returncode == 0, f"bench report ended with {done.returncode}")


def bundle(report: Report) -> None:
    """Pack the runs of this call."""
    folders = sorted(str(run) for run in (report.work / "results").glob("*"))
    target = report.out / "runs.zip"
    if not folders:
        report.say("no runs")
        return
    done = bench.call("export", *folders, "--bundle", str(target))
    report.want(done.returncode == 0, f"bench export ended with {done.returncode}")
    size_mib = target.stat().st_size / MIB
    report.say(f"{len(folders)} runs, {size_mib:.2f} MiB")
    if size_mib > LIMIT_MIB:
        target.unlink()
        report.want(False, f"runs.zip has {size_mib:.0f} MiB, and was left out")


def _attention(report: Report, passes: str, names: str, *more: str) -> None:
    size = ("--seq", report.pick("1k", "128"), "--heads", report.pick("8", "2"), "--causal", "true", "--pass", passes)
    rows = run(report, "attention", *size, "--impl", names, "--budget", report.pick("0.3s", "0.1s"), *more)
    want_status(report, rows)
    first = {row["implementation"]: median(row, "first_call") for row in rows}
    slow = [f"{name} {value:.0f} s" for name, value in first.items() if value > 1]
    report.say(f"{passes}: first calls over 1 s: {', '.join(slow) or 'none'}")


def _want_ratios(report: Report, rows: list[bench.Row], mode: str = "") -> None:
    """Expect twins that cannot be told apart, and 2 % that can."""
    ratios = {row["implementation"]: row["ratio"] for row in rows if row["ratio"]}
    twin, slower = ratios.get("twin_b"), ratios.get("slower")
    if twin:
        report.say(f"{mode} twin {twin['value']:.4f}".strip())
        report.want(twin["ci_low"] is None or twin["ci_low"] <= 1 <= twin["ci_high"], f"{mode} the twins differ")
    if slower:
        report.say(f"{mode} slower {slower['value']:.4f}".strip())
        report.want(1.01 <= slower["value"] <= 1.03 or not report.cuda, f"{mode} 2 % more reads {slower['value']:.4f}")
