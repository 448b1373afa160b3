# Evenkeel. `make help` lists the targets.

PREFIX   ?= /usr/local
DESTDIR  ?=
BUILD    ?= build
PYTHON   ?= /usr/bin/python3
OPTIMIZE ?= -O3 -g
SANITIZE ?=
# The programs and the shared library are optimized as a whole; objects keep plain code too, for those that link them otherwise.
LTO      ?= $(if $(SANITIZE)$(findstring clang,$(CC)),,-flto=auto)
ifeq ($(origin CC),default)
CC = gcc
endif

WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
LANGUAGE = -std=c11 -D_GNU_SOURCE -I.
CFLAGS   = $(LANGUAGE) $(OPTIMIZE) $(WARNINGS) $(SANITIZE) -fPIC -fvisibility=hidden -pthread -MMD -MP $(EXTRA_CFLAGS)
LDFLAGS  = $(SANITIZE) -pthread
LIBS     = -lzmq -lczmq -lxxhash -lm
WORKER_LIBS = -lrocksdb -luuid
BROKER_LIBS = -lrocksdb -ljansson -luuid
CLI_LIBS = -ljansson -lcsv -ledit
TEST_LIBS = $(LIBS) -lrocksdb -luuid -ljansson -lcsv -ledit $$(pkg-config --libs check)

COMMON  = $(wildcard common/*.c)
# RocksDB is none of a client's libraries.
CLIENT_COMMON = $(filter-out common/rocks.c,$(COMMON))
BROKER  = $(filter-out broker/main.c,$(wildcard broker/*.c))
WORKER  = $(filter-out worker/main.c,$(wildcard worker/*.c))
CLIENT  = $(wildcard client/*.c)
CLI     = $(filter-out client/cli/main.c,$(wildcard client/cli/*.c))
SUPPORT = $(wildcard tests/support/*.c)
UNIT    = $(wildcard tests/unit/test_*.c)
FUZZ    = $(wildcard tests/fuzz/*.c)
SIM     = $(wildcard tests/sim/*.c)
PLANNER_SIM = $(wildcard tests/planner/*.c)
EXAMPLE = $(wildcard tests/integration/example.c)
BENCH_PRELOAD = tests/bench/slow.c tests/bench/timeline.c
PRELOAD = $(wildcard tests/chaos/deadly.c tests/chaos/fail_sync.c tests/chaos/powercut.c $(BENCH_PRELOAD))
CHAOS   = $(wildcard tests/chaos/load.c tests/chaos/judge.c)
PACED   = $(wildcard tests/chaos/counter.c tests/bench/openloop.c tests/bench/steady.c)
BENCH_PARTS = tests/bench/producer.c tests/bench/raw.c tests/bench/tool.c
MEASURE = $(filter-out $(PACED) $(BENCH_PARTS) $(BENCH_PRELOAD),$(wildcard tests/bench/*.c))
SCRIPTS = $(wildcard tests/integration/test_*.py)
SOURCES = $(COMMON) $(wildcard broker/*.c worker/*.c client/*.c client/cli/*.c) $(SUPPORT) $(UNIT) $(FUZZ) $(SIM) $(PLANNER_SIM) $(EXAMPLE) $(PRELOAD) $(CHAOS) $(PACED) $(MEASURE) $(BENCH_PARTS)
HEADERS = $(wildcard common/*.h broker/*.h worker/*.h client/*.h client/cli/*.h tests/support/*.h tests/sim/*.h tests/planner/*.h tests/chaos/*.h tests/bench/*.h)

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
archive = $(BUILD)/lib/parts/$(1).a
PROGRAMS = $(BUILD)/bin/evenkeel-broker $(BUILD)/bin/evenkeel-worker $(BUILD)/bin/evenkeel
LIBRARIES = $(BUILD)/lib/libevenkeel.a $(BUILD)/lib/libevenkeel.so
UNIT_PROGRAMS = $(patsubst %.c,$(BUILD)/%,$(UNIT))
EXAMPLE_PROGRAM = $(patsubst %.c,$(BUILD)/%,$(EXAMPLE))
PACED_PROGRAMS = $(patsubst %.c,$(BUILD)/%,$(PACED))
PRELOAD_LIBRARY = $(patsubst %.c,$(BUILD)/%.so,$(PRELOAD))
CHAOS_PROGRAMS = $(patsubst %.c,$(BUILD)/%,$(CHAOS))
MEASURE_PROGRAMS = $(patsubst %.c,$(BUILD)/%,$(MEASURE))
VERSION  = $$(sed -n 's/^\#define EK_VERSION "\(.*\)"/\1/p' common/args.h)
# `make V=1` shows whole commands.
Q        = $(if $(V),,@)
SAY      = $(if $(V),:,echo)
SUBMAKE  = +@$(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$$(nproc))

.PHONY: all
all: deps ## programs in build/bin and the client library in build/lib
	$(SUBMAKE) programs

.PHONY: programs
programs: $(PROGRAMS) $(LIBRARIES)

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' Makefile | expand -t 16

.PHONY: deps
deps: ## install the Debian packages that are missing
	@sh compose/deps.sh build test

.PHONY: demo
demo: deps ## the shop on real data, from an empty store to one that survives everything being killed; KEEP=1 leaves it open
	$(SUBMAKE) programs
	@BUILD=$(BUILD) $(PYTHON) compose/demo.py

# ---- programs and the library ----

WHOLE = $(if $(LTO),$(LTO) $(OPTIMIZE))
$(foreach part,common broker worker client,$(eval $(BUILD)/obj/$(part)/%.o: CFLAGS += $(if $(LTO),$(LTO) -ffat-lto-objects)))

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	@$(SAY) CC $<
	$(Q)$(CC) $(CFLAGS) -c $< -o $@

$(BUILD)/bin/evenkeel-broker: $(call objects,$(COMMON) $(BROKER) broker/main.c)
	@mkdir -p $(@D)
	@$(SAY) LD $@
	$(Q)$(CC) $(WHOLE) $(LDFLAGS) $^ -o $@ $(LIBS) $(BROKER_LIBS)

$(BUILD)/bin/evenkeel-worker: $(call objects,$(COMMON) $(WORKER) worker/main.c)
	@mkdir -p $(@D)
	@$(SAY) LD $@
	$(Q)$(CC) $(WHOLE) $(LDFLAGS) $^ -o $@ $(LIBS) $(WORKER_LIBS)

$(BUILD)/bin/evenkeel: $(call objects,$(CLIENT_COMMON) $(CLIENT) $(CLI) client/cli/main.c)
	@mkdir -p $(@D)
	@$(SAY) LD $@
	$(Q)$(CC) $(WHOLE) $(LDFLAGS) $^ -o $@ $(LIBS) $(CLI_LIBS)

$(BUILD)/lib/libevenkeel.a: $(call objects,$(CLIENT_COMMON) $(CLIENT))
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(BUILD)/lib/libevenkeel.so: $(call objects,$(CLIENT_COMMON) $(CLIENT))
	@mkdir -p $(@D)
	@$(SAY) LD $@
	$(Q)$(CC) -shared -Wl,-soname,libevenkeel.so.0 $(WHOLE) $(LDFLAGS) $^ -o $@ $(LIBS)
	$(Q)ln -sf $(@F) $@.0

# ---- tests ----

# One archive a directory. A unit test is linked with what its #include lines name, so that it builds while other parts do not.
define part
$(call archive,$(1)): $(call objects,$(2))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(Q)ar rcs $$@ $$^
endef
$(eval $(call part,common,$(COMMON)))
$(eval $(call part,broker,$(BROKER)))
$(eval $(call part,worker,$(WORKER)))
$(eval $(call part,client,$(CLIENT)))
$(eval $(call part,cli,$(CLI)))

support_of = $(wildcard $(shell sed -n 's,^\#include "\(tests/\(support\|sim\)/[^"]*\)\.h"$$,\1.c,p' $(1)))
parts_of = $(shell sed -n 's,^\#include "\(broker\|worker\|client\|client/cli\)/[^/]*"$$,\1,p' $(1) | sed 's,^client/cli$$,cli client,' | sort -u)
define unit_program
$(BUILD)/$(1:.c=): $(call objects,$(1) $(2)) $(foreach name,$(call parts_of,$(1) $(2) $(wildcard $(2:.c=.h))),$(call archive,$(name))) $(call archive,common)
	@mkdir -p $$(@D)
	@$$(SAY) LD $$@
	$$(Q)$$(CC) $$(LDFLAGS) $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group -Wl,--as-needed -o $$@ $$(TEST_LIBS)
endef
$(foreach test,$(UNIT),$(eval $(call unit_program,$(test),$(call support_of,$(test)))))

# With the whole library, as plain code: what it needs beside the libraries that its users are told of is missed here.
$(BUILD)/tests/integration/example: $(call objects,$(EXAMPLE)) $(BUILD)/lib/libevenkeel.a
	@mkdir -p $(@D)
	@$(SAY) LD $@
	$(Q)$(CC) -fno-lto $(LDFLAGS) $(filter %.o,$^) -Wl,--whole-archive $(filter %.a,$^) -Wl,--no-whole-archive -o $@ $(LIBS)

# The chaos run's programs share what judges histories with the simulation.
$(CHAOS_PROGRAMS): $(BUILD)/%: $(BUILD)/obj/%.o $(call objects,tests/sim/answers.c tests/sim/checker.c tests/sim/versions.c) $(BUILD)/lib/libevenkeel.a
	@mkdir -p $(@D)
	@$(SAY) LD $@
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(LIBS)

$(BUILD)/tests/bench/openloop $(BUILD)/tests/bench/steady: $(call objects,client/cli/generator.c tests/bench/producer.c tests/bench/tool.c)
$(PACED_PROGRAMS): $(BUILD)/%: $(BUILD)/obj/%.o $(BUILD)/lib/libevenkeel.a
	@mkdir -p $(@D)
	@$(SAY) LD $@
	$(Q)$(CC) $(WHOLE) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) -o $@ $(LIBS)

$(BUILD)/tests/bench/storage $(BUILD)/tests/bench/served: $(call objects,tests/bench/raw.c)
$(MEASURE_PROGRAMS): $(BUILD)/%: $(BUILD)/obj/%.o $(call objects,client/cli/generator.c tests/bench/tool.c) $(call archive,worker) $(call archive,common)
	@mkdir -p $(@D)
	@$(SAY) LD $@
	$(Q)$(CC) $(WHOLE) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) -Wl,--as-needed -o $@ $(LIBS) $(WORKER_LIBS)

# Preloaded into programs under test, which bring their own sanitizer.
$(PRELOAD_LIBRARY): $(BUILD)/%.so: %.c
	@mkdir -p $(@D)
	@$(SAY) LD $@
	$(Q)$(CC) $(LANGUAGE) $(OPTIMIZE) $(WARNINGS) -fPIC -shared $< -o $@ -ldl

.PHONY: test
test: deps ## unit and integration tests; the last line says how many passed and failed
	$(SUBMAKE) programs $(UNIT_PROGRAMS) $(EXAMPLE_PROGRAM) $(PRELOAD_LIBRARY) $(CHAOS_PROGRAMS) $(MEASURE_PROGRAMS) $(BUILD)/bin/evenkeel-sim $(BUILD)/bin/evenkeel-planner-sim
	$(SUBMAKE) run-tests TESTS="$(UNIT_PROGRAMS) $(SCRIPTS)"

.PHONY: run-tests
run-tests:
	@BUILD=$(BUILD) $(PYTHON) tests/support/run_tests.py $(TESTS)

.PHONY: unit
unit: $(UNIT_PROGRAMS) ## unit tests only
	$(SUBMAKE) run-tests TESTS="$(UNIT_PROGRAMS)"

.PHONY: unit-one
unit-one: $(BUILD)/tests/unit/test_$(TEST) ## one unit test: make unit-one TEST=codec
	$<

# ---- simulation ----

# The product without its sockets, disks, threads and clocks, for which tests/sim has its own, and with limits that are soon reached.
SIM_EDGES = common/transport.c common/together.c common/clock.c common/directory.c common/log.c common/mailbox.c common/rocks.c common/args.c \
    broker/main.c broker/beside.c broker/keeper.c broker/stats.c broker/stats_json.c broker/meta_rocksdb.c worker/main.c \
    worker/commit.c worker/options.c worker/store_rocksdb.c worker/store_rocksdb_options.c
SIM_PARTS = $(filter-out $(SIM_EDGES),$(COMMON) $(BROKER) $(WORKER) $(CLIENT)) $(SIM) tests/support/seed_arguments.c
SIM_LIMITS = -DEK_VALUE_BYTES_MAX=8192u -DEK_BATCH_BYTES_MAX=65536u -DEK_READ_REPLY_BYTES_GOAL=12288u -DEK_PRODUCERS_PER_SHARD_MAX=4u -DEK_SHARDS_MAX=16u -DEK_COPY_CHUNK_BYTES_GOAL=64u
SIM_WRAPS = -Wl,--wrap=read,--wrap=close,--wrap=signalfd,--wrap=_exit,--wrap=ek_broker_step,--wrap=ek_copy_open

$(BUILD)/sim/%.o: %.c
	@mkdir -p $(@D)
	@$(SAY) CC $< for the simulation
	$(Q)$(CC) $(CFLAGS) $(SIM_LIMITS) -c $< -o $@

$(BUILD)/bin/evenkeel-sim: $(patsubst %.c,$(BUILD)/sim/%.o,$(SIM_PARTS))
	@mkdir -p $(@D)
	@$(SAY) LD $@
	$(Q)$(CC) $(LDFLAGS) $(SIM_WRAPS) $^ -o $@ -lxxhash -lm

SEEDS ?= 200
SEED  ?= 1
.PHONY: sim
sim: $(BUILD)/bin/evenkeel-sim ## SEEDS=200 simulated clusters with faults, from SEED=1 on; V=1 tells the story
	@$< $(if $(V),-v) $(SEEDS) $(SEED)

# The planner is simulated by itself: of the broker it needs nothing else.
$(BUILD)/bin/evenkeel-planner-sim: $(call objects,$(filter broker/planner%,$(BROKER)) $(PLANNER_SIM) tests/support/seed_arguments.c) $(call archive,common)
	@mkdir -p $(@D)
	@$(SAY) LD $@
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ -lm

.PHONY: planner-sim
planner-sim: $(BUILD)/bin/evenkeel-planner-sim ## the planner's figures beside those of other ways to assign shards; SEEDS=4, from SEED=1 on
	@$< $(if $(filter command line,$(origin SEEDS)),$(SEEDS),4) $(SEED)

.PHONY: planner-plots
planner-plots: $(BUILD)/bin/evenkeel-planner-sim ## load over time as pictures in docs/planner
	@sh compose/deps.sh plots
	@sh tests/planner/plots.sh $< docs/planner

CYCLES ?= 20
.PHONY: chaos
chaos: ## CYCLES=20 rounds of kills, pauses, power cuts and failing disks against real processes, from SEED=1 on
	$(SUBMAKE) programs $(PRELOAD_LIBRARY) $(CHAOS_PROGRAMS)
	@BUILD=$(BUILD) $(PYTHON) tests/chaos/chaos.py $(CYCLES) $(SEED)

MOVES ?= 200
.PHONY: moves
moves: ## MOVES=200 moves of shards under load, each with somebody killed, robbed of power or paused at a random step of it, from SEED=1 on
	$(SUBMAKE) programs $(PRELOAD_LIBRARY) $(CHAOS_PROGRAMS)
	@BUILD=$(BUILD) $(PYTHON) tests/chaos/moves.py $(MOVES) $(SEED)

.PHONY: mutants
mutants: ## put one bug at a time into a copy and see whether the simulation notices; MUTANTS="name..." for some, SEEDS=n, WRITE=1 keeps the table
	@BUILD=$(BUILD)/mutants $(PYTHON) tests/mutants/run.py $(if $(filter command line,$(origin SEEDS)),--seeds $(SEEDS)) $(if $(WRITE),--write) $(MUTANTS)

# ---- what it must show ----

COUNT ?= 100000
KILLS ?= 30
.PHONY: counter
counter: deps ## COUNT=100000 increments by four producers while the broker and each of three workers are killed KILLS=30 times; then producers too
	$(SUBMAKE) programs $(BUILD)/tests/chaos/counter
	@BUILD=$(BUILD) $(PYTHON) tests/chaos/counter.py --count $(COUNT) --kills $(KILLS)

REPETITIONS ?= 3
.PHONY: overload
overload: deps ## goodput, memory and latency under ten times the load that slowed workers can carry, REPETITIONS=3 times
	$(SUBMAKE) programs $(BUILD)/tests/bench/openloop $(BUILD)/tests/bench/slow.so
	@BUILD=$(BUILD) $(PYTHON) tests/bench/overload.py --repetitions $(REPETITIONS)

.PHONY: recovery
recovery: deps ## how long shards are away after SIGKILL of a worker or the broker at half of the peak load, on 1,000,000 keys
	$(SUBMAKE) programs $(BUILD)/tests/bench/openloop
	@BUILD=$(BUILD) $(PYTHON) tests/bench/recovery.py

KEYS ?= 1000000
.PHONY: scale
scale: deps ## a third worker starts and one of three is drained under load: seconds, bytes moved, p99, throughput; KEYS=1000000, REPETITIONS=3 times
	$(SUBMAKE) programs $(BUILD)/tests/bench/steady
	@BUILD=$(BUILD) $(PYTHON) tests/bench/scale.py --keys $(KEYS) --repetitions $(REPETITIONS)

.PHONY: skew
skew: deps ## a zipfian load that begins on the shards of one of three workers: seconds until it is spread; KEYS=1000000, REPETITIONS=3 times
	$(SUBMAKE) programs $(BUILD)/tests/bench/steady
	@BUILD=$(BUILD) $(PYTHON) tests/bench/skew.py --keys $(KEYS) --repetitions $(REPETITIONS)

.PHONY: bench
bench: deps ## everything measured side by side, written to docs/BENCHMARKS.md: up to 45 minutes; QUICK=1: up to 5
	@sh compose/deps.sh bench plots
	$(SUBMAKE) programs $(MEASURE_PROGRAMS) $(BENCH_PRELOAD:%.c=$(BUILD)/%.so)
	@BUILD=$(BUILD) $(PYTHON) tests/bench/report.py $(if $(QUICK),--quick)

# Without the pool of jobs, in which a sanitizer would not see what is used after its end.
SANITIZED = OPTIMIZE="-O1 -g -fno-omit-frame-pointer" EXTRA_CFLAGS=-DEK_POOL_BYTES_MAX=0

.PHONY: test-asan
# What is freed is kept for a while to find uses of it: little, as tests measure memory. Some load a library before the runtime.
test-asan: export ASAN_OPTIONS = detect_stack_use_after_return=1:strict_string_checks=1:quarantine_size_mb=16:verify_asan_link_order=0
test-asan: export LSAN_OPTIONS = suppressions=$(CURDIR)/tests/support/lsan.supp:print_suppressions=0
test-asan: export UBSAN_OPTIONS = print_stacktrace=1
test-asan: export CK_TIMEOUT_MULTIPLIER = 5
test-asan: export SIM_SEEDS = 30
test-asan: export PLANNER_SEEDS = 1
test-asan: ## the same tests under AddressSanitizer and UndefinedBehaviorSanitizer
	$(SUBMAKE) test BUILD=build/asan SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all" $(SANITIZED)

.PHONY: test-tsan
test-tsan: export TSAN_OPTIONS = suppressions=$(CURDIR)/tests/support/tsan.supp:halt_on_error=1:second_deadlock_stack=1
test-tsan: export CK_TIMEOUT_MULTIPLIER = 10
test-tsan: export PLANNER_SEEDS = 1
test-tsan: ## the same tests under ThreadSanitizer
	$(SUBMAKE) test BUILD=build/tsan SANITIZE="-fsanitize=thread" $(SANITIZED)

RUNS ?= 1000000
.PHONY: fuzz
fuzz: ## feed RUNS=1000000 mutated messages to the decoders under libFuzzer
	@sh compose/deps.sh build test lint
	$(SUBMAKE) build/fuzz/fuzz_codec CC=clang BUILD=build/fuzz OPTIMIZE="-O1 -g" \
	    SANITIZE="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all"
	@$(PYTHON) tests/vectors/make_vectors.py --corpus build/fuzz/corpus
	build/fuzz/fuzz_codec -runs=$(RUNS) -max_len=4096 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=0 build/fuzz/corpus

build/fuzz/fuzz_codec: $(call objects,$(FUZZ) tests/support/recode.c) $(call archive,common)
	@$(SAY) LD $@
	$(Q)$(CC) $(SANITIZE) -fsanitize=fuzzer -pthread $^ -Wl,--as-needed -o $@ $(LIBS)

# ---- upkeep ----

.PHONY: lint
lint: ## clang-format, cppcheck and clang-tidy over all C files
	@sh compose/deps.sh build test lint
	@clang-format --dry-run -Werror $(SOURCES) $(HEADERS)
	@cppcheck -q -j2 --std=c11 --language=c --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	    --suppressions-list=tests/support/cppcheck.supp -D_GNU_SOURCE -I. $(SOURCES)
	@printf '%s\n' $(SOURCES) | xargs -P2 -n4 sh -c 'clang-tidy -quiet --warnings-as-errors="*" "$$@" -- $(LANGUAGE) 2>/dev/null' tidy

.PHONY: format
format: ## lay the C files out
	clang-format -i $(SOURCES) $(HEADERS)

.PHONY: install
install: all ## programs, library, header and pkg-config file under PREFIX=/usr/local
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	install -m 644 client/evenkeel.h $(DESTDIR)$(PREFIX)/include
	install -m 644 $(BUILD)/lib/libevenkeel.a $(DESTDIR)$(PREFIX)/lib
	install -m 755 $(BUILD)/lib/libevenkeel.so $(DESTDIR)$(PREFIX)/lib/libevenkeel.so.0
	ln -sf libevenkeel.so.0 $(DESTDIR)$(PREFIX)/lib/libevenkeel.so
	printf '%s\n' 'prefix=$(PREFIX)' 'Name: evenkeel' 'Description: client of the durable key-value store Evenkeel' "Version: $(VERSION)" \
	    'Libs: -L$${prefix}/lib -levenkeel' 'Libs.private: $(LIBS)' 'Cflags: -I$${prefix}/include' \
	    > $(DESTDIR)$(PREFIX)/lib/pkgconfig/evenkeel.pc

.PHONY: clean
clean: ## remove everything that was built
	rm -rf build

-include $(shell find $(BUILD)/obj $(BUILD)/sim -name '*.d' 2>/dev/null)
