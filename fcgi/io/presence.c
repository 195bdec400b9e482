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
	struct str *live, *idle;
	size_t live_n, idle_n;

	if (cache_zlive(c, a, presence_key(a, "pres", user), &live, &live_n) != CACHE_OK)
		return NULL;
	if (live_n == 0)
		return "offline";
	if (cache_zlive(c, a, presence_key(a, "idle", user), &idle, &idle_n) != CACHE_OK)
		return NULL;
	return idle_n >= live_n ? "idle" : "online";
}

int64_t
presence_idle_since(struct cache *c, struct arena *a, const struct uuid *user)
{
	struct str text = { 0 };
	int64_t since = 0;

	(void)cache_get(c, a, presence_key(a, "since", user), &text);
	return str_i64(text, &since) ? since : 0;
}
