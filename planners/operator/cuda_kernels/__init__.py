"""CUDA C++ of the operator, compiled at run time by NVRTC."""
