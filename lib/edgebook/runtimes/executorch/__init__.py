"""ExecuTorch, the successor of PyTorch Mobile: programs for its XNNPACK backend, integers by PT2E quantization."""
