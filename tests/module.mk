# Checks. Included by the Makefile; every output lies below $(B) or next to it.

# --- what a test is linked with ---------------------------------------------
# Every unit test and fuzz target is a program of its own. It gets the library,
# and of the rest what the headers it includes belong to; never a main().
including = $(basename $(notdir $(shell grep -lE '^.include "($(1))' /dev/null \
	$(wildcard tests/unit/test_*.c tests/fuzz/fuzz_*.c))))
USE_APP    := $(call including,(http|api|door|ingest)/)
USE_RT     := $(call including,(topics|events)\.h|(http|api|door|ingest|relay|plugin)/)
USE_DOOR   := $(call including,door/)
USE_INGEST := $(call including,ingest/)
USE_RELAY  := $(call including,relay/)
USE_PLUGIN := $(call including,plugin/)
part        = $(if $(filter $(1),$(2)),$(filter-out %/main.o,$(call obj,$(3))))
test_objs   = $(call part,$(1),$(USE_APP),$(APP_SRC)) \
	$(call part,$(1),$(USE_RT),$(call src,realtime/*.c)) \
	$(call part,$(1),$(USE_DOOR),$(FCGI_SRC)) \
	$(call part,$(1),$(USE_INGEST),$(INGEST_SRC)) \
	$(call part,$(1),$(USE_RELAY),$(RELAY_SRC)) \
	$(call part,$(1),$(USE_PLUGIN),$(PLUGIN_SRC))

# --- unit tests -------------------------------------------------------------
UNIT     := $(patsubst %.c,%,$(notdir $(call src,tests/unit/test_*.c)))
UNIT_BIN := $(addprefix $(B)/tests/unit/,$(UNIT))

# The clock of the pretended broker is the test's, and that of keys and counters.
WRAP_PLUGIN := -Wl,--wrap=clock_unix_s,--wrap=clock_mono_us
WRAP_MONO   := -Wl,--wrap=clock_mono_us
# Connections that confirm when the test wants it.
WRAP_MQTT   := $(foreach f,new stop free connected publish confirmed confirmed_count pending,-Wl,--wrap=mqtt_$(f))

define unit_rule
$(B)/tests/unit/$(1): $(B)/tests/unit/$(1).o $(call test_objs,$(1)) $$(LIB)
	$$(call link,-lcmocka $(if $(filter $(1),$(USE_DOOR)),-lfcgi) \
		$(if $(filter $(1),$(USE_PLUGIN)),$$(WRAP_PLUGIN)) \
		$(if $(filter $(1),test_io_keys test_http_tally),$$(WRAP_MONO)) \
		$(if $(filter $(1),test_io_brokers),$$(WRAP_MQTT)) $$(LIBS_APP))
endef
$(foreach t,$(UNIT),$(eval $(call unit_rule,$(t))))

.PHONY: check-unit
check-unit: $(UNIT_BIN) $(B)/plaza-image
	$(Q)tests/lib/run-unit.sh $(B)/tests/unit $(UNIT)

# --- fuzzing ----------------------------------------------------------------
# The library is built once more with clang and its sanitizers, in a profile of
# its own; each tests/fuzz/fuzz_*.c is linked with it.
OPT_fuzz     := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer
FUZZ         := $(patsubst %.c,%,$(notdir $(call src,tests/fuzz/fuzz_*.c)))
FUZZ_BIN     := $(addprefix $(B)/tests/fuzz/,$(FUZZ))
FUZZ_SECONDS ?= 60
FUZZ_JOBS    ?= 2

define fuzz_rule
$(B)/tests/fuzz/$(1): $(B)/tests/fuzz/$(1).o $(call test_objs,$(1)) $$(LIB)
	$$(call link,-fsanitize=fuzzer $(if $(filter $(1),$(USE_DOOR)),-lfcgi) \
		$(if $(filter $(1),$(USE_PLUGIN)),$$(WRAP_PLUGIN)) $$(LIBS_APP))
endef
$(foreach t,$(FUZZ),$(eval $(call fuzz_rule,$(t))))

.PHONY: fuzz fuzz-build fuzz-run fuzz-programs
fuzz fuzz-build:
	$(Q)$(MAKE) --no-print-directory PROFILE=fuzz CC=clang B=$(dir $(B))fuzz \
		$(if $(filter fuzz,$@),fuzz-run,fuzz-programs)
fuzz-programs: $(FUZZ_BIN)
fuzz-run: $(FUZZ_BIN)
	$(Q)tests/lib/run-fuzz.sh $(B)/tests/fuzz $(FUZZ_SECONDS) $(FUZZ_JOBS) $(FUZZ)

# --- what the plugin costs the broker ----------------------------------------
$(B)/tests/load/acl_bench: $(B)/tests/load/acl_bench.o $(call obj,$(PLUGIN_SRC)) $(LIB)
	$(call link,$(LIBS_APP))
.PHONY: bench-plugin
bench-plugin: $(B)/tests/load/acl_bench
	$(Q)$<

# --- many devices -------------------------------------------------------------
# load measures everything that has a target, in LOAD_DIR; check-load only that the player works and nothing is lost.
LOAD_DIR ?= $(CURDIR)/.load
SWARM    := $(B)/tests/load/swarm
$(SWARM): $(patsubst %,$(B)/tests/load/%.o,swarm swarm_device swarm_net)
	$(call link,)
.PHONY: load check-load
load: all $(SWARM)
	$(Q)tests/load/run up $(LOAD_DIR) && tests/load/run targets $(LOAD_DIR)
check-load: all $(SWARM)
	$(Q)dir=$$(mktemp -d /tmp/plaza-load.XXXXXX) && chmod 755 $$dir && \
		PLAZA_PROFILE=$(PROFILE) tests/load/run short $$dir && rm -rf $$dir

# --- rules of the source ----------------------------------------------------
ALL_C := $(call src,fcgi/*.c fcgi/*/*.c realtime/*.c realtime/*/*.c tests/*/*.c)
ALL_H := $(call src,fcgi/*/*.h realtime/*.h realtime/*/*.h tests/*/*.h)
SRC_C := $(filter-out tests/%,$(ALL_C))
SRC_H := $(filter-out tests/%,$(ALL_H))
LINT_FLAGS = $(CPPFLAGS) $(PKG_FLAGS) $(VIPS_FLAGS) -std=c11
JOBS  ?= 2

.PHONY: check-layers check-headers check-style
.PHONY: check-format check-tidy check-cppcheck check-analyzer check-length
check-layers:
	$(Q)tests/lib/check-layers.sh

check-headers: $(B)/gen/queries.h
	$(Q)for h in $(patsubst fcgi/%,%,$(patsubst realtime/%,%,$(SRC_H))); do \
		printf '#include "%s"\n#include "%s"\nextern int alone;\n' "$$h" "$$h" | \
		$(CC) $(LINT_FLAGS) $(WARN) -Werror -fsyntax-only -x c - || \
		{ echo "$$h does not compile alone"; exit 1; }; done
	@echo "check-headers: $(words $(SRC_H)) headers compile alone"

check-style: check-format check-length check-cppcheck check-tidy check-analyzer

check-format:
	$(Q)clang-format --dry-run -Werror $(ALL_C) $(ALL_H)
	@echo "check-format: $(words $(ALL_C) $(ALL_H)) files"

check-length:
	$(Q)tests/lib/check-length.sh $(SRC_C) $(SRC_H)

# The gate is about bugs; what clang-format and the compilers already say is left out.
check-cppcheck: $(B)/gen/queries.h
	$(Q)cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
		--error-exitcode=1 -j $(JOBS) --suppressions-list=tests/lib/cppcheck.txt \
		-D_GNU_SOURCE -DPLAZA_VERSION='""' -DPLAZA_PREFIX='""' \
		-Ifcgi -Irealtime -I$(B)/gen $(SRC_C)
	@echo "check-cppcheck: $(words $(SRC_C)) files"

check-tidy: $(B)/gen/queries.h
	$(Q)printf '%s\n' $(SRC_C) | xargs -P $(JOBS) -n 1 tests/lib/tidy.sh $(LINT_FLAGS)
	@echo "check-tidy: $(words $(SRC_C)) files"

check-analyzer: $(B)/gen/queries.h
	$(Q)printf '%s\n' $(SRC_C) | xargs -P $(JOBS) -I@ gcc $(LINT_FLAGS) -O2 -fanalyzer -Werror \
		-c -o /dev/null @
	@echo "check-analyzer: $(words $(SRC_C)) files"
-include tests/sql/module.mk

# --- documents --------------------------------------------------------------
# Printed by the programs and committed; check-docs fails when the two differ, and lints the manual.
DOCS := etc/openapi.json etc/openapi-livemarket.json etc/openapi-ecommerce.json etc/asyncapi.json etc/plaza.conf fcgi/plaza.conf.5
.PHONY: docs check-docs
docs: $(B)/plaza-fcgi $(B)/plaza-relay
	$(Q)tests/lib/docs.sh $(B) .
check-docs: $(B)/plaza-fcgi $(B)/plaza-relay
	$(Q)rm -rf $(B)/docs && tests/lib/docs.sh $(B) $(B)/docs
	$(Q)for f in $(DOCS); do cmp -s $$f $(B)/docs/$$f || { echo "$$f is stale: make docs"; exit 1; }; done
	$(Q)mandoc -T lint -W warning $(MAN8) $(MAN5)
	@echo "check-docs: $(words $(DOCS)) documents and $(words $(MAN8) $(MAN5)) manual pages are as printed"
-include tests/suites.mk
