# Two commands do everything: `make run` and `make test`. Both make their own environment in .venv first.

PYTHON ?= python3
CMPAE_DATA ?= small
BIN := .venv/bin
READY := .venv/.ready

# The notebooks are run as in a fresh clone: on the simulated data, whatever the shell's settings and earlier downloads. Their figures
# go to a temporary folder; `make notebooks` alone writes them into figures/.
# Files of tests and notebooks run side by side, each process on one thread: more would only wait for each other.
WORKERS ?= 2
AS_NEW = CMPAE_DATA= CMPAE_PRESET= CMPAE_FIGURES= CMPAE_HOME=$$(mktemp -d)

export CMPAE_DATA

# more for JupyterLab or the explorer, e.g. make lab OPTIONS='--no-browser --port=8899'
OPTIONS ?=

.PHONY: help run test lab explorer story lint bench docs notebooks course checkpoint films animation clean

help:
	@echo "make run         train CMPAE on CMPAE_DATA (default: the simulated set 'small'), evaluate it, draw the evidence curves"
	@echo "make test        all tests: pytest and every notebook, those of docs among them"
	@echo "make lab         open the notebooks in JupyterLab, at the start page"
	@echo "make explorer    the evidence explorer as a page, every video of the test split"
	@echo "make story       the page that explains evidence from a coin on: docs/story.html"
	@echo "make docs        build README, docs, course and reference as one site: build/site/index.html"
	@echo "make notebooks   run all notebooks and save their outputs, and their figures in figures/"
	@echo "make course      the student's and the instructor's edition of the course: build/course"
	@echo "make bench       time every stage beside the machine's own floor"
	@echo "make lint        ruff over code, tests and notebooks"
	@echo "make checkpoint  train the checkpoints that ship with the package anew"
	@echo "make films       make the synthetic films that ship with the package anew"
	@echo "make animation   draw the README's moving picture anew: figures/film.gif"

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.lock)"
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

run: $(READY)
	$(BIN)/cmpae train --data "$(CMPAE_DATA)" $(if $(RUN),--out "$(RUN)") --figures figures --overwrite

test: $(READY)
	$(AS_NEW) OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests notebooks docs -n $(WORKERS) --dist loadfile --nbval --nbval-sanitize-with tests/nbval_sanitize.cfg

lab: $(READY)
	$(BIN)/jupyter lab $(OPTIONS) notebooks/00_start_here.ipynb

explorer: $(READY)
	$(BIN)/cmpae explorer --data "$(CMPAE_DATA)" $(OPTIONS)

story: $(READY)
	$(BIN)/python -c 'from cmpae_toolkit.explorer import export_story; print(export_story("docs/story.html"))'

lint: $(READY)
	$(BIN)/ruff check .

bench: $(READY)
	$(BIN)/python -m benchmarks.run --json benchmarks/results.json
	$(BIN)/python -m benchmarks.growth

docs: $(READY)
	$(BIN)/sphinx-build -W --keep-going -q -c docs -d build/doctrees . build/site
	@echo "build/site/index.html"

notebooks: $(READY)
	$(AS_NEW) CMPAE_FIGURES="$(CURDIR)/figures" $(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.store_widget_state=False notebooks/*.ipynb docs/*.ipynb

course: $(READY)
	$(BIN)/python notebooks/editions.py

checkpoint: $(READY)
	for preset in paper improved; do \
		$(BIN)/cmpae train --data small --preset $$preset --out runs/checkpoint_$$preset --overwrite || exit 1; \
	done
	$(BIN)/cmpae films --out runs/films_home/films --networks handmade
	CMPAE_HOME=runs/films_home $(BIN)/cmpae train --data films --preset paper --out runs/checkpoint_films --overwrite
	mkdir -p cmpae_toolkit/assets/simulated_small_improved cmpae_toolkit/assets/films_paper
	cd runs/checkpoint_paper && cp model.safetensors config.json history.csv run.json ../../cmpae_toolkit/assets/simulated_small
	cd runs/checkpoint_improved && cp model.safetensors config.json history.csv run.json ../../cmpae_toolkit/assets/simulated_small_improved
	cd runs/checkpoint_films && cp model.safetensors config.json history.csv run.json extraction.json ../../cmpae_toolkit/assets/films_paper

films: $(READY)
	rm -rf cmpae_toolkit/assets/films
	$(BIN)/cmpae films --out cmpae_toolkit/assets/films --showcase 12 --networks handmade
	rm -f cmpae_toolkit/assets/films/.lock cmpae_toolkit/assets/films/.extraction.jsonl

animation: $(READY)
	$(BIN)/python -m cmpae_toolkit.explorer.animation figures/film.gif

clean:
	rm -rf .venv runs build *.egg-info
