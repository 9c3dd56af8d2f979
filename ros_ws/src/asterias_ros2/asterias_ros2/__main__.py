"""`python -m asterias_ros2`, the same as `ros2`."""

import sys

from asterias_ros2.main import main

sys.exit(main())
