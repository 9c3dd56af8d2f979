"""What moves a simulated robot's bodies: our own compiled loop, or PyBullet."""
