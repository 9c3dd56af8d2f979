"""What `ros2 doctor` looks at."""
