"""Installs the `ros2` command for machines on which no ROS 2 is installed."""

from setuptools import find_packages, setup

PACKAGE = "asterias_ros2"

setup(
    name=PACKAGE,
    version="0.1.0",
    description="The ros2 command, with the verbs this project needs",
    license="Apache-2.0",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={PACKAGE: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    python_requires=">=3.10",
    install_requires=["PyYAML"],
    zip_safe=True,
    entry_points={"console_scripts": [f"ros2 = {PACKAGE}.main:main"]},
)
