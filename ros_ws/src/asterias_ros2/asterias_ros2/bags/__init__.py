"""What `ros2 bag` does with recordings; built on `learning.recordings`."""
