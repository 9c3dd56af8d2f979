"""Policies of other libraries in, and ours out: stable-baselines3, ONNX, Hugging Face."""
