"""Boards: where a file runs. A worker starts `measure.bench` there, an emulated core counts, a bundle travels."""
