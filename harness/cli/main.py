"""How the command ``bench`` begins and ends. It ends with an exit code of :mod:`harness.core.errors`, whatever happens.

What is imported here is imported before an interruption can be caught, so it is little.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

from harness.core.errors import EXIT_INTERRUPTED, EXIT_OK, UsageError

_COMPLETION = "_BENCH_COMPLETE"


def main() -> None:
    """Run a command and exit with its code; what goes wrong is one line on the standard error, not a traceback."""
    try:
        code = _run()
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BaseException as error:
        code = _fail(error)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the interpreter's own end would show an interruption as a traceback
    sys.exit(code)


def _run() -> int:
    from harness.terminal.streams import check_output, guard_streams

    guard_streams()
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UsageError("the current folder is not there any more: change into another") from None
    import typer
    from typer.main import get_command

    from harness import git
    from harness.cli.app import app

    git.untie_process()
    if _COMPLETION in os.environ:  # a shell asks what could come next
        with contextlib.suppress(SystemExit):
            app()
        return EXIT_OK
    # Not by calling the app: Typer exits with 1 where any pipe breaks, also one to a worker.
    command = get_command(app)
    try:
        with command.make_context("bench", sys.argv[1:]) as context:
            code = command.invoke(context) or 0
    except typer.Exit as end:
        code = end.exit_code
    except typer.Abort:
        code = EXIT_INTERRUPTED
    check_output()
    return int(code)


def _fail(error: BaseException) -> int:
    from harness.cli.failure import explain_failure
    from harness.terminal.streams import print_message

    message, code = explain_failure(error)
    print_message(message)
    return code
