#!/bin/sh
# Checks what set-up needs from the system, then hands over to bootstrap.py.
# Usage: [PYTHON=python3.11] [TORCH_INDEX=url] sh ros_ws/bootstrap.sh [--quiet]

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1

missing() {
    echo "Set-up needs $1; on Debian or Ubuntu: sudo apt install $2" >&2
    exit 1
}

usable() { # Python 3.11 to 3.13; where a ROS 2 is sourced, whichever Python that ROS was built for
    if [ -n "${ROS_DISTRO:-}" ]; then
        "$1" -c 'import rclpy' >/dev/null 2>&1
    else
        "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
    fi
}

command -v git >/dev/null 2>&1 || missing "git" "git"
command -v make >/dev/null 2>&1 || missing "make" "make"
command -v "${CXX:-c++}" >/dev/null 2>&1 || missing "a C++ compiler" "g++"

if [ -n "${ROS_DISTRO:-}" ]; then
    candidates=${PYTHON:-python3}
    wanted="the Python of ROS 2 $ROS_DISTRO with rclpy"
    packages="ros-$ROS_DISTRO-rclpy python3-venv"
else
    # A virtual environment that is active must not become the base of ours: its ROS would shine through.
    candidates=${PYTHON:-python3.11 python3.12 python3.13 python3}
    wanted="Python 3.11 to 3.13"
    packages="python3.11 python3.11-venv python3.11-dev"
fi
for python in $candidates; do
    if usable "$python"; then
        exec "$python" -I "$here/bootstrap.py" "$@"
    fi
done
missing "$wanted" "$packages"
