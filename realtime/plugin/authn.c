/* Logins: judging the token or the secret, and opening the connection. */
#include "plugin/authn.h"

#include "base/check.h"
#include "io/digest.h"
#include "io/token.h"
#include "plugin/plugin.h"
#include "plugin/revoke.h"

_Static_assert((int)TR_CLIENT == ROLE_CLIENT && (int)TR_SELLER == ROLE_SELLER &&
		       (int)TR_ADMIN == ROLE_ADMIN && (int)TR_MODERATOR == ROLE_MODERATOR &&
		       (int)TR_SERVICE == ROLE_SERVICE,
	"a role has one number");

#define SETTLE_S 2 /* time to subscribe, before a token that ends soon is warned of */
#define TICK_MISSING_US ((int64_t)10 * 1000000)

/* A login under judgement. */
struct login {
	struct mosquitto *ctx;
	const char *client_id, *username, *password;
	struct claims claims;
	const char *why; /* it is refused */
};

static bool
refuse(struct login *l, const char *why)
{
	l->why = why;
	return false;
}

/* A token may not claim more than the table of topics gives its role. */
static bool
acl_plausible(const struct claims *c)
{
	struct topic_subject who = { .uid = c->sub, .role = (unsigned)c->role };

	for (size_t i = 0; i < c->sub_acl_n; i++) {
		if (!topic_grant_plausible(&who, TOPIC_SUB, c->sub_acl[i]))
			return false;
	}
	for (size_t i = 0; i < c->pub_acl_n; i++) {
		if (!topic_grant_plausible(&who, TOPIC_PUB, c->pub_acl[i]))
			return false;
	}
	return true;
}

static bool
names_fit(const struct login *l)
{
	char uid[UUID_TEXT + 1];

	uuid_text(&l->claims.sub, uid);
	return strcmp(l->username, uid) == 0 && strncmp(l->client_id, uid, UUID_TEXT) == 0 &&
	       l->client_id[UUID_TEXT] == '_' &&
	       strcmp(l->client_id + UUID_TEXT + 1, l->claims.did) == 0;
}

static bool
judge_user(struct plugin *pl, struct login *l)
{
	/* One byte more than a token may have is enough to see that it is too long. */
	struct str token = { l->password, strnlen(l->password, TOKEN_MAX + 1) };
	struct err err;

	err_clear(&err);
	if (token_verify(pl->keys, pl->arena, token, "mqtt", pl->now_s, &l->claims, &err))
		return refuse(l, arena_printf(pl->arena, "%s", err.log));
	if (!names_fit(l))
		return refuse(l, "user name or client id is not that of the token");
	if (revocations_hit(pl->revocations, &l->claims.sub, l->claims.did, l->claims.iat))
		return refuse(l, "revoked token");
	if (!acl_plausible(&l->claims))
		return refuse(l, "the token claims topics that its role has not");
	return true;
}

static bool
is_backend(const struct login *l)
{
	return strcmp(l->username, BACKEND_USERNAME) == 0;
}

static bool
judge(struct plugin *pl, struct login *l)
{
	if (!l->client_id || !l->username || !l->password)
		return refuse(l, "no client id, user name or password");
	/* A session that outlives its connection cannot be kicked without breaking the broker. */
	if (!mosquitto_client_clean_session(l->ctx))
		return refuse(l, "durable session");
	if (!is_backend(l))
		return judge_user(pl, l);
	if (!secret_eq(str_of(pl->secret), str_of(l->password)))
		return refuse(l, "wrong secret");
	return true;
}

/* Other devices of the user; an older connection of this one is about to go. */
static size_t
other_devices(const struct plugin *pl, const struct claims *c)
{
	const struct conn *conn = NULL;
	size_t n = 0;

	while ((conn = conns_of_user(&pl->conns, &c->sub, conn)))
		n += !conn->superseded && strcmp(conn->did, c->did) != 0;
	return n;
}

static struct conn *
open_user(struct plugin *pl, const struct login *l)
{
	const struct claims *c = &l->claims;
	int64_t warn_s = c->exp - EXPIRY_WARN_S;

	return conns_open(&pl->conns,
		&(struct conn_ticket){
			.ctx = l->ctx,
			.websocket = mosquitto_client_protocol(l->ctx) == mp_websockets,
			.uid = c->sub,
			.did = c->did,
			.iat = c->iat,
			.exp = c->exp,
			.due_s = warn_s > pl->now_s + SETTLE_S ? warn_s : pl->now_s + SETTLE_S,
			.sub = c->sub_acl,
			.sub_n = c->sub_acl_n,
			.pub = c->pub_acl,
			.pub_n = c->pub_acl_n,
		});
}

static struct conn *
open_backend(struct plugin *pl, const struct login *l)
{
	struct topic_subject who = { .role = TR_BACKEND };
	struct topic_grants g;

	topics_grants(pl->arena, &who, &g);
	return conns_open(&pl->conns, &(struct conn_ticket){
					      .ctx = l->ctx,
					      .backend = true,
					      .sub = g.sub,
					      .sub_n = g.sub_n,
					      .pub = g.pub,
					      .pub_n = g.pub_n,
				      });
}

/* Without ticks nobody is ever kicked: per_listener_settings takes them from a plugin. */
static bool
has_ticks(const struct plugin *pl)
{
	return pl->now_us - pl->tick_us < TICK_MISSING_US;
}

static bool
admit(struct plugin *pl, struct login *l)
{
	if (!has_ticks(pl))
		return refuse(l, "the broker does not tick; set per_listener_settings false");
	if (!judge(pl, l))
		return false;
	if (!is_backend(l) && other_devices(pl, &l->claims) >= DEVICES_PER_USER)
		return refuse(l, "too many devices of one user");

	struct conn *conn = is_backend(l) ? open_backend(pl, l) : open_user(pl, l);

	if (!conn)
		return refuse(l, "out of memory or connections");
	presence_up(pl, conn);
	return true;
}

/*
 * After a reload the broker asks again about every session it knows, and ends
 * those we refuse. Ending one that is offline (MQTT 5: clean start with an
 * expiry) would put it into the broker's expiry list twice and crash it later.
 * It has no connection here, hence no rights; so it may stay.
 */
static bool
is_offline_session(const struct plugin *pl, const struct login *l, const struct conn *conn)
{
	return pl->reloading && has_ticks(pl) && (!conn || conn->state == CONN_CLOSED) &&
	       mosquitto_client_protocol(l->ctx) != mp_websockets;
}

static bool
same_subject(const struct conn *conn, const struct login *l)
{
	if (conn->backend || is_backend(l))
		return conn->backend && is_backend(l);
	return uuid_eq(&conn->uid, &l->claims.sub) && strcmp(conn->did, l->claims.did) == 0;
}

/* Takes a stale entry of this pointer away; its end was not reported. */
static void
forget_stale(struct plugin *pl, struct conn *conn)
{
	if (conn->state != CONN_CLOSED) {
		conns_close(&pl->conns, conn);
		presence_down(pl, conn, NULL);
	}
	conns_forget(&pl->conns, conn);
}

static bool
decide(struct plugin *pl, struct login *l)
{
	struct conn *conn = conns_find(&pl->conns, l->ctx);

	if (is_offline_session(pl, l, conn))
		return true;
	if (pl->reloading && conn && conn->state != CONN_CLOSED)
		return judge(pl, l) && same_subject(conn, l);
	if (conn)
		forget_stale(pl, conn);
	return admit(pl, l);
}

int
authn_login(struct plugin *pl, const struct mosquitto_evt_basic_auth *ed)
{
	struct login l = {
		.ctx = ed->client,
		.client_id = mosquitto_client_id(ed->client),
		.username = ed->username,
		.password = ed->password,
		.why = "another subject",
	};

	if (decide(pl, &l))
		return MOSQ_ERR_SUCCESS;

	const char *address = mosquitto_client_address(ed->client);

	plugin_log(pl, MOSQ_LOG_NOTICE, "login of %.80s from %s refused: %s",
		l.client_id ? l.client_id : "nobody", address ? address : "nowhere", l.why);
	return MOSQ_ERR_AUTH;
}
