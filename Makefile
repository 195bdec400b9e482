# Plaza. Non-recursive; objects and generated files live in build/$(PROFILE)/.
#   make [PROFILE=release|asan|coverage] [V=1]     build everything
#   make run | test                                 deploy/run, deploy/test
#   make check-unit check-sql check-api check-rt check-style check-layers check-headers check-docs check-interop check-interop-brokers fuzz
#   make install uninstall DESTDIR= PREFIX=/usr

PROFILE ?= release
PREFIX  ?= /usr
DESTDIR ?=
B       := build/$(PROFILE)
VERSION := $(shell sed -n 's/^\#\# \[\([0-9.]*\)\].*/\1/p' CHANGELOG.md 2>/dev/null | head -n 1)
Q       := $(if $(V),,@)
say      = $(if $(V),,@printf '  %-7s %s\n' "$(1)" "$(2)")

CC ?= cc
ifeq ($(origin CC),default)
CC := gcc
endif

PKG_LIB   := libpq jansson libjwt libargon2 hiredis libmosquitto libcrypto libsystemd libmagic libutf8proc libcurl
PKG_FLAGS := $(shell pkg-config --cflags $(PKG_LIB))
LIBS_DB   := $(shell pkg-config --libs libpq)
LIBS_JSON := $(shell pkg-config --libs jansson)
LIBS_TOK  := $(shell pkg-config --libs libjwt libcrypto)
LIBS_APP  := $(shell pkg-config --libs $(PKG_LIB))
VIPS_FLAGS = $(shell pkg-config --cflags vips)
VIPS_LIBS  = $(shell pkg-config --libs vips)

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla -Walloca -Wwrite-strings -Wformat=2 -Wimplicit-fallthrough -Wundef \
	-Werror=format-security -Werror=implicit -Werror=incompatible-pointer-types -Werror=int-conversion
GCC_WARN := -Warith-conversion -Wtrampolines -Wbidi-chars=any -Wstack-usage=32768 -Wformat-truncation=1 -Wuse-after-free=3
HARDEN = -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -ftrivial-auto-var-init=$(if $(IS_CLANG),pattern,zero) \
	-fno-strict-aliasing -fno-strict-overflow -fno-delete-null-pointer-checks -fno-common \
	-ffile-prefix-map=$(CURDIR)=.
LDHARDEN := -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code,--as-needed

OPT_release  := -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
OPT_asan     := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OPT_coverage := -O0 -g --coverage
IS_CLANG := $(findstring clang,$(CC))

CPPFLAGS += -D_GNU_SOURCE -DPLAZA_VERSION='"$(VERSION)"' -DPLAZA_PREFIX='"$(PREFIX)"' \
	-Ifcgi -Irealtime -I$(B)/gen -include fcgi/base/banned.h
CFLAGS   += -std=c11 $(OPT_$(PROFILE)) $(WARN) $(if $(IS_CLANG),,$(GCC_WARN)) $(HARDEN) -fPIC $(if $(WERROR),-Werror)
LDFLAGS  += $(OPT_$(PROFILE)) -pie $(LDHARDEN)

src = $(sort $(wildcard $(1)))
obj = $(patsubst %.c,$(B)/%.o,$(1))

BASE_SRC   := $(call src,fcgi/base/*.c)
IO_SRC     := $(call src,fcgi/io/*.c)
APP_SRC    := $(call src,fcgi/http/*.c fcgi/api/*.c)
FCGI_SRC   := fcgi/main.c $(call src,fcgi/door/*.c)
INGEST_SRC := $(call src,realtime/ingest/*.c)
RELAY_SRC  := $(call src,realtime/relay/*.c)
CTL_SRC    := $(call src,fcgi/ctl/*.c)
IMAGE_SRC  := fcgi/tools/plaza-image.c
PLUGIN_SRC := $(call src,realtime/plugin/*.c)
TOPICS_SRC := $(call src,realtime/*.c)
QUERIES    := $(call src,sql/queries/*.sql)
GEN_O      := $(B)/gen/queries.o

LIB := $(B)/libplaza.a
PROGRAMS := $(if $(wildcard fcgi/main.c),plaza-fcgi) $(if $(INGEST_SRC),plaza-ingest) \
	$(if $(RELAY_SRC),plaza-relay) $(if $(CTL_SRC),plazactl) $(if $(wildcard $(IMAGE_SRC)),plaza-image)
BIN := $(foreach p,$(PROGRAMS),$(B)/$(p))

.PHONY: all
all: $(BIN) $(if $(PLUGIN_SRC),$(B)/plaza.so)

.DELETE_ON_ERROR:

$(B)/%.o: %.c $(B)/flags | $(B)/gen/queries.h
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(PKG_FLAGS) $(EXTRA_FLAGS) -MMD -MP -c -o $@ $<

# Its sandbox and its limit of memory leave no room for a sanitizer.
NO_SANITIZER := $(if $(filter asan,$(PROFILE)),-fno-sanitize=all)
$(B)/fcgi/tools/plaza-image.o: EXTRA_FLAGS = $(VIPS_FLAGS) $(NO_SANITIZER)

# Any change of compiler or flags rebuilds.
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)' | cmp -s - $@ || echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)' >$@
FORCE:

# --- generated statements -------------------------------------------------
MKQ := $(B)/mkqueries
$(MKQ): fcgi/tools/mkqueries.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,HOSTCC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $<

# A file that came or went counts as a change, whatever its date.
$(B)/queries.list: FORCE
	@mkdir -p $(@D)
	@echo '$(QUERIES)' | cmp -s - $@ || echo '$(QUERIES)' >$@
$(B)/gen/queries.h: $(MKQ) $(QUERIES) $(B)/queries.list | $(B)/gen
	$(call say,GEN,$(B)/gen/queries.[ch])
	$(Q)$(MKQ) $(B)/gen/queries.h $(B)/gen/queries.c $(QUERIES)
$(B)/gen/queries.c: $(B)/gen/queries.h ;
$(GEN_O): $(B)/gen/queries.c $(B)/flags
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
$(B)/gen:
	@mkdir -p $@

# --- programs ---------------------------------------------------------------
$(LIB): $(call obj,$(BASE_SRC) $(IO_SRC) $(TOPICS_SRC)) $(GEN_O)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar crs $@ $^

define link
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(1)
endef

$(B)/plaza-fcgi: $(call obj,$(FCGI_SRC) $(APP_SRC)) $(LIB)
	$(call link,-lfcgi $(LIBS_APP))
$(B)/plaza-ingest: $(call obj,$(INGEST_SRC) $(APP_SRC)) $(LIB)
	$(call link,$(LIBS_APP))
$(B)/plaza-relay: $(call obj,$(RELAY_SRC)) $(LIB)
	$(call link,$(LIBS_APP))
$(B)/plazactl: $(call obj,$(CTL_SRC)) $(LIB)
	$(call link,$(LIBS_APP))
$(B)/plaza-image: $(call obj,$(IMAGE_SRC))
	$(call link,$(NO_SANITIZER) $(VIPS_LIBS))

# The broker opens the plugin: a shared object of the verifying half of the library only.
PLUGIN_IO := token claims keys digest conf json json_write
PLUGIN_MAP := realtime/plugin/plugin.map
$(B)/plaza.so: $(call obj,$(PLUGIN_SRC) realtime/topics.c $(BASE_SRC) $(PLUGIN_IO:%=fcgi/io/%.c)) $(PLUGIN_MAP)
	$(call say,LINK,$@)
	$(Q)$(CC) $(filter-out -pie,$(LDFLAGS)) -shared -Wl,--version-script=$(PLUGIN_MAP) -o $@ \
		$(filter %.o,$^) $(LIBS_JSON) $(LIBS_TOK)

-include tests/module.mk
-include deploy/module.mk

.PHONY: run test clean
run:
	deploy/run
test:
	deploy/test
clean:
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
