# Sutra's build. `make help` lists the targets.
#
# Objects live in build/<hash of compiler and flags>, so that release,
# sanitizer and coverage builds never mix; build/bin points at the last
# plain build's programs, which is what ./sutra runs.
#
#   CC=clang             another compiler
#   SAN=address,undefined|thread   sanitizers
#   DEV=1                the long list of warnings, as errors
#   COV=1                coverage
#   ONEDNN=prefix        another oneDNN than the system's, 2.6 or 3.x
#   V=1                  show the commands

CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
PREFIX  ?= /usr/local
DESTDIR ?=
V       ?= 0
COUNT   ?= 1000000
FUZZ_SECONDS ?= 60
Q       := $(if $(filter 1,$(V)),,@)
SAY     := $(if $(findstring s,$(firstword -$(MAKEFLAGS)))$(filter 1,$(V)),@:,@echo)

PKGS    := jansson libcurl libmicrohttpd libuv libfyaml libsodium \
           libxxhash libutf8proc readline ncursesw
CFLAGS  ?= -O2 -g
CFLAGS_ALL := -std=gnu11 $(CFLAGS) -pthread -fno-omit-frame-pointer \
           -D_GNU_SOURCE -Ilib -Icmd -Wall -Wextra -Wno-unused-parameter \
           -Wno-format-truncation $(if $(findstring clang,$(CC)),-Wno-unknown-warning-option)
LDFLAGS_ALL := $(LDFLAGS) -pthread -Wl,--as-needed
# Protection against overwritten pointers and return addresses; sanitizers check the fortified calls themselves.
CFLAGS_ALL  += -fPIE -fstack-protector-strong $(if $(SAN),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
LDFLAGS_ALL += -pie -Wl,-z,relro,-z,now,-z,noexecstack
LIBS    := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
# A target that builds first reports missing packages in one line, in place of many errors of the compiler.
GOALS   := $(filter-out help print-bin clean uninstall onednn3,$(or $(MAKECMDGOALS),all))
ifneq ($(filter test%,$(GOALS)),)
ifneq ($(shell pkg-config --exists $(PKGS) cmocka msgpack && command -v bats jq >/dev/null && echo all),all)
$(error packages of the tests are missing: scripts/test installs them and runs the tests)
endif
else ifneq ($(GOALS),)
ifeq ($(LIBS),)
$(error libraries are missing: $(shell for p in $(PKGS); do pkg-config --exists $$p || echo $$p; done): scripts/packages --install build installs them)
endif
endif
LIBS    += -ldnnl -lgomp -lm

ifneq ($(DEV),)
CFLAGS_ALL += -Werror -Wshadow -Wvla -Wwrite-strings -Wstrict-prototypes \
           -Wmissing-prototypes -Wformat=2 -Wpointer-arith -Wundef
endif
ifneq ($(SAN),)
CFLAGS_ALL  += -fsanitize=$(SAN) -fno-sanitize-recover=undefined
LDFLAGS_ALL += -fsanitize=$(SAN)
endif
ifneq ($(COV),)
CFLAGS_ALL  += --coverage
LDFLAGS_ALL += --coverage
endif

ifneq ($(ONEDNN),)
CFLAGS_ALL  += -I$(ONEDNN)/include
LDFLAGS_ALL += -L$(ONEDNN)/lib -Wl,-rpath,$(ONEDNN)/lib
endif

comma := ,
HASH := $(shell printf '%s' '$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL)' | cksum | cut -d' ' -f1)
B    := build/$(HASH)
BIN  := $(B)/bin

LIB_SRC  := $(wildcard lib/*/*.c lib/*/*/*.c)
LIB_OBJ  := $(LIB_SRC:%.c=$(B)/%.o)
LIB_A    := $(B)/libsutra.a
CMDS     := $(notdir $(patsubst %/,%,$(dir $(wildcard cmd/*/main.c))))
PROGRAMS := $(CMDS:%=$(BIN)/%)
UNIT     := $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/test_*.c))
FUZZ     := $(patsubst tests/fuzz/%.c,$(B)/tests/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZERS  := $(FUZZ:$(B)/tests/%=$(B)/fuzzers/%)
BENCH    := $(patsubst tests/bench/%.c,$(B)/tests/%,$(wildcard tests/bench/bench_*.c))
FAKES    := $(addprefix -Wl$(comma)--wrap=,poll sutra_clock_ns sutra_fetch_one sutra_fetch_many sutra_runtime_named)
HELPERS  := $(patsubst tests/integration/%.c,$(B)/tests/%,$(wildcard tests/integration/*.c))

.PHONY: all help tests test test-unit test-cli test-integration test-fuzz lint bench fuzz run-fuzzers parity onednn3 \
        install uninstall clean check-headers print-bin
.SECONDARY:
.DELETE_ON_ERROR:

all: $(PROGRAMS) ## build every program (default)
ifeq ($(SAN)$(COV),)
	$(Q)ln -sfn $(HASH)/bin build/bin
endif

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 20

print-bin: ; @echo $(BIN)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(SAY) '  CC   $<'
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(LIB_A): $(LIB_OBJ)
	$(Q)rm -f $@; ar rcs $@ $^

define program
$$(BIN)/$(1): $$(patsubst %.c,$$(B)/%.o,$$(wildcard cmd/$(1)/*.c cmd/$(1)/*/*.c)) $$(LIB_A)
	@mkdir -p $$(@D)
	$$(SAY) '  LINK $$@'
	$$(Q)$$(CC) $$(LDFLAGS_ALL) -o $$@ $$^ $$(LIBS)
endef
$(foreach c,$(CMDS),$(eval $(call program,$(c))))

$(B)/tests/test_encoder: LDFLAGS_ALL += -Wl,--wrap=sutra_gemm	# the test makes it fail
$(B)/tests/test_reconnect: LDFLAGS_ALL += -Wl,--wrap=getaddrinfo,--wrap=freeaddrinfo	# the test has its own resolver
$(B)/tests/test_wire $(B)/tests/fuzz_message $(B)/fuzzers/fuzz_message: LIBS += -lmsgpackc	# the reference implementation
$(B)/tests/test_docker: LDFLAGS_ALL += -Wl,--wrap=sutra_fetch_one	# the test has its own engine
$(B)/tests/test_store_disk: LDFLAGS_ALL += -Wl,--wrap=sutra_wal_append	# the test makes it fail
$(B)/tests/test_storage: $(addprefix $(B)/cmd/sutra-storage/,operations.o plain_routes.o serve.o)
$(B)/tests/test_check: LDFLAGS_ALL += -Wl,--wrap=sutra_embed	# whose answers it times
$(B)/tests/test_runit: LDFLAGS_ALL += $(addprefix -Wl$(comma)--wrap=,poll kill sutra_clock_ns)
# Tests of deploy's decisions on services in memory, with a clock that only waits advance.
$(addprefix $(B)/tests/test_,apply deploy plan rollback): LDFLAGS_ALL += $(FAKES)
$(addprefix $(B)/tests/test_,apply deploy plan rollback): $(B)/tests/unit/fake_runtime.o
$(B)/tests/test_%: $(B)/tests/unit/test_%.o $(LIB_A)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) $(LIB_A) $(LIBS) -lcmocka
$(B)/tests/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/replay.o $(LIB_A)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)
$(B)/fuzzers/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(LIB_A)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $^ $(LIBS)
$(B)/tests/bench_%: $(B)/tests/bench/bench_%.o $(LIB_A)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)
$(B)/tests/%: $(B)/tests/integration/%.o $(LIB_A)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

tests: all $(UNIT) $(FUZZ) $(HELPERS) ## build what the suite runs
test: tests ## build and run the whole suite; scripts/test installs what that needs first
	@SUTRA_BIN=$(abspath $(BIN)) SUTRA_TESTS=$(abspath $(B)/tests) tests/run unit fuzz cli integration
test-unit: $(UNIT) ## the unit tests alone
	@SUTRA_BIN=$(abspath $(BIN)) SUTRA_TESTS=$(abspath $(B)/tests) tests/run unit
test-fuzz: $(FUZZ) ## replay the fuzz corpora and a bounded mutation of them
	@SUTRA_BIN=$(abspath $(BIN)) SUTRA_TESTS=$(abspath $(B)/tests) tests/run fuzz
parity: $(B)/tests/test_parity ## the tokenizer beside Hugging Face's on COUNT=1000000 texts, with Python
	@SUTRA_TESTS=$(abspath $(B)/tests) COUNT=$(COUNT) tests/unit/parity
fuzz: ## libFuzzer under ASan and UBSan, FUZZ_SECONDS=60 an entry; FILTER=word: those with it
	$(Q)$(MAKE) CC=clang SAN=fuzzer-no-link,address,undefined run-fuzzers
run-fuzzers: $(FUZZERS)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run $^
test-cli: all ## the golden cases of the command line
	@SUTRA_BIN=$(abspath $(BIN)) SUTRA_TESTS=$(abspath $(B)/tests) tests/run cli
test-integration: all $(UNIT) $(HELPERS) ## real daemons, real HAProxy, real model
	@SUTRA_BIN=$(abspath $(BIN)) SUTRA_TESTS=$(abspath $(B)/tests) tests/run integration
bench: all $(BENCH) $(HELPERS) ## measure, beside peers in the same run; prints ratios
	@SUTRA_BIN=$(abspath $(BIN)) SUTRA_TESTS=$(abspath $(B)/tests) tests/bench/run

onednn3: build/onednn3/include/dnnl.h ## oneDNN 3.x for the tests, which use it when it is there
build/onednn3/include/dnnl.h:
	$(Q)python3 -m venv build/onednn3
	$(Q)build/onednn3/bin/pip install -q --disable-pip-version-check onednn-devel-cpu-gomp==2023.2.0
	$(Q)touch $@

check-headers: ## every header compiles alone
	$(Q)for h in $$(find lib cmd -name '*.h'); do \
	  $(CC) $(CFLAGS_ALL) -Wno-unused-function -fsyntax-only -x c $$h || exit 1; done
lint: all check-headers ## include order, circles, prefixes, sizes, banned calls, links, cppcheck, shellcheck, mandoc
	@SUTRA_OBJECTS=$(abspath $(B)) tests/lint/run

-include $(wildcard $(B)/lib/*/*.d $(B)/lib/*/*/*.d $(B)/cmd/*/*.d $(B)/cmd/*/*/*.d $(B)/tests/*/*.d)

DEST := $(DESTDIR)$(PREFIX)
MAN  := $(wildcard man/*.[1-8])
# The paths at which bash, zsh and fish find completions of packages.
bash_COMPLETION := $(DEST)/share/bash-completion/completions/sutra
zsh_COMPLETION  := $(DEST)/share/zsh/site-functions/_sutra
fish_COMPLETION := $(DEST)/share/fish/vendor_completions.d/sutra.fish
SHELLS := bash zsh fish

install: all ## programs, manuals, compose files and checks under DESTDIR/PREFIX
	$(Q)install -d $(DEST)/bin $(DEST)/share/sutra
	$(Q)install -m 755 $(PROGRAMS) $(DEST)/bin
	$(Q)cp -R compose validate man/schema $(DEST)/share/sutra
	$(Q)for m in $(MAN); do install -D -m 644 $$m $(DEST)/share/man/man$${m##*.}/$${m##*/}; done
	$(Q)$(foreach s,$(SHELLS),install -d $(dir $($(s)_COMPLETION)) && \
	  $(BIN)/sutra completion $(s) >$($(s)_COMPLETION) &&) :

uninstall: ## remove what install put there
	rm -f $(CMDS:%=$(DEST)/bin/%) $(foreach s,$(SHELLS),$($(s)_COMPLETION))
	rm -f $(foreach m,$(MAN),$(DEST)/share/man/man$(subst .,,$(suffix $(m)))/$(notdir $(m)))
	rm -rf $(DEST)/share/sutra

clean: ## remove build/
	rm -rf build
