# `make` alone says what there is. Everything happens in .venv, made from the lock files on first use.

PYTHON ?= python3
BIN := .venv/bin
PACKER := build/venv/bin
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' webhookd/__init__.py)
ARCHIVE = webhookd-$(VERSION)-linux-$(shell uname -m)

.DEFAULT_GOAL := help
.PHONY: help run test crash torture sabotage soak compare test-old test-new test-crash check lint types wheel-smoke dist dist-test docs lock bench bench-latency bench-loss bench-recovery bench-isolation bench-drain bench-scale bench-prune bench-dashboard bench-peers bench-nodes capacity bench-overload screenshots clean

help: ## say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

run: .venv/run.done ## a daemon in dev mode with a merchant, and one signed event sent through it
	@$(BIN)/webhookd serve --dev --sample

test: .venv/test.done ## the whole suite
	@$(BIN)/python -m pytest -n auto --dist loadfile --max-worker-restart 1

crash: .venv/test.done ## kill -9 a hundred times under load, and audit what is left
	@$(BIN)/python -m tests.crash --kills 100

torture: .venv/test.done ## every fault in earnest: half an hour, and a report of what was survived
	@$(BIN)/python -m tests.faults -n auto --dist loadfile

sabotage: .venv/test.done ## put deliberate mistakes in, and see that each turns a named test red (15 minutes)
	@$(BIN)/python -m tests.faults.sabotage

soak: .venv/test.done ## an hour at half of what it can take, with faults of all kinds: nothing lost, nothing grows
	@$(BIN)/python -m tests.faults.jepsen --soak

compare: .venv/test.done ## the old way (a queue in memory), webhookd, and an application with an outbox under the same deploys and crashes: a report (5 minutes)
	@$(BIN)/python bench/compare.py

test-old: .venv/test.done ## of that, the old way alone
	@$(BIN)/python bench/compare.py --side old

test-new: .venv/test.done ## of that, webhookd alone
	@$(BIN)/python bench/compare.py --side webhookd

test-crash: .venv/test.done ## webhookd alone under ten SIGKILLs, and what its log says of itself afterwards
	@$(BIN)/python bench/compare.py --side webhookd --deploys 0 --crashes 10

check: lint types test wheel-smoke dist-test ## all that CI runs

lint: .venv/test.done
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: .venv/test.done
	@$(BIN)/mypy

wheel-smoke: .venv/test.done ## build the wheel and try it in an empty environment
	@$(BIN)/python tests/wheel_smoke.py

dist: build/venv.done ## the single executable, and an archive of it with its units: dist/
	@rm -rf build/wheel build/webhookd dist && mkdir -p dist build
	@$(PACKER)/python -m hatchling build -t wheel -d build/wheel >build/wheel.log 2>&1 || { cat build/wheel.log; exit 1; }
	@$(PACKER)/python -m pip install -q --disable-pip-version-check --no-deps --no-index --force-reinstall build/wheel/*.whl
	@PATH="$(CURDIR)/$(PACKER):$$PATH" $(PACKER)/pyinstaller --noconfirm --clean --log-level ERROR \
		--distpath build --workpath build/packed binary/webhookd.spec
	@PATH="$(CURDIR)/$(PACKER):$$PATH" $(PACKER)/staticx --no-compress --strip build/webhookd dist/webhookd && chmod 755 dist/webhookd
	@mkdir -p build/$(ARCHIVE) && cp -r dist/webhookd systemd webhookd.toml README.md LICENSE docs build/$(ARCHIVE)
	@tar -C build -czf dist/$(ARCHIVE).tar.gz $(ARCHIVE) && rm -rf build/$(ARCHIVE)
	@ls -sh dist/webhookd dist/$(ARCHIVE).tar.gz

dist-test: dist .venv/test.done ## try the executable in a root directory that has nothing else
	@WEBHOOKD_BINARY=$(CURDIR)/dist/webhookd $(BIN)/python -m pytest -rs tests/binary

bench: .venv/test.done ## events per second, as shares of a bare aiohttp echo (3 minutes)
	@$(BIN)/python bench/throughput.py

bench-latency: .venv/test.done ## from hook to merchant at several rates, to the last percentile (6 minutes)
	@$(BIN)/python bench/latency.py

bench-loss: .venv/test.done ## what a hundred kills lose and double (2 minutes)
	@$(BIN)/python bench/loss.py

bench-recovery: .venv/test.done ## how long after kill -9 the first delivery comes (2 minutes)
	@$(BIN)/python bench/recovery.py

bench-isolation: .venv/test.done ## what a black-holed merchant costs the others (5 minutes)
	@$(BIN)/python bench/isolation.py

bench-drain: .venv/test.done ## a million deliveries waiting: start, and get rid of them (20 minutes)
	@$(BIN)/python bench/drain.py

bench-scale: .venv/test.done ## what ten million events in the log cost, and a million deliveries waiting (40 minutes)
	@$(BIN)/python bench/scale.py

bench-prune: .venv/test.done ## what it costs to take a million finished events out of the log (15 minutes)
	@$(BIN)/python bench/prune.py

bench-dashboard: .venv/test.done ## how long its pages take beside a million events, and what a reader costs (20 minutes)
	@$(BIN)/python bench/dashboard.py

bench-peers: .venv/test.done ## the same work done by BullMQ, Restate, Celery and procrastinate (needs redis-server, npm, postgresql)
	@$(BIN)/python -m bench.peers

bench-nodes: .venv/test.done ## 1, 2 and 4 nodes on one PostgreSQL, beside procrastinate and BullMQ; kept for docs/scale.md (7 minutes)
	@$(BIN)/python bench/nodes.py --keep bench/measured.json --picture docs/pictures/nodes.png
	@$(BIN)/python bench/capacity.py --keep bench/capacity.json --picture docs/pictures/capacity.png
	@$(BIN)/python docs/render.py

capacity: .venv/test.done ## how many nodes, processors and disks which load takes, by what bench-nodes measured (1 minute)
	@$(BIN)/python bench/capacity.py

bench-overload: .venv/test.done ## what ten times too much, storms of retries and 5,000 slow connections do to what is taken (8 minutes)
	@$(BIN)/python bench/overload.py

screenshots: .venv/test.done ## the pictures of the dashboard, of a daemon with a shop's traffic (3 minutes; needs chromium)
	@$(BIN)/python docs/screenshots.py

docs: .venv/test.done ## make the tables in docs/ from those of the code
	@$(BIN)/python docs/render.py
	@$(BIN)/python monitoring/dashboard.py

lock: .venv/test.done ## refresh the lock files from pyproject.toml
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-annotate --no-header --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --extra checkout pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-annotate --no-header --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-annotate --no-header --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --extra dist -c requirements.lock pyproject.toml -o requirements-dist.lock

clean: ## remove what was built and installed (not your data)
	rm -rf .venv dist build .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "webhookd needs Python 3.11 or newer; say which: make PYTHON=python3.11 …")'
	@echo "making .venv …"
	@$(PYTHON) -m venv .venv

# Only locked wheels are fetched, and nothing is built from source but webhookd itself.
.venv/run.done: requirements.lock pyproject.toml | .venv/bin/python
	@echo "installing what webhookd needs …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/test.done: requirements-dev.lock pyproject.toml | .venv/bin/python
	@echo "installing what the tests need …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-dev.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@ .venv/run.done

build/venv.done: requirements-dist.lock
	@echo "installing what packs the executable …"
	@rm -rf build/venv && mkdir -p build && $(PYTHON) -m venv build/venv
	@$(PACKER)/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-dist.lock
	@touch $@
