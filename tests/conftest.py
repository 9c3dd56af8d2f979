"""Shared by all tests: each test process gets a ROS 2 domain of its own."""

from __future__ import annotations

import os

from asterias_nodes.runtime.domains import reserve_domain_id

os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())
