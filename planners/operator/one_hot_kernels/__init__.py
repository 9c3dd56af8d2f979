"""Value iteration with one-hot kernels, in closed form for any number of layers."""
