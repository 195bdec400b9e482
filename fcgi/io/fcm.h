/*
 * Firebase Cloud Messaging: the service account, and the signed statement that
 * Google's authorization server gives an access token for (RFC 7523). Sending is
 * plaza-relay's.
 */
#ifndef PLAZA_IO_FCM_H
#define PLAZA_IO_FCM_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

/* The file that Google gives out, as far as it is needed; in the arena. */
struct fcm_account {
	struct str project, email, key_id, key_pem, token_uri;
};

enum problem fcm_account_load(struct arena *a, const char *path, struct fcm_account *out,
	struct err *err) __attribute__((warn_unused_result));

/* The form to post to token_uri at `now`; P_INTERNAL when the key cannot sign. */
enum problem fcm_token_form(struct arena *a, const struct fcm_account *account, int64_t now,
	struct str *out, struct err *err) __attribute__((warn_unused_result));

#endif
