"""What samples say: summaries with intervals, ratios, rows of tables, verdicts on two runs, change points of many."""
