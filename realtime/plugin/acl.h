/*
 * Who may subscribe, read and write what. The token's filters decide: a
 * subscription must lie inside one, a message must match one at the moment it
 * is delivered or sent, and only while the token lives. Users write nothing but
 * known uplinks, at a bounded rate, never retained and never with QoS 2.
 */
#ifndef PLAZA_PLUGIN_ACL_H
#define PLAZA_PLUGIN_ACL_H

struct mosquitto_evt_acl_check;
struct plugin;

/* MOSQ_ERR_SUCCESS or MOSQ_ERR_ACL_DENIED. */
int acl_check(struct plugin *pl, const struct mosquitto_evt_acl_check *ed);

#endif
