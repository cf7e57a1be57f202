# `make demo` shows the program on the bundled example; `make test` runs everything CI runs.
.DEFAULT_GOAL := help
.PHONY: help demo demo-clean test test-full reference engines engines-stop bench lint lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{ printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## build the example's images twice, on your engine or a private one
	@scripts/demo

demo-clean: ## stop the private engine of `make demo` and remove its data
	@DOC2MD_DOCKER_ENGINE_STATE=$(CURDIR)/target/demo-engine scripts/engine stop --purge

test: ## unit, command line and engine tests, on four private engines
	@scripts/test

test-full: ## the example from end to end with all of Docling: gigabytes from PyPI, 20 GB of disk
	@DOC2MD_TEST_FULL=1 DOC2MD_TEST_NAMES=28.5 scripts/test --test engine doc2md:: -- --nocapture

reference: ## write docs/reference again, after a change of the help
	DOC2MD_RECORD_REFERENCE=1 cargo test --locked --quiet --test cli reference::

lint: ## format, lints, licences
	cargo fmt --all -- --check
	cargo clippy --locked --all-targets -- -D warnings
	@command -v cargo-deny >/dev/null || { echo "cargo-deny is missing: cargo install --locked cargo-deny" >&2; exit 1; }
	cargo deny --all-features --log-level error check licenses bans sources

engines: ## start the test engines and leave them running
	@scripts/test --engines-only

engines-stop: ## stop the test engines and remove their data
	@DOC2MD_DOCKER_ENGINE_STATE=$(CURDIR)/target/engines scripts/engine stop --purge

bench: ## compare with buildx bake, compose build and docker build
	@scripts/bench

eta: ## measure the estimates of time left (needs an engine; see scripts/eta)
	@BASE_IMAGE=$${BASE_IMAGE:-doc2md/python-base:bookworm} scripts/eta

lock: ## pin the example's Python packages again (needs an engine)
	cargo build --locked --release
	cd examples/doc2md && ../../target/release/doc2md-docker lock
