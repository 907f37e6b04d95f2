"""LiteRT (TensorFlow Lite's successor): float files by litert-torch, integer files by ai-edge-quantizer."""
