# Asterias. `make help` lists what can be done here.
#
#   PYTHON=...       the Python that set-up builds on (3.11)
#   TORCH_INDEX=...  where set-up takes PyTorch from: for a CPU-only or a CUDA build, the index that
#                    PyTorch's "Start Locally" page names for it
#   MINUTES=...      how long `make fuzz` takes
#   ARGS=...         more arguments for `make demo` (name:=value) or `make test` (of pytest)

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo film test test-all docs fuzz lint format clean

ROOMS := $(wildcard asterias hardware sim planners learning)
IN_VENV := source ./setup.bash &&
ARGS ?=
export PYTHON TORCH_INDEX
# Programs and nodes start by the hundred in the tests: where this is set, each compiles all that it
# imports anew, PyTorch's thousand files, too.
unexport PYTHONDONTWRITEBYTECODE

help:
	@echo "make setup   build .venv and the ROS 2 workspace (does nothing the second time)"
	@echo "make demo    let the simulated limb search for its target, 20 times"
	@echo "make film    film a few searches of the simulated limb, into runs/film.webp"
	@echo "make test    linters, type checks and tests, but for the slow ones"
	@echo "make test-all  linters, type checks and all tests, with every extra installed"
	@echo "make docs    build the manual into runs/site, strictly and without network"
	@echo "make fuzz    broken input for every reader of files and streams, for MINUTES=30"
	@echo "make lint    linters and type checks only"
	@echo "make format  put the source into shape"
	@echo "make clean   remove what set-up has built"

setup:
	@sh ros_ws/bootstrap.sh

.PHONY: ready
ready:
	@sh ros_ws/bootstrap.sh --quiet

demo: ready
	@$(IN_VENV) out="runs/$$(date +%Y-%m-%d-%H%M%S)-demo" && \
	    ros2 launch launch/demo.launch.xml out:="$$out" $(ARGS) && python -m learning verdict "$$out"

film: ready
	@$(IN_VENV) python -m learning film --out runs/film.webp $(ARGS)

# In parallel processes, since nodes mostly wait; one by one with ARGS="-n 0".
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder

test: lint
	@$(IN_VENV) exec python -m pytest $(PARALLEL) -m "not slow" $(ARGS)

test-all:
	@sh ros_ws/bootstrap.sh --all
	@$(MAKE) --no-print-directory lint
	@$(IN_VENV) exec python -m pytest $(PARALLEL) $(ARGS)

docs:
	@sh ros_ws/bootstrap.sh --all --quiet
	@$(IN_VENV) exec python -m docs.site build

MINUTES ?= 30
fuzz: ready
	@$(IN_VENV) python tests/fuzz/fuzzing.py --minutes $(MINUTES) $(ARGS)

lint: ready
	@$(IN_VENV) ruff check . && ruff format --check .
	@$(IN_VENV) mypy $(ROOMS) docs/tables docs/site ros_ws/*.py ros_ws/src

format: ready
	@$(IN_VENV) ruff check --fix . ; ruff format .

clean:
	rm -rf .venv .setup.lock ros_ws/build ros_ws/install ros_ws/log *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
