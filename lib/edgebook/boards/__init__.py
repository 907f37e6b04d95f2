"""Boards: where a file runs. Each starts the same program, `measure.bench`, and talks with it over its three streams."""
