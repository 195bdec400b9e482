# Installation, the reader of the API document, checks of the deployment. Included by the Makefile.

SBIN   := $(DESTDIR)$(PREFIX)/sbin
LIBEX  := $(DESTDIR)$(PREFIX)/lib/plaza
SHARE  := $(DESTDIR)$(PREFIX)/share/plaza
MAN    := $(DESTDIR)$(PREFIX)/share/man
UNITS  := $(DESTDIR)$(PREFIX)/lib/systemd/system
SYSCONF := $(DESTDIR)/etc/plaza
UNIT_FILES := $(call src,deploy/systemd/*.service deploy/systemd/*.socket deploy/systemd/*.target)
SITE   ?= plaza.example
BROKERS ?= 1
MAN8   := $(call src,deploy/*.8 fcgi/*.8 fcgi/*/*.8 realtime/*.8 realtime/*/*.8)
MAN5   := $(call src,fcgi/*.5 fcgi/*/*.5 realtime/*.5 realtime/*/*.5)
READER := build/docs/swagger-ui-bundle.js
READER_PACKAGE := swagger-ui-dist@5.17.14
MQTT_JS := build/demo/mqtt.js
MQTT_PACKAGE := mqtt@5.16.0
CLIENT := realtime/client
PUT    := install -C -m 644

# The reader comes from npm once; it is never part of the project. Without it /docs is a plain list.
.PHONY: docs-reader
docs-reader: $(READER)
$(READER):
	$(call say,NPM,$(READER_PACKAGE))
	$(Q)mkdir -p build/npm $(@D)
	$(Q)npm install --prefix build/npm --ignore-scripts --no-audit --no-fund --loglevel=error \
		--fetch-retries=1 --fetch-timeout=20000 $(READER_PACKAGE) >/dev/null
	$(Q)cp build/npm/node_modules/swagger-ui-dist/swagger-ui.css $(@D)/
	$(Q)cp build/npm/node_modules/swagger-ui-dist/swagger-ui-bundle.js $@
	$(Q)rm -rf build/npm

# The demonstration page gets its MQTT the same way; without it the page polls.
.PHONY: demo-mqtt
demo-mqtt: $(MQTT_JS)
$(MQTT_JS):
	$(call say,NPM,$(MQTT_PACKAGE))
	$(Q)mkdir -p build/npm-demo $(@D)
	$(Q)npm install --prefix build/npm-demo --ignore-scripts --no-audit --no-fund --loglevel=error \
		--fetch-retries=1 --fetch-timeout=20000 $(MQTT_PACKAGE) >/dev/null
	$(Q)cp build/npm-demo/node_modules/mqtt/dist/mqtt.esm.js $@
	$(Q)rm -rf build/npm-demo

.PHONY: install install-programs install-data install-config install-systemd uninstall
install: install-programs install-data install-config install-systemd

install-programs: all
	$(Q)install -d $(SBIN) $(LIBEX)
	$(Q)for f in $(filter-out %/plaza-image,$(BIN)); do install -C -m 755 $$f $(SBIN)/; done
	$(Q)for f in $(filter %/plaza-image,$(BIN)); do install -C -m 755 $$f $(LIBEX)/; done
	$(Q)if [ -e $(B)/plaza.so ]; then install -C -m 644 $(B)/plaza.so $(LIBEX)/; fi

# A function that is gone from the source must not be applied again from an older installation.
install-data:
	$(Q)rm -rf $(SHARE)/sql
	$(Q)install -d $(SHARE)/docs $(SHARE)/demo/plaza/lib $(MAN)/man5 $(MAN)/man8 $(addprefix $(SHARE)/sql/,migrations functions views demo)
	$(Q)$(PUT) sql/bootstrap.sql $(SHARE)/sql/
	$(Q)for d in migrations functions views demo; do \
		for f in sql/$$d/*; do [ ! -f $$f ] || $(PUT) $$f $(SHARE)/sql/$$d/; done; done
	$(Q)$(PUT) etc/docs/* $(wildcard build/docs/*) $(SHARE)/docs/
	$(Q)$(PUT) $(CLIENT)/demo/* $(wildcard $(MQTT_JS)) $(SHARE)/demo/
	$(Q)$(PUT) $(CLIENT)/package.json $(CLIENT)/plaza.js $(CLIENT)/plaza.d.ts $(SHARE)/demo/plaza/
	$(Q)$(PUT) $(CLIENT)/lib/*.js $(SHARE)/demo/plaza/lib/
	$(Q)if [ -r /usr/share/dict/cracklib-small ] && [ deploy/mkpasswords -nt $(SHARE)/common-passwords.txt ]; \
		then deploy/mkpasswords $(SHARE)/common-passwords.txt; fi
	$(Q)for f in $(MAN8); do $(PUT) $$f $(MAN)/man8/; done
	$(Q)for f in $(MAN5); do $(PUT) $$f $(MAN)/man5/; done

# Existing configuration is left alone; the current form stands in share/plaza/etc.
install-config:
	$(Q)deploy/lib/install-config $(SHARE)/etc $(SYSCONF) $(PREFIX) $(SITE) $(BROKERS)

install-systemd:
	$(Q)install -d $(UNITS)/plaza-.service.d $(SBIN) $(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
	$(Q)install -C -m 755 deploy/plaza-setup $(SBIN)/
	$(Q)for f in $(UNIT_FILES); do sed -e 's,/usr/sbin/plaza,$(PREFIX)/sbin/plaza,g' \
		-e 's,/usr/lib/plaza,$(PREFIX)/lib/plaza,g' $$f >$(UNITS)/$${f##*/}; done
	$(Q)$(PUT) deploy/systemd/plaza-.service.d/hardening.conf $(UNITS)/plaza-.service.d/
	$(Q)$(PUT) deploy/systemd/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/plaza.conf
	$(Q)$(PUT) deploy/systemd/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/plaza.conf

# Configuration and data stay.
uninstall:
	rm -f $(addprefix $(SBIN)/,plaza-fcgi plaza-ingest plaza-relay plazactl plaza-setup)
	rm -f $(addprefix $(MAN)/man8/,$(notdir $(MAN8))) $(addprefix $(MAN)/man5/,$(notdir $(MAN5)))
	rm -f $(addprefix $(UNITS)/,$(notdir $(UNIT_FILES)) plaza-.service.d/hardening.conf)
	-rmdir $(UNITS)/plaza-.service.d
	rm -f $(DESTDIR)$(PREFIX)/lib/sysusers.d/plaza.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/plaza.conf
	rm -rf $(LIBEX) $(SHARE)

.PHONY: check-deploy check-front
check-deploy:
	$(Q)deploy/lib/check
# What nginx or Apache (WEB=) does by itself, in front of a running stack.
check-front: all
	$(Q)$(SUITE) front $(ARGS)
