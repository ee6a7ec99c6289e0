# Slipway. `make help` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup build release demo test corpus lint format fuzz images bench-image bench-layer bench-run bench-webhooks bench-takeover bench-pages prove prove-kills prove-split prove-judge prove-rollback shop torture torture-upload simulate race-gc clean

# The executable that demo and benchmarks use; set it to try another build, for example
# make demo SLIPWAY=.build/debug/slipway
SLIPWAY ?=

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install the Debian packages that are missing
	@scripts/setup

build: setup ## debug build
	swift build --product slipway

release: setup ## release build, in .build/release/slipway
	@$(if $(SLIPWAY),true,echo "release build of slipway (the first takes minutes)" && swift build -c release --product slipway)

demo: release ## deliver examples/gtin to dev and prod before your eyes (KEEP=1: leave it up)
	@SLIPWAY="$(or $(SLIPWAY),.build/release/slipway)" scripts/demo

test: setup ## build and run every test
	@scripts/test

corpus: setup ## every Containerfile of the corpus, built by Slipway and by buildah, compared
	SLIPWAY_CORPUS=all swift test --filter ContainerfileBuildTests.CorpusTests

lint: ## formatting of Swift sources, syntax of scripts
	@scripts/lint

format: ## rewrite Swift sources as .swift-format says
	swift format format --in-place --parallel --recursive Package.swift Sources Tests

fuzz: setup ## fuzz every reader of outside bytes for ten minutes each (SECONDS=60: shorter)
	@for target in $$(ls Fuzz/Targets | grep -v Driver); do scripts/fuzz $$target $(or $(SECONDS),600) || exit 1; done

images: ## make the demo's base images from Debian packages, in .cache/images
	@scripts/base-images .cache/images

bench-image: release ## image build and push against tar|pigz+skopeo, umoci+skopeo and buildah
	@SLIPWAY="$(or $(SLIPWAY),.build/release/slipway)" bench/image

bench-layer: release ## one large layer against igzip -1 on all processors, and memory for a 5 GB tree
	@SLIPWAY="$(or $(SLIPWAY),.build/release/slipway)" bench/layer

bench-run: release ## trigger to finished one-step run, 200 queued runs, and idle memory, against Buildbot
	@SLIPWAY="$(or $(SLIPWAY),.build/release/slipway)" bench/run

bench-webhooks: release ## durable webhooks a second, with the server killed under load
	@SLIPWAY="$(or $(SLIPWAY),.build/release/slipway)" bench/webhooks

bench-takeover: release ## how long the work of a server that dies lies still, two of them on one PostgreSQL
	@SLIPWAY="$(or $(SLIPWAY),.build/release/slipway)" bench/takeover

bench-pages: release ## pages, API and statements with 10,000 runs and a log of 1,000,000 lines
	@SLIPWAY="$(or $(SLIPWAY),.build/release/slipway)" bench/pages

prove: release ## 100 good and 50 bad deployments under load, by strategy, target and router (ARGS='--good 3 --bad 8 --rate 100')
	@SLIPWAY="$(or $(SLIPWAY),.build/release/slipway)" scripts/prove $(ARGS)

prove-kills: release ## the server killed 20 times in each phase of a deployment under load (ARGS='--kills 4 --targets host')
	@SLIPWAY="$(or $(SLIPWAY),.build/release/slipway)" scripts/prove-kills $(ARGS)

prove-split: release ## who answers 100,000 requests at each weight of a canary, nginx and haproxy (ARGS='--requests 10000')
	@SLIPWAY="$(or $(SLIPWAY),.build/release/slipway)" scripts/prove-split $(ARGS)

prove-judge: release ## canaries with 2 % more errors or 50 ms more, and good ones, under load (ARGS='--runs 6')
	@SLIPWAY="$(or $(SLIPWAY),.build/release/slipway)" scripts/prove-judge $(ARGS)

prove-rollback: release ## going back under load without registry and repository (ARGS='--rounds 1')
	@SLIPWAY="$(or $(SLIPWAY),.build/release/slipway)" scripts/prove-rollback $(ARGS)

shop: release ## deliver examples/shop, three services as a train, from a push to prod, and break it
	@SLIPWAY="$(or $(SLIPWAY),.build/release/slipway)" scripts/shop

torture-upload: setup ## 200 pushes through a proxy that breaks everything, with kills of the client
	SLIPWAY_TORTURE_ROUNDS=200 swift test --filter TortureTests

torture: release ## 1,000 kills of servers on SQLite and PostgreSQL, PostgreSQL away, disks full, servers frozen (KILLS=…)
	@SLIPWAY="$(or $(SLIPWAY),.build/release/slipway)" scripts/torture --kills $(or $(KILLS),1000)

simulate: setup ## the state machines of runs and rollouts through 1,000,000 seeds of crashes, frozen servers, failing stores (FIRST=…, COUNT=…)
	swift build -c release --product simulate && .build/release/simulate $(or $(FIRST),0) $(or $(COUNT),1000000)

race-gc: setup ## 1,000 pushes and pulls while the store's garbage is collected
	SLIPWAY_RACE_PUSHES=1000 swift test --filter racingPushesLoseNothing

clean: ## remove builds and caches
	rm -rf .build .cache
