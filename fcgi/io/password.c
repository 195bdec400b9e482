/* Passwords: argon2id hashes and the rules for new ones. */
#include "io/password.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <argon2.h>

#include "base/check.h"
#include "base/encode.h"
#include "base/rand.h"

#define COST_MEMORY_KIB 19456
#define COST_PASSES 2
#define COST_LANES 1
#define SALT_BYTES 16
#define TAG_BYTES 32

/* A stored hash may not ask for more than this: whoever can write one could stop the worker. */
#define MEMORY_KIB_MAX 262144
#define PASSES_MAX 16
#define LANES_MAX 4
#define PHC_MAX 255 /* bytes of a stored hash; ours have 97 */

#define LIST_MAX ((size_t)64 << 20) /* bytes of the list of common passwords */
#define CONTEXT_MIN 4               /* a shorter local part is no hint to a password */

#define TEXT(x) #x
#define VALUE(x) TEXT(x)

/*
 * What an unknown user is compared with: today's parameters, so the time is the
 * same. The tag belongs to no password, and the outcome is not looked at.
 */
static const char nobody[] = "$argon2id$v=19$m=" VALUE(COST_MEMORY_KIB) ",t=" VALUE(
	COST_PASSES) ",p=" VALUE(COST_LANES) "$AAAAAAAAAAAAAAAAAAAAAA"
					     "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

struct cost {
	uint32_t memory_kib;
	uint32_t passes;
	uint32_t lanes;
};

/* The mapped list of common passwords; absent when there is none. */
static struct str common;

/* -1, 0 or 1 as sort(1) orders in the C locale. */
static int
compare(struct str a, struct str b)
{
	int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return c ? c : (a.n > b.n) - (a.n < b.n);
}

static bool
is_lower(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] >= 'A' && s.p[i] <= 'Z')
			return false;
	return true;
}

/* A list that is not sorted would silently miss words, so it is read once as a whole. */
static enum problem
list_check(struct str list, const char *path, struct err *err)
{
	struct str last = STR("");
	struct str line;
	size_t number = 0;

	while (list.n > 0) {
		number++;
		if (!str_cut(list, '\n', &line, &list))
			return ERR(err, P_INTERNAL, "%s: the last line does not end", path);
		if (line.n == 0 || line.n > PASSWORD_MAX || !is_lower(line))
			return ERR(err, P_INTERNAL, "%s:%zu: empty, too long or not lower case",
				path, number);
		if (compare(last, line) >= 0)
			return ERR(err, P_INTERNAL, "%s:%zu: not in order", path, number);
		last = line;
	}
	return P_OK;
}

static enum problem
list_map(const char *path, struct str *out, struct err *err)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return ERR(err, P_INTERNAL, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
		(uintmax_t)st.st_size > LIST_MAX) {
		close(fd);
		return ERR(err, P_INTERNAL, "%s: not a file of 1 to %zu bytes", path, LIST_MAX);
	}

	size_t n = (size_t)st.st_size;
	void *p = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
	int why = errno;

	close(fd);
	if (p == MAP_FAILED)
		return ERR(err, P_INTERNAL, "%s: %s", path, strerror(why));
	*out = (struct str){ p, n };
	return P_OK;
}

static void
list_unmap(struct str list)
{
	if (list.p)
		CHECK(munmap((void *)list.p, list.n) == 0);
}

enum problem
password_init(const char *path, struct err *err)
{
	struct str list = { NULL, 0 };

	if (path && *path) {
		enum problem p = list_map(path, &list, err);
		if (p)
			return p;
		p = list_check(list, path, err);
		if (p) {
			list_unmap(list);
			return p;
		}
	}
	list_unmap(common);
	common = list;
	return P_OK;
}

/* Binary search over bytes: a probe is moved back to the start of its line. */
static bool
is_common(struct str word)
{
	size_t low = 0;
	size_t high = common.n;

	while (low < high) {
		size_t start = low + (high - low) / 2;

		while (start > low && common.p[start - 1] != '\n')
			start--;

		size_t end = str_find(common, '\n', start);
		int c = compare(word, str_sub(common, start, end));

		if (c == 0)
			return true;
		if (c < 0)
			high = start;
		else
			low = end + 1;
	}
	return false;
}

enum problem
password_hash(struct arena *a, struct str password, struct str *out, struct err *err)
{
	uint8_t salt[SALT_BYTES];
	char phc[PHC_MAX + 1];

	if (!password.p || password.n > PASSWORD_MAX)
		return ERR(err, P_INTERNAL, "password: absent or too long to hash");
	rand_bytes(salt, sizeof(salt));

	int rc = argon2id_hash_encoded(COST_PASSES, COST_MEMORY_KIB, COST_LANES, password.p,
		password.n, salt, sizeof(salt), TAG_BYTES, phc, sizeof(phc));
	if (rc == ARGON2_MEMORY_ALLOCATION_ERROR)
		return ERR(err, P_UNAVAILABLE, "password: no memory for a hash");
	if (rc != ARGON2_OK)
		return ERR(err, P_INTERNAL, "password: %s", argon2_error_message(rc));
	*out = str_dup(a, str_of(phc));
	return P_OK;
}

/* Reads "m=19456,t=2,p=1". */
static bool
read_cost(struct str s, struct cost *out)
{
	struct str m, t, p;

	if (!str_cut(s, ',', &m, &s) || !str_cut(s, ',', &t, &p))
		return false;
	if (!str_starts(m, "m=") || !str_starts(t, "t=") || !str_starts(p, "p="))
		return false;
	return str_u32(str_sub(m, 2, m.n), &out->memory_kib) &&
	       str_u32(str_sub(t, 2, t.n), &out->passes) &&
	       str_u32(str_sub(p, 2, p.n), &out->lanes);
}

/* False when it is no argon2id hash in PHC form that we are ready to compute. */
static bool
phc_cost(struct str hash, struct cost *out)
{
	static const char prefix[] = "$argon2id$v=19$";
	struct str params, rest;

	if (!hash.p || hash.n > PHC_MAX || !str_starts(hash, prefix))
		return false;
	if (!str_cut(str_sub(hash, sizeof(prefix) - 1, hash.n), '$', &params, &rest))
		return false;
	return read_cost(params, out) && out->memory_kib <= MEMORY_KIB_MAX &&
	       out->passes <= PASSES_MAX && out->lanes <= LANES_MAX;
}

static int
verify(struct str hash, struct str password)
{
	char phc[PHC_MAX + 1];

	memcpy(phc, hash.p, hash.n);
	phc[hash.n] = '\0';
	return argon2id_verify(phc, password.p, password.n);
}

bool
password_verify(struct str hash, struct str password, bool *rehash)
{
	struct cost cost;

	if (rehash)
		*rehash = false;
	/* The length is the caller's own; answering at once tells nothing about the user. */
	if (!password.p || password.n > PASSWORD_MAX)
		return false;

	int rc = phc_cost(hash, &cost) ? verify(hash, password) : ARGON2_DECODING_FAIL;

	if (rc == ARGON2_OK) {
		if (rehash)
			*rehash = cost.memory_kib < COST_MEMORY_KIB || cost.passes < COST_PASSES;
		return true;
	}
	/* Nothing was computed, so the time of one hash is still owed. */
	if (rc != ARGON2_VERIFY_MISMATCH)
		(void)verify(STR(nobody), password);
	return false;
}

static struct str
fold(struct str s, char room[PASSWORD_MAX])
{
	size_t n = s.n < PASSWORD_MAX ? s.n : PASSWORD_MAX;

	for (size_t i = 0; i < n; i++)
		room[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] + ('a' - 'A') : s.p[i]);
	return (struct str){ room, n };
}

/* Whether too little is left of the password when `word` is taken out of it. */
static bool
leans_on(struct str password, struct str word)
{
	size_t left = password.n;

	if (word.n < CONTEXT_MIN)
		return false;
	for (size_t i = 0; i + word.n <= password.n;) {
		if (memcmp(password.p + i, word.p, word.n) == 0) {
			left -= word.n;
			i += word.n;
		} else {
			i++;
		}
	}
	return left < PASSWORD_MIN && left < password.n;
}

enum problem
password_check(struct str password, struct str email, struct err *err)
{
	char room[PASSWORD_MAX];
	char email_room[PASSWORD_MAX];
	struct str local, domain;

	if (password.n > PASSWORD_MAX)
		return ERR_SAY(err, P_WEAK_PASSWORD, "longer than %d bytes", PASSWORD_MAX);
	if (!text_valid(password))
		return ERR_SAY(err, P_WEAK_PASSWORD, "not text");
	if (utf8_length(password) < PASSWORD_MIN)
		return ERR_SAY(err, P_WEAK_PASSWORD, "fewer than %d characters", PASSWORD_MIN);

	struct str word = fold(password, room);
	struct str address = fold(email, email_room);

	(void)str_cut(address, '@', &local, &domain); /* without an '@' all of it is local */
	if (leans_on(word, address) || leans_on(word, local) || leans_on(word, STR("plaza")))
		return ERR_SAY(err, P_WEAK_PASSWORD, "too close to the e-mail address or to plaza");
	if (is_common(word))
		return ERR_SAY(err, P_WEAK_PASSWORD, "in the list of common passwords");
	return P_OK;
}
