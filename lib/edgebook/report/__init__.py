"""Rows -> tables, figures, HTML. Reads rows and the samples that they name, nothing else."""
