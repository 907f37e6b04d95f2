"""Figures of a file: scored, timed, weighed, in its own runtime."""
