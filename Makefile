# The door to the build: `make help` tells what is behind it. The build itself is CMake's.
PREFIX       ?= /usr/local
FUZZ_SECONDS ?= 60
JOBS         ?= $(shell nproc 2>/dev/null || echo 1)
CMAKE_FLAGS  ?=
DATA         ?=
# Ninja where it is installed; a build folder that exists keeps what it was made with.
export CMAKE_GENERATOR ?= $(if $(shell command -v ninja),Ninja,Unix Makefiles)
export DATA FUZZ_SECONDS JOBS
MAKEFLAGS += --no-print-directory

all: configure   ## build the library, the command and the benches (installs nothing): build/release/refrain
	@cmake --build build/release -j $(JOBS) --target product

configure:
	@cmake --preset release $(CMAKE_FLAGS) >/dev/null

check:           ## install what is missing, build, and run everything that proves this
	@scripts/check.sh

demo:            ## install what is missing, build, train on real text: DATA="files or folders"
	@scripts/install-deps.sh build
	@$(MAKE) all
	@scripts/demo.sh $(DATA)

demo-gpt2: all   ## a few steps of GPT-2 124M: without limits, in 800 MiB, and with swap (three minutes)
	@scripts/demo-gpt2.sh $(DATA)

check-arm64:     ## build for arm64 and run the core of the suite under qemu
	@scripts/check-arm64.sh

check-cap: all   ## GPT-2 124M in budgets, with budget + 48 MiB + 3 % as the system's limit
	@scripts/check-cap.sh

check-budget: check-cap ## that, and budgets of random models at their full count: 200 models, 5 budgets each
	@cmake --build build/release -j $(JOBS) --target budget_budget_sweep
	@RF_BUDGET_MODELS=200 build/release/tests/budget/test_budget_sweep

check-bf16: all  ## 500 steps with products in bf16 end where those of five seeds in f32 do: DATA="files or folders"
	@scripts/check-bf16.sh $(DATA)

amalgamation:    ## one refrain.c and one refrain.h: build/amalgamation
	@scripts/amalgamate.sh build/amalgamation

fuzz:            ## run every fuzz target for FUZZ_SECONDS (60)
	@scripts/fuzz.sh

bench: all       ## run every bench in full: minutes each, on a machine that does nothing else
	@scripts/bench.sh

docs:            ## the API reference: build/docs
	@scripts/install-deps.sh docs
	@scripts/docs.sh

install: all     ## install below PREFIX (/usr/local)
	@cmake --install build/release --prefix "$(PREFIX)"

format:          ## lay the code out by clang-format
	@scripts/check-format.sh --fix

clean:           ## remove build/
	@rm -rf build

help:            ## this list
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## /\1	/p' Makefile | expand -t 16

.PHONY: all configure check demo demo-gpt2 check-arm64 check-cap check-budget check-bf16 amalgamation fuzz bench docs install format clean help
