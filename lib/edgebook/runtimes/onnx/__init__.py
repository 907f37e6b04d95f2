"""ONNX Runtime: float files by torch.onnx, integer files by ONNX Runtime's own quantization tool."""
