# media-server: captures, records and plays fleets of IP cameras.
#
#   make              build the programs into build/bin
#   make demo         install what is needed, build, run four simulated cameras and the server
#   make check        install what tests need and run lint and every test
#   make check-tsan   unit tests and a short run of the whole server under ThreadSanitizer
#   make unit         build and run the unit tests and the fuzz corpora (no packages installed)
#   make e2e          end-to-end tests (PYTEST_ARGS='-k name' picks some)
#   make lint         layers, doors, sizes, format, clang-tidy, cppcheck, shellcheck, luacheck
#   make format       run clang-format over the tree
#   make bench        the figures and their verdicts: CPU per Gbit, private memory, restart times (long; BENCH_ARGS='--only kill' picks some)
#   make bench-latency  how late the picture is in Chromium, and what slow clients cost the others
#   make bench-fanout   what many viewers cost: RTSP and HLS, beside nginx; and what slow clients cost them
#   make bench-access   who may watch: the time of refusals, another key, taking back, guessing
#   make bench-api      the API: 1,000 streams made and listed, their metrics, what playback has of 200 calls a second; and the panel
#   make bench-panel    the control panel in Chromium with 1,000 cameras, and what live tiles cost
#   make bench-archive  the archive's figures alone: index, check, archive HLS, TLS and HTTP/2
#   make cluster-test  servers in network namespaces that die, are cut off and return (long; ROUNDS=50; root)
#   make crash-kill   random kill -9 while streams are recorded; crash-power, crash-full, crash-stall, crash-delete: tests/crash (N=, SEED=; root)
#   make fuzz         fuzz every target for FUZZ_SECONDS (60)
#   make deps         install the packages a build needs; deps-test: those the tests need
#   make install      PREFIX=/usr/local DESTDIR= SYSCONFDIR=/etc/media-server
#   make clean
#
#   SAN=plain|asan|tsan|cov|fuzz   variant, each in a build folder of its own
#   O=build                        where to build
#   WERROR=1                       warnings are errors (CI)
#   V=1                            show the commands

SAN ?= plain
O ?= build
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc/media-server
LOCALSTATEDIR ?= /var
FUZZ_SECONDS ?= 60
Q := $(if $(V),,@)
B := $(if $(filter plain,$(SAN)),$(O),$(O)/$(SAN))

VERSION := $(shell cat VERSION)
REVISION := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

CC_plain := gcc
CC_asan := gcc
CC_tsan := gcc
CC_cov := gcc
CC_fuzz := clang-14
ifeq ($(origin CC),default)
CC := $(CC_$(SAN))
endif
SAN_plain := -O2 -D_FORTIFY_SOURCE=3
SAN_asan := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
SAN_tsan := -O1 -fsanitize=thread -fno-omit-frame-pointer
SAN_cov := -O0 --coverage
SAN_fuzz := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LD_asan := -fsanitize=address,undefined
LD_tsan := -fsanitize=thread
LD_cov := --coverage
LD_fuzz := -fsanitize=address,undefined

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wundef -Wvla -Wcast-qual -Wpointer-arith -Wwrite-strings \
  -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wformat=2 -Wimplicit-fallthrough \
  -Wswitch-enum -Wconversion -Wno-sign-conversion -Wnull-dereference -Wdouble-promotion
CPPFLAGS := -D_GNU_SOURCE -I. -include common/base/banned.h
CFLAGS := -std=gnu17 -g $(SAN_$(SAN)) $(WARN) $(if $(WERROR),-Werror) \
  -fstack-protector-strong -fPIE -ffunction-sections -fdata-sections -fno-strict-aliasing -pthread
LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,--gc-sections -Wl,--as-needed -pthread $(LD_$(SAN))

# --- rooms: every folder of C code is one library; main.c of a room is its program ---
ROOMS := common/base common/net common/wire common/proto common/media common/ring common/ipc common/conf \
  archive worker courier httpd httpd/rtsp httpd/picture httpd/luahost master master/cluster master/connector scripts/msctl tests/camera tests/support
# version.c changes with every commit: it is linked into its program alone, so that nothing else is.
room_src = $(filter-out $(1)/main.c %/version.c,$(wildcard $(1)/*.c))
room_lib = $(B)/lib/$(subst /,_,$(1)).a
COMMON := common/conf common/ipc common/ring common/media common/proto common/wire common/net common/base
SRC := $(foreach r,$(ROOMS),$(wildcard $(r)/*.c))
obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

# program: room, libraries of ours beside its own, foreign libraries
PROGS := media-server ms-worker ms-keeper ms-httpd ms-picture ms-luahost ms-connector ms-courier msctl ms-camera
ROOM_media-server := master
ROOM_ms-worker := worker
ROOM_ms-keeper := archive
ROOM_ms-httpd := httpd
ROOM_ms-picture := httpd/picture
ROOM_ms-luahost := httpd/luahost
ROOM_ms-connector := master/connector
ROOM_ms-courier := courier
ROOM_msctl := scripts/msctl
ROOM_ms-camera := tests/camera
WITH_ms-worker := archive
WITH_media-server := master/cluster
# Of the helpers' rooms only their wires: no object that needs libav or Lua is taken from the archives.
WITH_ms-httpd := archive httpd/rtsp httpd/picture httpd/luahost
WITH_msctl := archive
WITH_ms-courier := archive
# The worker takes the digests from the static libcrypto: 104 KB of private memory instead of 560 KB.
LIBS_media-server := -lev -lmsgpackc -linih -lcrypto
LIBS_ms-worker := -l:libev.a -l:libmsgpackc.a -l:libexpat.a -l:libcrypto.a -llmdb -lm
LIBS_ms-keeper := -lev -lmsgpackc -llmdb -l:libcrypto.a -lm
LIBS_ms-httpd := -lev -lmsgpackc -llmdb -lssl -lcrypto -lnghttp2 -lz -lcurl
LIBS_ms-picture := -lmsgpackc -lavcodec -lavutil -lswscale -lseccomp -lm
LIBS_ms-luahost := -lmsgpackc -llua5.4 -lseccomp -lm
LIBS_ms-connector := -lev -lmsgpackc -lcares -l:libcrypto.a
LIBS_ms-courier := -lev -lmsgpackc -llmdb -lssl -lcrypto -lcurl -lm
LIBS_msctl := -lev -lmsgpackc -llmdb -linih -lcrypto -lm
LIBS_ms-camera := -lev -lmsgpackc -l:libcrypto.a -lm
LIBS_TEST := -lcmocka -lexpat -lev -lmsgpackc -llmdb -linih -lcares -lssl -lcrypto -lnghttp2 -lz -lavcodec -lavutil -lswscale -llua5.4 -lseccomp -lcurl -lm

HAVE_PROGS := $(foreach p,$(PROGS),$(if $(wildcard $(ROOM_$(p))/main.c),$(p)))
# hls.js and uPlot as npm unpacked them, put where httpd serves them from
CPANEL_LIBS := $(if $(wildcard cpanel/node_modules/hls.js),cpanel/lib/hls.light.min.mjs cpanel/lib/hls.js.LICENSE) \
    $(if $(wildcard cpanel/node_modules/uplot),cpanel/lib/uPlot.esm.js cpanel/lib/uPlot.min.css cpanel/lib/uPlot.LICENSE)
BINS := $(addprefix $(B)/bin/,$(HAVE_PROGS))

TEST_SRC := $(sort $(wildcard tests/unit/*/test_*.c tests/unit/test_*.c))
TESTS := $(patsubst tests/unit/%.c,$(B)/test/%,$(TEST_SRC))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(FUZZ_SRC))
TEST_LIBS := $(foreach r,tests/support scripts/msctl worker courier httpd httpd/rtsp httpd/picture httpd/luahost archive master master/cluster master/connector $(COMMON) tests/camera,$(call room_lib,$(r)))

.PHONY: all demo check check-tsan unit e2e lint format bench bench-access bench-archive bench-latency bench-fanout bench-api bench-panel crash-kill crash-power crash-full crash-stall crash-delete cluster-test fuzz deps deps-test install clean help tests FORCE
.SECONDARY:
.DELETE_ON_ERROR:
all: $(BINS) $(CPANEL_LIBS)

help:
	@sed -n '/^#/!q;s/^# \{0,1\}//p' Makefile

# Objects are rebuilt when the compiler or its flags change.
FLAGS := $(CC) $(CPPFLAGS) $(CFLAGS)
$(B)/flags: FORCE
	@mkdir -p $(@D); echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' > $@
$(B)/obj/master/version.o: CPPFLAGS += -DMS_VERSION='"$(VERSION)"' -DMS_REVISION='"$(REVISION)"'
$(B)/version: FORCE
	@mkdir -p $(@D); echo '$(VERSION) $(REVISION)' | cmp -s - $@ || echo '$(VERSION) $(REVISION)' > $@
$(B)/obj/master/version.o: $(B)/version

$(B)/obj/%.o: %.c $(B)/flags
	@mkdir -p $(@D); echo '  CC   $<'
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

define ROOM_RULE
$(call room_lib,$(1)): $(call obj,$(call room_src,$(1))) | $(B)/lib
	@rm -f $$@
	$(Q)ar rcsD $$@ $$(filter %.o,$$^)
endef
$(foreach r,$(ROOMS),$(eval $(call ROOM_RULE,$(r))))
$(B)/lib $(B)/bin:
	@mkdir -p $@

define PROG_RULE
$(B)/bin/$(1): $(call obj,$(ROOM_$(1))/main.c $(wildcard $(ROOM_$(1))/version.c)) $(foreach r,$(ROOM_$(1)) $(WITH_$(1)) $(COMMON),$(call room_lib,$(r))) | $(B)/bin
	@echo '  LD   $$@'
	$(Q)$(CC) $(LDFLAGS) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $(LIBS_$(1))
endef
$(foreach p,$(PROGS),$(eval $(call PROG_RULE,$(p))))

$(B)/test/%: $(B)/obj/tests/unit/%.o $(TEST_LIBS)
	@mkdir -p $(@D); echo '  LD   $@'
	$(Q)$(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(TEST_LIBS) -Wl,--end-group $(LIBS_TEST)

# A fuzz target is run over its corpus by our own driver; SAN=fuzz links libFuzzer instead.
FUZZ_MAIN := $(if $(filter fuzz,$(SAN)),-fsanitize=fuzzer,$(B)/obj/tests/fuzz/driver.o)
$(B)/fuzz/%: $(B)/obj/tests/fuzz/%.o $(filter %.o,$(FUZZ_MAIN)) $(TEST_LIBS)
	@mkdir -p $(@D); echo '  LD   $@'
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(FUZZ_MAIN) -Wl,--start-group $(TEST_LIBS) -Wl,--end-group $(LIBS_TEST)

# Programs that measure: linked as the unit tests are.
$(B)/bench/%: $(B)/obj/tests/bench/%.o $(TEST_LIBS)
	@mkdir -p $(@D); echo '  LD   $@'
	$(Q)$(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(TEST_LIBS) -Wl,--end-group $(LIBS_TEST)

cpanel/lib/%: cpanel/node_modules/hls.js/dist/%
	@mkdir -p $(@D); echo '  CP   $@'
	$(Q)cp $< $@

cpanel/lib/uPlot.%: cpanel/node_modules/uplot/dist/uPlot.%
	@mkdir -p $(@D); echo '  CP   $@'
	$(Q)cp $< $@

cpanel/lib/uPlot.LICENSE: cpanel/node_modules/uplot/LICENSE
	$(Q)mkdir -p $(@D); cp $< $@

cpanel/lib/hls.js.LICENSE: cpanel/node_modules/hls.js/LICENSE
	$(Q)mkdir -p $(@D); cp $< $@

tests: $(TESTS) $(FUZZERS)
unit: all tests
	scripts/run-unit $(B)

cluster-test: all
	ROUNDS=$(or $(ROUNDS),50) scripts/run-cluster $(B) $(PYTEST_ARGS)

e2e: all
	scripts/run-e2e $(B) $(PYTEST_ARGS)

lint:
	scripts/lint

format:
	git ls-files '*.c' '*.h' | xargs clang-format-14 -i

deps:
	scripts/deps build
deps-test:
	scripts/deps test

demo: deps
	$(MAKE) -j$(shell nproc) all
	scripts/demo $(B)

check:
	scripts/check

crash-delete: $(B)/bench/footage
crash-kill crash-power crash-full crash-stall crash-delete: all
	scripts/make-media $(O)/media tiny.h264
	MS_BUILD=$(B) MS_MEDIA=$(O)/media PYTHONDONTWRITEBYTECODE=1 tests/crash/$(@:crash-%=%).py "$(N)" "$(SEED)"

check-tsan:
	$(MAKE) SAN=tsan all tests
	scripts/check-tsan $(O)/tsan

BENCHES := $(B)/bench/index_figures $(B)/bench/footage $(B)/bench/token_timing
bench: all $(BENCHES)
	scripts/bench $(B) $(BENCH_ARGS)

# The archive's figures: more of them are named here.
bench-archive: all $(BENCHES)
	scripts/bench $(B) --only index,check,archive,tls $(BENCH_ARGS)

bench-fanout: all $(BENCHES)
	scripts/bench $(B) --only fanout,siege $(BENCH_ARGS)

bench-access: all $(BENCHES)
	scripts/bench $(B) --only access $(BENCH_ARGS)

bench-api: all
	scripts/bench $(B) --only api,metrics,beside,panel $(BENCH_ARGS)

bench-panel: all
	scripts/bench $(B) --only panel $(BENCH_ARGS)

bench-latency: all
	scripts/bench $(B) --only latency,siege $(BENCH_ARGS)

fuzz:
	$(MAKE) SAN=fuzz tests
	scripts/run-fuzz $(O)/fuzz $(FUZZ_SECONDS)

install: all
	B=$(B) DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) SYSCONFDIR=$(SYSCONFDIR) LOCALSTATEDIR=$(LOCALSTATEDIR) scripts/install

clean:
	rm -rf $(O)

-include $(patsubst %.o,%.d,$(call obj,$(SRC) $(TEST_SRC) $(FUZZ_SRC) $(wildcard tests/fuzz/driver.c)))
