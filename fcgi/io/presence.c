/* Presence as it stands in Redis. */
#include "io/presence.h"

#include "io/cache.h"

struct str
presence_key(struct arena *a, const char *kind, const struct uuid *user)
{
	char text[UUID_TEXT + 1];

	uuid_text(user, text);
	return str_of(arena_printf(a, "plaza:%s:%s", kind, text));
}

const char *
presence_state(struct cache *c, struct arena *a, const struct uuid *user)
{
	enum { LIVE, IDLE, SETS };
	const struct str keys[SETS] = { presence_key(a, "pres", user),
		presence_key(a, "idle", user) };
	int64_t n[SETS];

	if (cache_zcount(c, keys, SETS, n) != CACHE_OK)
		return NULL;
	if (n[LIVE] == 0)
		return "offline";
	return n[IDLE] >= n[LIVE] ? "idle" : "online";
}

int64_t
presence_idle_since(struct cache *c, struct arena *a, const struct uuid *user)
{
	struct str text = { 0 };
	int64_t since = 0;

	(void)cache_get(c, a, presence_key(a, "since", user), &text);
	return str_i64(text, &since) ? since : 0;
}
