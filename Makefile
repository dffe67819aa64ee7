# Every target sets itself up: all it needs is make and a Python 3.11 or newer, the newest of those
# tested unless PYTHON=... names another. The environment is .venv; remove it to start afresh.

SHELL := /bin/sh
.DEFAULT_GOAL := test
.DELETE_ON_ERROR:

BIN := .venv/bin
READY := .venv/.installed-$(shell cat pyproject.toml constraints.txt | cksum | cut -d ' ' -f 1)
CANDIDATES := $(or $(PYTHON),python3.13 python3.12 python3.11 python3)

.PHONY: test demo lint types prove coverage wheel clean

test: lint types  # what must hold before every commit
	$(BIN)/pytest

demo: $(READY)  # pretrain on real images, evaluate, write the report
	$(BIN)/anymae demo

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy anymae
	$(BIN)/mypy tests/typing/api.py
	$(BIN)/pyright

prove: $(READY)  # the long proofs
	$(BIN)/pytest -m slow --timeout 7200

coverage: $(READY)
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage report

# The wheel is built from the sdist and runs in an environment of its own, which borrows the
# dependencies of .venv (torch is not installed twice) but not the checkout: a path named in a
# .pth file is searched, the .pth files inside it are not.
wheel: $(READY)  # build sdist and wheel; run the wheel away from the checkout
	rm -rf build dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m venv --without-pip build/venv
	$(BIN)/python -m pip --python build/venv install --quiet --disable-pip-version-check \
		--no-deps dist/*.whl
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$(build/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/borrowed.pth"
	root=$$PWD && away=$$(mktemp -d) && trap 'rm -rf "$$away"' EXIT && cd "$$away" && \
		"$$root/build/venv/bin/python" -I "$$root/tests/smoke/wheel_smoke.py"

clean:  # everything that can be made again, except .venv
	rm -rf build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

$(READY):
	@test -x $(BIN)/python || { \
		for python in $(CANDIDATES); do \
			"$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
				&& exec "$$python" -m venv --clear .venv; \
		done; \
		echo "No Python 3.11 or newer with venv and ensurepip among: $(CANDIDATES). Name one: make PYTHON=/path/to/python" >&2; \
		exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[dev]'
	@rm -f .venv/.installed-*
	@touch $@
