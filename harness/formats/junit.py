"""JUnit XML of a gate's verdicts, for the test views of CI systems."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from harness.formats.wording import describe_comparison

if TYPE_CHECKING:
    from harness.analysis.compare import RunComparison
    from harness.analysis.decision import Decision
    from harness.core.comparison import Comparison

# What XML 1.0 has no way to write, not even escaped.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(report: RunComparison, decision: Decision) -> str:
    """Return a test case for each comparison: failed, an error where there was no base, or skipped while undecided."""
    suite = ElementTree.Element("testsuite", name="benchwright", tests=str(len(report.rows)))
    suite.set("failures", str(len(decision.regressed)))
    suite.set("errors", str(len(decision.uncompared)))
    suite.set("skipped", str(len(decision.undecided)))
    for row in report.rows:
        case = ElementTree.SubElement(suite, "testcase", classname=_xml(row.case.id), name=row.metric or "case")
        if row in decision.regressed:
            _child(case, "failure", row)
        elif row in decision.uncompared:
            _child(case, "error", row)
        elif row in decision.undecided:
            _child(case, "skipped", row)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _child(case: ElementTree.Element, kind: str, row: Comparison) -> None:
    ElementTree.SubElement(case, kind, message=_xml(describe_comparison(row)), type=row.verdict)


def _xml(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
