# Checks against a private PostgreSQL cluster. Included by tests/module.mk.
# Each test_*.c gets db*.c once more, compiled with statements of its own.
SQLT     := $(B)/tests/sql
SQLT_GEN := $(SQLT)/gen
SQLT_SQL := sql/queries/core.sql tests/sql/test_db.sql
SQLT_DB  := $(patsubst fcgi/io/%.c,$(SQLT)/%.o,$(call src,fcgi/io/db*.c))
SQLT_OBJ := $(SQLT)/queries.o $(SQLT_DB)
SQLT_BIN := $(patsubst %.c,$(B)/%,$(call src,tests/sql/test_*.c))

$(SQLT_GEN)/queries.h: $(MKQ) $(SQLT_SQL)
	@mkdir -p $(@D)
	$(call say,GEN,$(SQLT_GEN)/queries.[ch])
	$(Q)$(MKQ) $@ $(SQLT_GEN)/queries.c $(SQLT_SQL)
$(SQLT_GEN)/queries.c: $(SQLT_GEN)/queries.h ;

define sqlt_compile
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) -I$(SQLT_GEN) -I. $(CPPFLAGS) $(CFLAGS) $(PKG_FLAGS) -MMD -MP -c -o $@ $<
endef
$(SQLT_BIN:%=%.o): $(SQLT)/%.o: tests/sql/%.c $(B)/flags | $(SQLT_GEN)/queries.h
	$(sqlt_compile)
$(SQLT)/queries.o: $(SQLT_GEN)/queries.c $(B)/flags
	$(sqlt_compile)
$(SQLT_DB): $(SQLT)/%.o: fcgi/io/%.c $(B)/flags | $(SQLT_GEN)/queries.h
	$(sqlt_compile)

$(SQLT_BIN): %: %.o $(SQLT_OBJ) $(LIB)
	$(call link,-lcmocka $(LIBS_APP))
$(SQLT)/check_queries: $(SQLT)/check_queries.o $(LIB)
	$(call link,$(LIBS_APP))

.PHONY: check-sql
check-sql: $(SQLT_BIN) $(SQLT)/check_queries $(B)/plazactl
	$(Q)tests/sql/check $(SQLT)
