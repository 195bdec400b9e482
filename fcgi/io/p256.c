/* Keys of the curve P-256 (OpenSSL). */
#include "io/p256.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "base/check.h"

#define DER_MAX 80 /* of a signature; 72 bytes at most */

/* A handle of our own, so that no header of OpenSSL gets out. */
struct p256 {
	EVP_PKEY *pk;
};

static struct p256 *
wrap(EVP_PKEY *pk)
{
	struct p256 *k = malloc(sizeof(*k));

	CHECK(k);
	k->pk = pk;
	return k;
}

struct p256 *
p256_new(void)
{
	EVP_PKEY *pk = EVP_EC_gen("P-256");

	CHECK(pk);
	return wrap(pk);
}

void
p256_free(struct p256 *k)
{
	if (k)
		EVP_PKEY_free(k->pk);
	free(k);
}

/* The parameters of a key; NULL when OpenSSL has no memory. */
static OSSL_PARAM *
params_of(struct str point, const BIGNUM *secret)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;

	if (bld && OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) &&
		OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point.p, point.n) &&
		(!secret || OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, secret)))
		params = OSSL_PARAM_BLD_to_param(bld);
	OSSL_PARAM_BLD_free(bld);
	return params;
}

/* Refuses points beside the curve, which would give away a secret they are agreed with. */
static bool
sound(EVP_PKEY *pk, bool pair)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pk, NULL);
	bool good = ctx && EVP_PKEY_public_check(ctx) == 1 &&
		    (!pair || EVP_PKEY_pairwise_check(ctx) == 1);

	EVP_PKEY_CTX_free(ctx);
	return good;
}

struct p256 *
p256_import(struct str point, struct str secret)
{
	if (point.n != P256_POINT || point.p[0] != 4 || (secret.p && secret.n != P256_SECRET))
		return NULL;

	BIGNUM *number =
		secret.p ? BN_bin2bn((const unsigned char *)secret.p, (int)secret.n, NULL) : NULL;
	OSSL_PARAM *params = params_of(point, number);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *pk = NULL;

	if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
		EVP_PKEY_fromdata(
			ctx, &pk, secret.p ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) != 1 ||
		!sound(pk, secret.p != NULL)) {
		EVP_PKEY_free(pk);
		pk = NULL;
		ERR_clear_error();
	}
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	BN_clear_free(number);
	return pk ? wrap(pk) : NULL;
}

void
p256_point(const struct p256 *k, uint8_t out[P256_POINT])
{
	size_t n = 0;

	CHECK(EVP_PKEY_get_octet_string_param(
		      k->pk, OSSL_PKEY_PARAM_PUB_KEY, out, P256_POINT, &n) == 1);
	CHECK(n == P256_POINT);
}

void
p256_secret(const struct p256 *k, uint8_t out[P256_SECRET])
{
	BIGNUM *number = NULL;

	CHECK(EVP_PKEY_get_bn_param(k->pk, OSSL_PKEY_PARAM_PRIV_KEY, &number) == 1);
	CHECK(BN_bn2binpad(number, out, P256_SECRET) == P256_SECRET);
	BN_clear_free(number);
}

bool
p256_agree(const struct p256 *own, const struct p256 *peer, uint8_t out[P256_SECRET])
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own->pk, NULL);
	size_t n = P256_SECRET;
	bool good = ctx && EVP_PKEY_derive_init(ctx) == 1 &&
		    EVP_PKEY_derive_set_peer(ctx, peer->pk) == 1 &&
		    EVP_PKEY_derive(ctx, out, &n) == 1 && n == P256_SECRET;

	EVP_PKEY_CTX_free(ctx);
	if (!good)
		ERR_clear_error();
	return good;
}

/* OpenSSL writes a signature as DER; JOSE wants the two numbers, each of full length. */
static bool
from_der(const unsigned char *der, size_t n, uint8_t out[P256_SIGNATURE])
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
	bool good = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, P256_SIGNATURE / 2) > 0 &&
		    BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + P256_SIGNATURE / 2,
			    P256_SIGNATURE / 2) > 0;

	ECDSA_SIG_free(sig);
	return good;
}

bool
p256_sign(const struct p256 *k, struct str text, uint8_t out[P256_SIGNATURE])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char der[DER_MAX];
	size_t n = sizeof(der);
	bool good = ctx &&
		    EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, k->pk, NULL) == 1 &&
		    EVP_DigestSign(ctx, der, &n, (const unsigned char *)text.p, text.n) == 1 &&
		    from_der(der, n, out);

	EVP_MD_CTX_free(ctx);
	if (!good)
		ERR_clear_error();
	return good;
}
