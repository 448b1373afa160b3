# Evenkeel. `make help` lists the targets.

PREFIX   ?= /usr/local
DESTDIR  ?=
CC       ?= gcc
BUILD    ?= build
OPTIMIZE ?= -O2 -g
SANITIZE ?=

PACKAGES = libzmq libczmq jansson libxxhash uuid
WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
CFLAGS   = -std=c11 -D_GNU_SOURCE $(OPTIMIZE) $(WARNINGS) $(SANITIZE) -fPIC -fvisibility=hidden -pthread -MMD -MP -I. $(EXTRA_CFLAGS)
LDFLAGS  = $(SANITIZE) -pthread
LIBS     = -lzmq -lczmq -lxxhash -lm
WORKER_LIBS = -lrocksdb
BROKER_LIBS = -lrocksdb -ljansson
CLI_LIBS = -ljansson -lcsv

COMMON  = $(wildcard common/*.c)
BROKER  = $(filter-out broker/main.c,$(wildcard broker/*.c))
WORKER  = $(filter-out worker/main.c,$(wildcard worker/*.c))
CLIENT  = $(wildcard client/*.c)
CLI     = $(wildcard client/cli/*.c)
SUPPORT = $(wildcard tests/support/*.c)
UNIT    = $(wildcard tests/unit/*.c)

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
PROGRAMS = $(BUILD)/bin/evenkeel-broker $(BUILD)/bin/evenkeel-worker $(BUILD)/bin/evenkeel
LIBRARIES = $(BUILD)/lib/libevenkeel.a $(BUILD)/lib/libevenkeel.so

.PHONY: all
all: deps programs ## programs in build/bin and the client library in build/lib

.PHONY: programs
programs: $(PROGRAMS) $(LIBRARIES)

.PHONY: deps
deps: ## install the Debian packages that are missing
	@sh compose/deps.sh

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -c $< -o $@

$(BUILD)/bin/evenkeel-broker: $(call objects,$(COMMON) $(BROKER) broker/main.c)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ $(LIBS) $(BROKER_LIBS)

$(BUILD)/bin/evenkeel-worker: $(call objects,$(COMMON) $(WORKER) worker/main.c)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ $(LIBS) $(WORKER_LIBS)

$(BUILD)/bin/evenkeel: $(call objects,$(COMMON) $(CLIENT) $(CLI))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ $(LIBS) $(CLI_LIBS)

$(BUILD)/lib/libevenkeel.a: $(call objects,$(COMMON) $(CLIENT))
	@mkdir -p $(@D)
	rm -f $@
	ar rcs $@ $^

$(BUILD)/lib/libevenkeel.so: $(call objects,$(COMMON) $(CLIENT))
	@mkdir -p $(@D)
	$(CC) -shared -Wl,-soname,libevenkeel.so.0 $(LDFLAGS) $^ -o $@ $(LIBS)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
