"""All-reduce: a sum over ranks that every rank has at the end."""
