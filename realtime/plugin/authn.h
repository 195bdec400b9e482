/*
 * Who may connect. A user brings a broker token as password, its uid as user
 * name and "{uid}_{did}" as client id: the broker ends the older connection of
 * an id, so a free choice of it would let anybody end anybody's. Plaza's own
 * programs come as "plaza-backend" with a shared secret.
 */
#ifndef PLAZA_PLUGIN_AUTHN_H
#define PLAZA_PLUGIN_AUTHN_H

struct mosquitto_evt_basic_auth;
struct plugin;

#define BACKEND_USERNAME "plaza-backend"

/* MOSQ_ERR_SUCCESS or MOSQ_ERR_AUTH. */
int authn_login(struct plugin *pl, const struct mosquitto_evt_basic_auth *login);

#endif
