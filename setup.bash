# Gives this shell (bash or zsh) the commands of Asterias: source setup.bash
# Sets the ROS 2 environment, PATH and library paths; changes no shell option; may be sourced twice.

_asterias_setup() {
    local here="$1" built="$1/.venv/asterias.sh"
    local root ros prefixes libraries ros_pythonpath
    if [ ! -f "$built" ]; then
        echo "Asterias is not set up yet: run 'make setup' in $here first." >&2
        return 1
    fi
    . "$built" # sets the locals above, as absolute paths
    if [ "$root" != "$here" ]; then
        echo "Asterias was moved from $root since its set-up: run 'make setup' in $here again." >&2
        return 1
    fi
    if [ "$ros" != "${ROS_DISTRO:-}" ]; then
        echo "Asterias was set up for ${ros:-no} ROS 2, but ${ROS_DISTRO:-none} is sourced:" \
            "run 'make setup' in $here again, or source the same ROS 2." >&2
        return 1
    fi

    _asterias_prepend PATH "$root/.venv/bin"
    _asterias_prepend AMENT_PREFIX_PATH "$prefixes"
    _asterias_prepend LD_LIBRARY_PATH "$libraries"
    if [ -n "$ros" ]; then
        _asterias_prepend PYTHONPATH "$ros_pythonpath" # for the system's own ros2 command
    else
        export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1 # paths are set: python need not start itself again
        export RMW_IMPLEMENTATION="${RMW_IMPLEMENTATION:-rmw_fastrtps_cpp}"
    fi
    export VIRTUAL_ENV="$root/.venv"
    export ROS_VERSION=2 ROS_PYTHON_VERSION=3
    # Beyond this machine, camera images are lost with Fast DDS's default transports.
    export FASTDDS_BUILTIN_TRANSPORTS="${FASTDDS_BUILTIN_TRANSPORTS:-LARGE_DATA}"
    # Nodes find each other at once, not only after seconds.
    export FASTDDS_DEFAULT_PROFILES_FILE="${FASTDDS_DEFAULT_PROFILES_FILE:-$root/ros_ws/fastdds.xml}"
    # Topics are not authenticated, so they stay on this machine unless asked otherwise.
    export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
    hash -r 2>/dev/null || true
    _asterias_complete "$root/.venv/ros2-completion.sh"
}

_asterias_complete() { # file: completes the words after ros2, in shells where a person types
    case $- in *i*) ;; *) return 0 ;; esac
    [ -f "$1" ] || return 0
    if [ -n "${ZSH_VERSION:-}" ] && ! whence compdef >/dev/null; then
        autoload -Uz compinit && compinit -u
    fi
    . "$1"
}

_asterias_prepend() { # variable, colon-separated paths: puts them first, once
    local old
    eval "old=\"\${$1:-}\""
    case ":$old:" in
        ":$2:"*) ;;
        *) eval "export $1=\"\$2\${old:+:\$old}\"" ;;
    esac
}

if [ -n "${BASH_VERSION:-}" ]; then
    _asterias_here="${BASH_SOURCE[0]}"
else
    _asterias_here="${(%):-%x}"
fi
_asterias_here="$(CDPATH='' cd -P -- "$(dirname -- "$_asterias_here")" && pwd)"
_asterias_setup "$_asterias_here"
_asterias_status=$?
unset -f _asterias_setup _asterias_prepend _asterias_complete
unset _asterias_here
eval "unset _asterias_status; return $_asterias_status"
