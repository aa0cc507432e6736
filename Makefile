# Set up, run, test.  `make help` tells what there is.

# Python 3.11 or later: make run PYTHON=/path/to/python3.13 (after `make clean`, where .venv is there already).
PYTHON = python3
# More arguments for what a target runs: make run ARGS='--nodes 8 --port 9000', make test ARGS='-k range -x'.
ARGS =
# The running service that `make demo` is to use: make demo URL=http://127.0.0.1:8080
URL =

# Each test starts processes, and each process would compile the modules anew.
unexport PYTHONDONTWRITEBYTECODE

# The WebDAV server that `make test-clients` is to use instead of a cluster of ours.
export SPLITD_CLIENTS_URL

# In how many processes the tests run: they wait longer than they work.
JOBS = $(shell echo $$(($$(nproc) > 3 ? 8 : 2 * $$(nproc) + 1)))
TOGETHER = --numprocesses $(JOBS) --dist worksteal

# How much `make crash` tries; the tests of `make test` are those with 1.
EFFORT = 2

VENV := .venv
BIN := $(VENV)/bin
# A plain editable install hides the plugins from twistd.
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat --editable

.DEFAULT_GOAL := help
.PHONY: help run demo test test-clients test-disks lint check crash fuzz bench soak bench-peers bench-against bench-history bench-scale bench-parity bench-users bench-doors bench-overload bench-workers man vendor clean

help:  ## Show this.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.installed  ## Run a whole cluster on this machine: the front and six storage servers, data under var/.
	$(BIN)/splitctl up $(ARGS)

demo: $(VENV)/.installed  ## A guided tour, every step checked; URL= takes it to a running service.
	$(BIN)/splitctl $(if $(URL),--url $(URL)) demo $(ARGS)

test: $(VENV)/.installed-test  ## Run all tests.
	$(BIN)/pytest $(TOGETHER) $(ARGS)

test-clients: $(VENV)/.installed-test $(VENV)/clients/.installed  ## Run clients of WebDAV, S3 and tus, Chromium, proxies and Prometheus with a cluster; .ci/run lists their packages.
	$(BIN)/pytest --numprocesses 2 --dist loadfile tests/clients $(ARGS)

test-disks: $(VENV)/.installed-test  ## Run clusters on small disks of their own, under load and to the brim; as root, who may mount them.
	$(BIN)/pytest tests/disks $(ARGS)

lint: $(VENV)/.installed-dev  ## Format, lint, types and import rules.
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

check: lint  ## What a change must pass: lint, and the fast tests.
	$(BIN)/pytest -q $(TOGETHER) tests/unit tests/contract

crash: $(VENV)/.installed-test  ## Power cuts, kill -9, failing disks and networks: longer, and with the figures at the end.
	SPLITD_EFFORT=$(EFFORT) SPLITD_KILLS=$$((60 * $(EFFORT))) SPLITD_TAKEOVERS=$$((5 * $(EFFORT))) $(BIN)/pytest -q --timeout 0 \
	    tests/crash tests/live/test_kills.py tests/live/test_kill_fronts.py tests/live/test_takeover.py tests/unit/test_two_fronts.py \
	    tests/live/test_pairs.py tests/live/test_demo.py tests/cluster/test_model.py tests/cluster/test_network.py $(ARGS)

bench: $(VENV)/.installed  ## Measure a cluster on this machine, then its memory under ten minutes of load (not with ARGS).
	$(BIN)/python bench/measure.py $(ARGS)
	$(if $(ARGS),,$(BIN)/python bench/soak.py)

soak: $(VENV)/.installed  ## Ten minutes of load of all kinds: fails where memory, file descriptors or threads go on rising; ARGS='--minutes 30'.
	$(BIN)/python bench/soak.py $(ARGS)

bench-peers: $(VENV)/.installed  ## Measure it beside nginx, SeaweedFS and rclone.
	$(BIN)/python bench/peers.py $(ARGS)

bench-against: $(VENV)/.installed  ## Measure this tree and the last release, or another commit, by turns.
	$(BIN)/python bench/against.py $(ARGS)

bench-history: $(VENV)/.installed  ## Show what each measured release did.
	$(BIN)/python bench/history.py $(ARGS)

bench-parity: $(VENV)/.installed  ## Measure what parity costs, and slow or missing storage servers.
	$(BIN)/python bench/parity.py $(ARGS)

fuzz: $(VENV)/.installed-fuzz  ## Give every parser of what comes from outside random bytes, with atheris; ARGS='--seconds 300 xml'.
	$(BIN)/python -m tests.fuzz.run $(ARGS)

bench-workers: $(VENV)/.installed  ## Measure a front of one process and one with workers, by turns.
	$(BIN)/python bench/workers.py $(ARGS)

bench-overload: $(VENV)/.installed  ## Measure what clients see of a front with twice as much to do as it can do, with limits and without.
	$(BIN)/python bench/overload.py $(ARGS)

bench-doors: $(VENV)/.installed  ## Measure what S3 costs beside WebDAV, by turns at one cluster.
	$(BIN)/python bench/doors.py $(ARGS)

bench-users: $(VENV)/.installed  ## Measure what users cost, by turns with a cluster without them.
	$(BIN)/python bench/users.py $(ARGS)

bench-scale: $(VENV)/.installed  ## Measure how the catalog grows with the number of files.
	$(BIN)/python bench/scale.py $(ARGS)

man: $(VENV)/.installed-dev  ## Write the manual pages of splitctl, from the text of its --help, to build/man.
	$(BIN)/click-man --target build/man splitctl

vendor:  ## Fetch what the console uses of npm again, by the versions and hashes in tools/vendored.json; needs npm.
	python3 tools/vendor.py

clean:  ## Remove what was made here, but for var/: there are files in it.
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	rm -f twisted/plugins/dropin.cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "splitd needs Python 3.11 or later; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." \
	         "Name another one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
	@touch $@

$(VENV)/.installed: setup.py pyproject.toml $(VENV)/.made
	$(INSTALL) .
	@touch $@

$(VENV)/clients/.installed: setup.py $(VENV)/.made
	$(PYTHON) -m venv $(VENV)/clients
	$(VENV)/clients/bin/pip install --quiet --disable-pip-version-check --editable '.[clients]'
	@touch $@

$(VENV)/.installed-%: setup.py pyproject.toml $(VENV)/.made
	$(INSTALL) '.[$*]'
	@touch $@ $(VENV)/.installed $(if $(filter dev,$*),$(VENV)/.installed-test)  # dev has it all
