# Two commands: `make demo` to chat, `make test` to check everything. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# uv finds Pythons that pyenv built even where they are not on PATH.
empty :=
PYENV_BINS := $(wildcard $(HOME)/.pyenv/versions/3.1[0-9].*/bin)
ifneq ($(PYENV_BINS),)
export UV_PYTHON_SEARCH_PATH := $(subst $(empty) $(empty),:,$(strip $(PYENV_BINS)))
endif

# Everything imported is compiled once, at setup: else each process compiles it anew wherever bytecode is not written.
export UV_COMPILE_BYTECODE := 1
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

.tools/uv-ready: scripts/get-uv
	@./scripts/get-uv
	@mkdir -p .tools && touch $@

# Both environments come from locks with hashes; the stamp files make a second run instant.
.venv/ready: requirements.lock pyproject.toml .tools/uv-ready
	@echo "• Platform environment (Python 3.11 or later)"
	@./scripts/uv venv -q --allow-existing --python '>=3.11,<3.14' .venv
	@./scripts/uv pip sync -q --require-hashes --python .venv requirements.lock
	@./scripts/uv pip install -q --no-deps --python .venv -e .
	@touch $@

engine/.venv/ready: engine/requirements.lock engine/pyproject.toml .tools/uv-ready
	@echo "• Engine environment (Python 3.10, Rasa; about 2.5 GB, so the first time takes a while)"
	@./scripts/uv venv -q --allow-existing --python 3.10 engine/.venv
	@./scripts/uv pip sync -q --require-hashes --python engine/.venv engine/requirements.lock
	@./scripts/uv pip install -q --no-deps --python engine/.venv -e engine
	@touch $@

.PHONY: setup
setup: .venv/ready engine/.venv/ready ## Install both environments from their locks

.PHONY: train
train: setup ## Train the model, if what it is made of has changed
	@./scripts/train

.PHONY: demo
demo: setup train ## Start everything with a synthetic clinic; Ctrl-C stops it
	@.venv/bin/carethread up

.PHONY: demo-reset
demo-reset: setup ## Forget the demo's data and start afresh
	@.venv/bin/carethread reset --yes
	@$(MAKE) --no-print-directory demo

.PHONY: test
test: setup train lint browser ## Everything: unit, contract, integration, stories, faults, browser
	.venv/bin/pytest tests/unit -q -n 2 -p no:rerunfailures
	.venv/bin/pytest tests/contract tests/integration tests/faults tests/e2e -n 2 --dist loadfile --reruns 2 --reruns-delay 3
	./scripts/test-engine
	./scripts/test-stories

.PHONY: test-fast
test-fast: setup ## What needs no server, in under a minute
	.venv/bin/pytest tests/unit -q -n 2 -m "not slow" -p no:rerunfailures

.PHONY: test-stories
test-stories: setup train ## Rasa's data checked, and the conversations in tests/stories replayed
	./scripts/test-stories

.PHONY: lint
lint: .venv/ready ## Style, types and the arrows between packages
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

.PHONY: browser
browser: .venv/ready ## A Chromium for the tests, from wherever this machine has one
	@./scripts/get-browser

.PHONY: shell
shell: setup train ## Rasa's own shell, with actions and content behind it
	./scripts/rasa-shell shell

.PHONY: interactive
interactive: setup train ## Rasa's interactive learning
	./scripts/rasa-shell interactive

.PHONY: bench
bench: setup train ## Measure, beside plain Rasa in the same run
	.venv/bin/python -m benchmarks

.PHONY: lock
lock: .tools/uv-ready ## Resolve both locks again (after changing a pyproject.toml)
	./scripts/uv pip compile -q --universal --generate-hashes --all-extras --no-header --python-version 3.11 pyproject.toml -o requirements.lock
	./scripts/uv pip compile -q --universal --generate-hashes --all-extras --no-header --python-version 3.10 engine/pyproject.toml -o engine/requirements.lock
