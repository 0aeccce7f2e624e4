"""The bench process: it schedules launches, starts workers through fork servers, and keeps what they report."""
