"""Runtimes: model -> file -> predictions. `base` has their records and contract, `export` makes files; one folder per runtime."""
