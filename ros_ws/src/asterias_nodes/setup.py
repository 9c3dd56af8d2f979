"""Installs the nodes so that `ros2 run asterias_nodes NODE` finds them."""

import runpy
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "asterias_nodes"
TABLE = runpy.run_path(str(Path(__file__).parent / PACKAGE / "nodes.py"))

setup(
    name=PACKAGE,
    version="0.1.0",
    description="Thin ROS 2 nodes around the Asterias robot",
    license="Apache-2.0",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={PACKAGE: ["py.typed"], f"{PACKAGE}.web": ["static/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    python_requires=">=3.10",
    zip_safe=True,
    entry_points={"console_scripts": [TABLE["entry_point"](node) for node in TABLE["NODES"]]},
)
