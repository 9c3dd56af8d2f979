"""One module per command of `ros2`, imported only when called; each has `configure(parser)`."""
