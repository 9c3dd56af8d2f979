"""What a denoiser runs in: PyTorch as it is, compiled, or ONNX Runtime."""
