"""Launches: fork servers, workers, and the turns that they take."""
