"""What the samples say: summaries with intervals, ratios within a group, and the rows of a result table."""
