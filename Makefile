# `make run` and `make test` set up .venv themselves.

PYTHON ?= python3
BIN := .venv/bin
# -P: Python imports no file of the working directory in place of a module.
WARM_UP := $(BIN)/python -P -m model.bench.warm_up

.PHONY: run test test-busy test-slow check format figures view-figures recipes scaling ladder \
  recording moving-picture pictures page networks constraints clean

run: .venv/.installed
	$(BIN)/charlm-tui

# Two files at a time, in the order of their names: xdist would begin those of few tests last, and
# some of them take the longest.
test: .venv/.installed-dev
	$(BIN)/python -P -m pytest -m "not slow" --numprocesses 2 --dist loadfile --no-loadscope-reorder

# Runs the tests of sessions, of the app and of terminals beside four busy loops, which end with
# them: no test may depend on a fast machine.
test-busy: .venv/.installed-dev
	$(BIN)/python tests/support/busy_loops.py 4 $(BIN)/python -m pytest -m "not slow" \
	  --numprocesses 2 --dist loadfile tests/terminal tests/model/session/test_live.py \
	  tests/model/session/test_writing_commands.py tests/model/session/test_saved_weights.py \
	  tests/model/session/test_watch.py $(wildcard tests/tui/app/test_app_*.py)

# Runs the tests that take minutes: the full counts of what `make test` tries in small.
test-slow: .venv/.installed-dev
	$(BIN)/python -P -m pytest -m slow --timeout 7200

check: .venv/.installed-dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

format: .venv/.installed-dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# Measures the figures of the app in docs/figures.md; needs a text and an otherwise idle machine.
figures: .venv/.installed-dev
	$(BIN)/python tests/benchmarks/app_figures.py $(TEXT)

# Measures what the views cost: bytes, training speed, lateness, memory (half an hour), the race.
view-figures: .venv/.installed-dev
	$(BIN)/python tests/benchmarks/view_figures.py

# Measures the tables of docs/recipes.md, hours on an otherwise idle machine; takes several texts.
recipes: .venv/.installed-dev
	$(BIN)/python tests/benchmarks/recipe_figures.py $(TEXT)

# Measures the table of docs/scaling.md: two processes against two threads, on an idle machine.
scaling: .venv/.installed-dev
	$(BIN)/python tests/benchmarks/scaling_figures.py

# Measures the tables of docs/ladder.md, in a minute; takes several texts.
ladder: .venv/.installed-dev
	$(BIN)/python tests/benchmarks/ladder_figures.py $(TEXT)

# Measures the tables of docs/networks.md, hours; takes several texts, and goes on where it stopped.
networks: .venv/.installed-dev
	$(BIN)/python tests/benchmarks/network_figures.py $(TEXT)

# Measures the table of docs/constraints.md and makes its picture; needs a run of nietzsche.txt
# as CHECKPOINT.
constraints: .venv/.installed-dev
	$(BIN)/python tests/benchmarks/constraint_figures.py $(CHECKPOINT)
	$(BIN)/python tests/benchmarks/constraint_figures.py $(CHECKPOINT) --picture docs/views

# Records a real training of five minutes for the moving picture; needs nietzsche.txt as TEXT.
recording: .venv/.installed-dev
	$(BIN)/python tests/benchmarks/record_session.py $(TEXT) tests/benchmarks/recordings/nietzsche.jsonl

# Makes docs/moving.svg from the recording, without a terminal: the same bytes each time.
moving-picture: .venv/.installed-dev
	$(BIN)/python tests/benchmarks/moving_picture.py \
	  tests/benchmarks/recordings/nietzsche.jsonl docs/moving.svg

# Makes the pictures of docs/views.md, docs/two-authors.md and docs/duel.md from real runs on
# embedded texts.
pictures: .venv/.installed-dev
	$(BIN)/python tests/benchmarks/view_pictures.py docs/views
	$(BIN)/python tests/benchmarks/two_authors_picture.py docs/views
	$(BIN)/python tests/benchmarks/duel_picture.py docs/views

# Measures the table of docs/page.md and makes its picture, in headless Chromium; takes a text.
page: .venv/.installed-dev
	$(BIN)/python tests/benchmarks/page_figures.py $(TEXT) docs/views/page.png

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -P -m venv .venv
	$(BIN)/python -P -m pip install --quiet --disable-pip-version-check torch==2.13.0 -c constraints.txt
	$(BIN)/python -P -m pip install --quiet --disable-pip-version-check -e . -c constraints.txt
	-$(WARM_UP) lstm & $(WARM_UP) rms-lstm; wait # the first start compiles what is still missing
	touch $@

.venv/.installed-dev: .venv/.installed
	$(BIN)/python -P -m pip install --quiet --disable-pip-version-check -e ".[dev]" -c constraints.txt
	touch $@

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
