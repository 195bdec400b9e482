# Suites around a running stack. Included by tests/module.mk.
# Each starts one with deploy/run, which builds the programs of this profile.
# check-contract joins the exchanges of the suites that have run before it.
SUITE_ENV = PLAZA_PROFILE=$(PROFILE) $(if $(WEB),WEB=$(WEB)) \
	$(if $(filter asan,$(PROFILE)),ASAN_OPTIONS=abort_on_error=0:detect_leaks=1:allocator_may_return_null=1)
SUITE     = $(SUITE_ENV) tests/lib/run-suite.sh $(B)
CONTRACT  = /usr/bin/python3 tests/lib/contract.py $(B)/openapi.json $(B)/asyncapi.json $(B)/routes.txt $(OLDER)

OLDER     = $(B)/openapi-livemarket.json $(B)/openapi-ecommerce.json
PRINTED   = $(B)/openapi.json $(OLDER) $(B)/asyncapi.json $(B)/routes.txt

# More brokers than one: BROKERS=3 for any suite; check-brokers has three.
export PLAZA_BROKERS ?= $(BROKERS)

.PHONY: check-api check-rt check-faults check-brokers check-contract
check-api: all $(PRINTED)
	$(Q)$(SUITE) api $(ARGS)
	$(Q)$(CONTRACT) $(B)/exchanges/api* --partial
check-rt: all $(PRINTED)
	$(Q)$(SUITE) realtime $(ARGS)
	$(Q)$(CONTRACT) $(B)/exchanges/realtime* --partial
check-faults: all $(PRINTED)
	$(Q)$(SUITE) faults $(ARGS)
	$(Q)$(CONTRACT) $(B)/exchanges/faults* --partial
# The same, longer: FAULT_ROUNDS times as many faults.
.PHONY: faults
faults: export FAULT_ROUNDS ?= 5
faults: check-faults
check-brokers: all $(PRINTED)
	$(Q)PLAZA_BROKERS=3 $(SUITE) brokers $(ARGS)
	$(Q)$(CONTRACT) $(B)/exchanges/brokers* --partial
check-contract: $(PRINTED)
	$(Q)$(CONTRACT) $(B)/exchanges/*
	@echo "check-contract: every operation, problem and message was seen"

$(B)/openapi.json: $(B)/plaza-fcgi
	$(Q)$< -x openapi >$@
$(OLDER): $(B)/%.json: $(B)/plaza-fcgi
	$(Q)$< -x $* >$@
$(B)/routes.txt: $(B)/plaza-fcgi
	$(Q)$< -x routes >$@
$(B)/asyncapi.json: $(if $(RELAY_SRC),$(B)/plaza-relay)
	$(Q)$(if $<,$< -x asyncapi,echo '{}') >$@

# Programs of other people. Their versions are pinned; npm fetches them once.
INTEROP := tests/interop/node_modules/.package-lock.json
.PHONY: check-interop
check-interop: all $(PRINTED) $(INTEROP)
	$(Q)$(SUITE_ENV) tests/interop/run.sh $(B)
# The same library at three brokers.
.PHONY: check-interop-brokers
check-interop-brokers: all $(INTEROP)
	$(Q)$(SUITE_ENV) tests/interop/brokers/run.sh
$(INTEROP): tests/interop/package-lock.json
	$(call say,NPM,$(@D))
	$(Q)npm ci --prefix tests/interop --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error
	$(Q)touch $@
