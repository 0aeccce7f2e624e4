"""The forms that other tools read and write: exports of a run, and imports into one."""
