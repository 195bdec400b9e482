/* RSA keys of the tokens: reading a folder of them, judging each, making new ones (OpenSSL). */
#include "io/keys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/encode.h"

#define ARENA_MAX ((size_t)256 * 1024)
#define PEM_MAX 8192      /* bytes of a key file; a private key of 4096 bits has 3300 */
#define KEY_BITS 2048     /* of a new key */
#define KEY_BITS_MIN 2048 /* RFC 7518 section 3.3 */
#define KEY_BITS_MAX 4096 /* beyond it a verification costs too much */
#define PUBLIC_END ".pub.pem"
#define PRIVATE_END ".pem"
#define NAME_BYTES (KID_MAX + 16) /* a kid with an ending, or as a hidden temporary name */

/* A key file in memory. */
struct pem {
	char text[PEM_MAX];
	size_t n;
	bool missing;
};

static bool
kid_valid(struct str kid)
{
	if (kid.n == 0 || kid.n > KID_MAX)
		return false;
	for (size_t i = 0; i < kid.n; i++) {
		char c = kid.p[i];
		bool good = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			    (c >= 'a' && c <= 'z') || c == '.' || c == '_' || c == '-';
		if (!good)
			return false;
	}
	return true;
}

static void
file_name(char out[NAME_BYTES], const char *before, const char *kid, const char *after)
{
	int n = snprintf(out, NAME_BYTES, "%s%s%s", before, kid, after);

	CHECK(n > 0 && n < NAME_BYTES);
}

/* Puts the kid in its place in the ring. */
static enum problem
add_kid(struct keyring *ring, struct str kid, struct err *err)
{
	size_t at = ring->count;

	if (!kid_valid(kid))
		return ERR(err, P_INTERNAL, "keys: bad name of a key: %.*s", STR_ARG(kid));
	if (ring->count == KEYS_MAX)
		return ERR(err, P_INTERNAL, "keys: more than %d keys; remove the oldest", KEYS_MAX);

	struct key key = { 0 };

	memcpy(key.kid, kid.p, kid.n);
	for (; at > 0 && strcmp(ring->key[at - 1].kid, key.kid) > 0; at--)
		ring->key[at] = ring->key[at - 1];
	ring->key[at] = key;
	ring->count++;
	return P_OK;
}

static enum problem
list_kids(struct keyring *ring, const char *dir, struct err *err)
{
	DIR *d = opendir(dir);
	enum problem p = P_OK;
	const struct dirent *entry;

	if (!d)
		return ERR(err, P_INTERNAL, "keys: %s: %s", dir, strerror(errno));
	while (!p && (entry = readdir(d))) {
		struct str name = str_of(entry->d_name);

		/* Hidden names are files that are still being written. */
		if (name.p[0] != '.' && str_ends(name, PUBLIC_END))
			p = add_kid(ring, str_sub(name, 0, name.n - strlen(PUBLIC_END)), err);
	}
	closedir(d);
	return p;
}

static enum problem
read_all(int fd, const char *name, struct pem *out, struct err *err)
{
	ssize_t n;

	out->n = 0;
	do {
		n = read(fd, out->text + out->n, sizeof(out->text) - out->n);
		if (n < 0 && errno != EINTR)
			return ERR(err, P_INTERNAL, "keys: %s: %s", name, strerror(errno));
		out->n += n > 0 ? (size_t)n : 0;
	} while (n != 0 && out->n < sizeof(out->text));
	if (out->n == 0 || out->n == sizeof(out->text))
		return ERR(err, P_INTERNAL, "keys: %s: empty or too long", name);
	return P_OK;
}

/* `forbidden`: permission bits that make the file untrustworthy. */
static enum problem
read_pem(int dir, const char *name, mode_t forbidden, struct pem *out, struct err *err)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	enum problem p;

	out->missing = fd < 0 && (errno == ENOENT || errno == EACCES);
	if (fd < 0)
		return out->missing ? P_OK
				    : ERR(err, P_INTERNAL, "keys: %s: %s", name, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		p = ERR(err, P_INTERNAL, "keys: %s: not a file", name);
	else if (st.st_mode & forbidden)
		p = ERR(err, P_INTERNAL, "keys: %s: mode %03o is too open", name,
			(unsigned)st.st_mode & 0777);
	else
		p = read_all(fd, name, out, err);
	close(fd);
	return p;
}

/* Instead of OpenSSL's own, which would ask on the terminal. */
static int
no_passphrase(char *text, int size, int writing, void *arg)
{
	(void)text;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static EVP_PKEY *
parse_pem(const struct pem *pem, bool private_half)
{
	BIO *bio = BIO_new_mem_buf(pem->text, (int)pem->n);
	EVP_PKEY *pk = NULL;

	if (bio && private_half)
		pk = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	else if (bio)
		pk = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	return pk;
}

/* RSA of a sound size whose modulus and exponent pass the checks of SP 800-89. */
static bool
key_sound(EVP_PKEY *pk)
{
	if (EVP_PKEY_get_base_id(pk) != EVP_PKEY_RSA)
		return false;

	int bits = EVP_PKEY_get_bits(pk);
	if (bits < KEY_BITS_MIN || bits > KEY_BITS_MAX)
		return false;

	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pk, NULL);
	bool sound = ctx && EVP_PKEY_public_check(ctx) == 1;

	EVP_PKEY_CTX_free(ctx);
	return sound;
}

/* A key of the ring is written anew, so that libjwt reads what was checked and nothing else. */
static struct str
pem_of(struct arena *a, const EVP_PKEY *pk, bool private_half)
{
	BIO *bio = BIO_new(private_half ? BIO_s_secmem() : BIO_s_mem());
	struct str text = { NULL, 0 };
	char *p;

	if (!bio)
		return text;

	int ok = private_half ? PEM_write_bio_PrivateKey(bio, pk, NULL, NULL, 0, NULL, NULL)
			      : PEM_write_bio_PUBKEY(bio, pk);
	long n = BIO_get_mem_data(bio, &p);

	if (ok == 1 && n > 0)
		text = (struct str){ arena_dup(a, p, (size_t)n), (size_t)n };
	BIO_free(bio);
	return text;
}

static struct str
number_of(struct arena *a, const EVP_PKEY *pk, const char *name)
{
	unsigned char bytes[KEY_BITS_MAX / 8];
	BIGNUM *number = NULL;
	struct buf b;

	buf_init(&b, a, sizeof(bytes) * 2);
	if (EVP_PKEY_get_bn_param(pk, name, &number) == 1) {
		CHECK(BN_num_bytes(number) <= (int)sizeof(bytes));
		base64url_put(&b, bytes, (size_t)BN_bn2bin(number, bytes));
	}
	BN_free(number);
	return buf_str(&b);
}

/* Takes over `pk`. */
static enum problem
load_public(struct keyring *ring, struct key *key, EVP_PKEY *pk, struct err *err)
{
	key->public_key = pk;
	if (!pk || !key_sound(pk))
		return ERR(err, P_INTERNAL, "keys: %s%s: not an RSA key of %d to %d bits", key->kid,
			PUBLIC_END, KEY_BITS_MIN, KEY_BITS_MAX);
	key->n = number_of(ring->arena, pk, OSSL_PKEY_PARAM_RSA_N);
	key->e = number_of(ring->arena, pk, OSSL_PKEY_PARAM_RSA_E);
	key->signature_bytes = (size_t)EVP_PKEY_get_size(pk);
	if (key->n.n == 0 || key->e.n == 0)
		return ERR(err, P_INTERNAL, "keys: %s: out of memory", key->kid);
	return P_OK;
}

static enum problem
load_private(struct keyring *ring, struct key *key, int dir, struct err *err)
{
	struct pem pem;
	char name[NAME_BYTES];

	file_name(name, "", key->kid, PRIVATE_END);

	enum problem p = read_pem(dir, name, S_IRWXO, &pem, err);
	if (p || pem.missing)
		return p;

	EVP_PKEY *pk = parse_pem(&pem, true);

	explicit_bzero(&pem, sizeof(pem));
	if (!pk || EVP_PKEY_eq(pk, key->public_key) != 1)
		p = ERR(err, P_INTERNAL, "keys: %s: not the private half of %s%s", name, key->kid,
			PUBLIC_END);
	else
		key->private_pem = pem_of(ring->arena, pk, true);
	EVP_PKEY_free(pk);
	return p;
}

static enum problem
load_key(struct keyring *ring, struct key *key, int dir, struct err *err)
{
	struct pem pem;
	char name[NAME_BYTES];

	file_name(name, "", key->kid, PUBLIC_END);

	enum problem p = read_pem(dir, name, S_IWOTH, &pem, err);
	if (p)
		return p;
	if (pem.missing)
		return ERR(err, P_INTERNAL, "keys: %s: cannot be read", name);

	p = load_public(ring, key, parse_pem(&pem, false), err);
	return p ? p : load_private(ring, key, dir, err);
}

static enum problem
load_all(struct keyring *ring, const char *path, struct err *err)
{
	enum problem p = list_kids(ring, path, err);
	if (p)
		return p;
	if (ring->count == 0)
		return ERR(err, P_INTERNAL, "keys: %s: no key", path);

	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return ERR(err, P_INTERNAL, "keys: %s: %s", path, strerror(errno));
	for (size_t i = 0; !p && i < ring->count; i++)
		p = load_key(ring, &ring->key[i], dir, err);
	close(dir);
	return p;
}

enum problem
keyring_load(struct keyring *ring, const char *dir, struct err *err)
{
	struct keyring fresh = { .arena = arena_new(ARENA_MAX) };
	enum problem p = load_all(&fresh, dir, err);

	if (p) {
		keyring_release(&fresh);
		keyring_forget_errors();
		return p;
	}
	*ring = fresh;
	return P_OK;
}

void
keyring_release(struct keyring *ring)
{
	for (size_t i = 0; i < ring->count; i++) {
		struct str secret = ring->key[i].private_pem;

		if (secret.p)
			explicit_bzero((void *)secret.p, secret.n);
		EVP_PKEY_free(ring->key[i].public_key);
	}
	arena_free(ring->arena);
	*ring = (struct keyring){ 0 };
}

const struct key *
keyring_find(const struct keyring *ring, struct str kid)
{
	for (size_t i = 0; i < ring->count; i++)
		if (str_eqz(kid, ring->key[i].kid))
			return &ring->key[i];
	return NULL;
}

const struct key *
keyring_signer(const struct keyring *ring)
{
	for (size_t i = ring->count; i > 0; i--)
		if (ring->key[i - 1].private_pem.p)
			return &ring->key[i - 1];
	return NULL;
}

bool
key_verifies(const struct key *key, struct str input, struct str signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx &&
		    EVP_DigestVerifyInit_ex(
			    ctx, NULL, "SHA256", NULL, NULL, key->public_key, NULL) == 1 &&
		    EVP_DigestVerify(ctx, (const unsigned char *)signature.p, signature.n,
			    (const unsigned char *)input.p, input.n) == 1;

	EVP_MD_CTX_free(ctx);
	if (!good)
		keyring_forget_errors();
	return good;
}

static enum problem
write_all(int fd, struct str text, mode_t mode)
{
	/* Not left to the umask of the caller. */
	if (fchmod(fd, mode))
		return P_INTERNAL;
	while (text.n > 0) {
		ssize_t n = write(fd, text.p, text.n);

		if (n < 0 && errno != EINTR)
			return P_INTERNAL;
		if (n > 0)
			text = str_sub(text, (size_t)n, text.n);
	}
	return fsync(fd) ? P_INTERNAL : P_OK;
}

/* Written under a hidden name and linked when complete; an existing file is not replaced. */
static enum problem
write_file(int dir, const char *name, struct str text, mode_t mode, struct err *err)
{
	char hidden[NAME_BYTES];

	file_name(hidden, ".", name, ".new");

	int fd = openat(dir, hidden, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return ERR(err, P_INTERNAL, "keys: %s: %s", hidden, strerror(errno));

	enum problem p = write_all(fd, text, mode);

	if (close(fd) || p || linkat(dir, hidden, dir, name, 0))
		p = ERR(err, P_INTERNAL, "keys: %s: %s", name, strerror(errno));
	if (unlinkat(dir, hidden, 0) && !p)
		p = ERR(err, P_INTERNAL, "keys: %s: %s", hidden, strerror(errno));
	return p;
}

/* The time of day as a name that sorts: 2026-01-31T09-30-00.000Z. */
static void
kid_now(char out[RFC3339_TEXT + 1])
{
	clock_rfc3339(clock_unix_ms(), out);
	for (char *c = out; *c; c++)
		if (*c == ':')
			*c = '-';
}

static enum problem
write_pair(int dir, struct str private_pem, struct str public_pem, struct err *err)
{
	char kid[RFC3339_TEXT + 1];
	char private_name[NAME_BYTES];
	char public_name[NAME_BYTES];

	if (!private_pem.p || !public_pem.p)
		return ERR(err, P_INTERNAL, "keys: out of memory");
	kid_now(kid);
	file_name(private_name, "", kid, PRIVATE_END);
	file_name(public_name, "", kid, PUBLIC_END);

	enum problem p = write_file(dir, private_name, private_pem, 0640, err);
	if (p)
		return p;
	p = write_file(dir, public_name, public_pem, 0644, err);
	if (p)
		(void)unlinkat(dir, private_name, 0); /* without its public half it is never read */
	else if (fsync(dir))
		p = ERR(err, P_INTERNAL, "keys: %s", strerror(errno));
	return p;
}

/* A folder with too many keys could not be loaded any more. */
static enum problem
check_room(const char *path, struct err *err)
{
	struct keyring ring = { 0 };
	enum problem p = list_kids(&ring, path, err);

	if (!p && ring.count == KEYS_MAX)
		p = ERR(err, P_CONFLICT, "keys: %s has %d keys already; remove the oldest", path,
			KEYS_MAX);
	return p;
}

enum problem
keyring_generate(const char *path, struct err *err)
{
	enum problem p = check_room(path, err);
	if (p)
		return p;

	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return ERR(err, P_INTERNAL, "keys: %s: %s", path, strerror(errno));

	struct arena *a = arena_new(ARENA_MAX);
	EVP_PKEY *pk = EVP_RSA_gen(KEY_BITS);

	if (pk) {
		struct str secret = pem_of(a, pk, true);

		p = write_pair(dir, secret, pem_of(a, pk, false), err);
		if (secret.p)
			explicit_bzero((void *)secret.p, secret.n);
	} else {
		p = ERR(err, P_INTERNAL, "keys: no key was made");
	}
	EVP_PKEY_free(pk);
	arena_free(a);
	close(dir);
	return p;
}

void
keyring_forget_errors(void)
{
	ERR_clear_error();
}
