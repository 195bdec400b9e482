/*
 * Presence: what goes out on sys/pres (events.def). An edge for each device
 * that comes or goes, and once a minute all devices that are there, so that a
 * missed edge heals. plaza-ingest keeps the state; here is none.
 */
#ifndef PLAZA_PLUGIN_PRESENCE_H
#define PLAZA_PLUGIN_PRESENCE_H

#include <stddef.h>
#include <stdint.h>

struct conn;
struct plugin;

/* How far the snapshot is. */
struct presence {
	size_t bucket;    /* of conns.by_ctx, the next one to tell */
	int64_t cycle_us; /* when the running or next snapshot began or begins */
	int64_t next_us;  /* when its next part is due */
};

void presence_start(struct plugin *pl);
void presence_up(struct plugin *pl, const struct conn *conn);
/* Says nothing when the device has a newer connection. `reason` is NULL where the plugin had no
 * part in the end. */
void presence_down(struct plugin *pl, const struct conn *conn, const char *reason);
/* Tells the next part of the snapshot when it is due: a bounded piece of work. */
void presence_tick(struct plugin *pl);

#endif
