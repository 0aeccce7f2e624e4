"""What is read of ``run.json``: earlier and later versions, and what is damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import UsageError
from harness.core.run_description import RunDescription
from harness.core.suite import Mode, Policy
from harness.core.trial import Status
from harness.resolve import resolve_run
from harness.store.description import read_description
from harness.store.find import read_kept_runs
from harness.store.read import read_run
from harness.store.write import reopen_run, write_tables

KEPT = Path(__file__).parent / "data" / "20261130T120000Z-work-0a1b2c-new"
CUT = Path(__file__).parent / "data" / "20261130T130000Z-work-3d4e5f"
Data = dict[str, Any]


@pytest.fixture
def data() -> Data:
    """The content of a whole ``run.json``."""
    return json.loads((KEPT / "run.json").read_text())  # type: ignore[no-any-return]


def test_version_1_has_the_defaults_of_all_that_came_later(data: Data) -> None:
    for name in ("revision", "ceilings", "rests", "ended_at"):
        del data[name]
    for part, names in (("policy", ("energy_precision", "nodes")), ("environment", ("hosts", "variables"))):
        for name in names:
            del data[part][name]
    for case in data["plan"][0]["cases"]:
        for name in ("launches", "hardware_flops", "dtype", "world_size"):
            del case[name]
        for name in ("items", "message_bytes", "bus_bytes"):
            del case["cost"][name]
    found = RunDescription.from_json({**data, "schema_version": 1})
    assert (found.variant, found.ceilings, found.rests, found.ended_at) == (None, None, (), "")
    assert (found.policy.nodes, found.environment.hosts, found.groups[0].cases[1].world_size) == (1, (), 1)
    assert found.schema_version == 1


def test_what_a_later_version_adds_is_no_fault_and_stays_in_the_file(data: Data, tmp_path: Path) -> None:
    folder = tmp_path / CUT.name
    shutil.copytree(CUT, folder)
    path = folder / "run.json"
    added = {"later": {"a": [1]}, "environment": {**data["environment"], "later": 1}}
    path.write_text(json.dumps({**json.loads(path.read_text()), **added}))
    run = read_run(folder)
    reopen_run(run, run.groups)
    write_tables(read_run(folder), [], run.description.state)
    assert json.loads(path.read_text())["later"] == {"a": [1]}
    data["plan"][0]["later"] = data["plan"][0]["cases"][0]["later"] = data["launches"][0]["later"] = 1
    data["revision"]["later"] = 1
    assert RunDescription.from_json(data) == read_description(KEPT)


def first_case(data: Data) -> Data:
    return data["plan"][0]["cases"][0]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("damage", "key"),
    [
        (lambda data: data.update(run_id=7), "run_id"),
        (lambda data: data.pop("command"), "command"),
        (lambda data: data.update(command="bench run"), "command"),
        (lambda data: data.update(command=["bench", 7]), "command"),
        (lambda data: data.update(tags={"n": 1}), "tags"),
        (lambda data: data.update(state="done"), "state"),
        (lambda data: data["policy"].update(mode="warm"), "policy"),
        (lambda data: data["policy"].update(threads=True), "policy"),
        (lambda data: data["policy"].update(later=1), "policy"),
        (lambda data: data["environment"].update(packages={"torch": 2.9}), "environment"),
        (lambda data: data["environment"].update(hosts="host"), "environment"),
        (lambda data: data["environment"]["gpus"][0].update(capability=["9", "0"]), "environment"),
        (lambda data: data["environment"].pop("kernel"), "environment"),
        (lambda data: first_case(data).update(memory="much"), "plan"),
        (lambda data: first_case(data)["cost"].update(flops=None), "plan"),
        (lambda data: first_case(data)["case"].update(point=[["n", [4]]]), "plan"),
        (lambda data: first_case(data)["case"].update(point=[["n", 4, 5]]), "plan"),
        (lambda data: data["launches"][0].update(runtime=[]), "launches"),
        (lambda data: data["rests"][0].update(watts="70 W"), "rests"),
        (lambda data: data["ceilings"]["flops_per_s"].update(bf16="fast"), "ceilings"),
        (lambda data: data.update(revision=["new"]), "revision"),
        (lambda data: data["revision"].update(planted="5%"), "revision"),
        (lambda data: data["revision"].pop("role"), "revision"),
        (lambda data: data.update(ended_at=None), "ended_at"),
    ],
)
def test_a_part_of_another_type_is_refused_by_its_name(data: Data, damage: Callable[[Data], object], key: str) -> None:
    damage(data)
    with pytest.raises(ValueError, match=f"^'{key}' is missing or of another type$"):
        RunDescription.from_json(data)


def test_a_number_may_be_written_with_or_without_a_point(data: Data) -> None:
    data["policy"].update(budget_s=5, launches=2.0)
    first_case(data)["cost"]["flops"] = 8
    assert RunDescription.from_json(data).policy == Policy(2, 0.01, 5, 300, "cuda:0", 4, Mode.COLD, 7, 0.02, 2)


def test_groups_that_differ_in_the_type_of_a_value_alone_are_two(data: Data) -> None:
    def value(written: str) -> str:
        text = json.dumps(data).replace('["n", 4]', f'["n", {written}]')
        return repr(RunDescription.from_json(json.loads(text)).groups[0].cases[0].case.params["n"])

    assert [value(written) for written in ("4", "4.0", "4")] == ["4", "4.0", "4"]
    assert [value(written) for written in ("1", "true", '"1"')] == ["1", "True", "'1'"]


def test_a_status_that_is_not_known_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / CUT.name
    shutil.copytree(CUT, folder)
    assert {type(trial.status) for trial in (*read_run(CUT).trials, *read_run(KEPT).trials)} == {Status}
    journal = folder / "journal.jsonl"
    lines = journal.read_text().replace('"timeout"', '"melted"').split("\n")
    journal.write_text("\n".join(lines))
    number = next(number for number, line in enumerate(lines, 1) if "melted" in line)
    with pytest.raises(UsageError, match=f"^{journal}:{number} is not a launch, a rest or a trial$"):
        read_run(folder)


def test_a_run_that_cannot_be_read_is_still_found_by_its_name_and_says_why(tmp_path: Path) -> None:
    for name, text in (("newer", '{"schema_version": 99}'), ("damaged", "{")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(text)
    assert list(read_kept_runs(tmp_path)) == []
    with pytest.raises(UsageError, match=r"newer/run.json: written by a newer version \(schema 99, not 2\); upgrade"):
        read_run(resolve_run("newer", tmp_path))
    with pytest.raises(UsageError, match=r"damaged/run\.json: not JSON"):
        read_run(resolve_run("damaged", tmp_path))
    with pytest.raises(UsageError, match="unknown run 'dam'"):
        resolve_run("dam", tmp_path)
