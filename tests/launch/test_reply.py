"""Replies of workers as they are read: whole, or refused, whatever content has written to the connection."""

from __future__ import annotations

import json
import math
import socket

import pytest

from harness.core.trial import INCORRECT, OK, Sample
from harness.launch.protocol import Lines, Reply, read_reply, write_reply

WHOLE = {"status": OK, "message": "", "samples": [["time", 1e-3, 0, 0, ""]], "at": 1.0, "number": 3}


def test_what_is_written_is_what_is_read() -> None:
    samples = [Sample("time", 1e-3, 4, 5, "exposed", 1e-6, "measured: here"), Sample("energy_gross", math.inf)]
    reply = Reply(INCORRECT, "too small", samples, 7.0, False, ["aten::add"], ["not_as_requested"], 3)
    assert read_reply(write_reply(reply).encode()) == reply


def test_a_value_that_is_not_known_is_a_reply() -> None:
    (sample,) = read_reply(write_reply(Reply(samples=[Sample("energy_gross", math.nan)])).encode()).samples
    assert math.isnan(sample.value)


def test_a_message_that_is_not_unicode_arrives_as_text() -> None:
    assert read_reply(write_reply(Reply(message="caf\udce9")).encode()).message == "caf?"


@pytest.mark.parametrize(
    "change",
    [
        {"status": "splendid"},
        {"status": ["ok"]},
        {"message": 1},
        {"message": "\ud800"},
        {"at": "now"},
        {"at": 10**400},
        {"steady": 1},
        {"number": "3"},
        {"flags": "exposed"},
        {"executed": [1]},
        {"unheard_of": 1},
        {"samples": None},
        {"samples": 1},
        {"samples": {"time": 1.0}},
        {"samples": ["time"]},
        {"samples": [["time"]]},
        {"samples": [["", 1.0]]},
        {"samples": [[math.nan, 1.0]]},
        {"samples": [["\udce9", 1.0]]},
        {"samples": [["time", "1.0"]]},
        {"samples": [["time", True]]},
        {"samples": [["time", 10**400]]},
        {"samples": [["time", 1.0, 0.5]]},
        {"samples": [["time", 1.0, -2]]},
        {"samples": [["time", 1.0, 1 << 31]]},
        {"samples": [["time", 1.0, 0, -1]]},
        {"samples": [["time", 1.0, 0, 0, None]]},
        {"samples": [["time", 1.0, 0, 0, "", None]]},
        {"samples": [["time", 1.0, 0, 0, "", 0.0, "", 8]]},
    ],
    ids=str,
)
def test_what_no_table_takes_is_refused(change: dict[str, object]) -> None:
    assert read_reply(json.dumps(WHOLE).encode()).number == 3
    with pytest.raises(ValueError, match="something other than the worker's reply"):
        read_reply(json.dumps(WHOLE | change).encode())


@pytest.mark.parametrize("line", [b"", b"fine", b"0", b"[]", b"null", b"\xff", b"[" * 100_000, b"9" * 5000], ids=repr)
def test_what_is_no_object_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="something other than the worker's reply"):
        read_reply(line)


def test_lines_are_taken_whole_and_in_order_until_the_end() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        lines = Lines(ours)
        theirs.sendall(b"one\ntw")
        assert lines.receive()
        assert (lines.take(), lines.take()) == (b"one\n", None)
        theirs.sendall(b"o\n")
        assert lines.receive()
        assert lines.take() == b"two\n"
        theirs.close()
        assert not lines.receive()


def test_a_line_without_end_is_not_waited_for() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        lines, received = Lines(ours), 0
        while (line := lines.take()) is None:
            received += theirs.send(b"0" * 100_000)
            assert lines.receive()
            assert received < 32 << 20
    with pytest.raises(ValueError, match="something other than the worker's reply"):
        read_reply(line)
