"""PyTorch eager: the reference that other runtimes are compared with; it does not ship."""
