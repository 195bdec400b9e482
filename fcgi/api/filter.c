/* Filtering of messages and public texts: rules in force, the decision about one text. */
#include "api/filter.h"

#include "api/contact.h"
#include "api/words.h"
#include "base/check.h"
#include "base/clock.h"
#include "http/app.h"
#include "queries.h"

#define RULES_LIFE_US INT64_C(2000000)
#define RULES_ARENA ((size_t)64 * 1024 * 1024)
#define HINT_MAX 128

/* ---- rules of this process ---- */

static struct {
	struct arena *arena;
	struct words *words;
	enum filter_action contact[CONTACT_CLASSES];
	size_t phone_digits;
	int64_t version; /* 0 = none loaded; SQL counts from 1 */
	int64_t due_us;
} rules;

static enum filter_action
action_by_name(struct str name)
{
	if (str_eqz(name, "refuse"))
		return FILTER_REFUSE;
	if (str_eqz(name, "mask"))
		return FILTER_MASK;
	return str_eqz(name, "flag") ? FILTER_FLAG : FILTER_NONE;
}

static void
load_contact(struct str name, enum filter_action action, int64_t threshold)
{
	for (int i = 0; i < CONTACT_CLASSES; i++)
		if (str_eqz(name, contact_names[i]))
			rules.contact[i] = action;
	if (threshold > 0)
		rules.phone_digits = (size_t)threshold;
}

static void
load_rules(const struct rows *rows)
{
	if (!rules.arena)
		rules.arena = arena_new(RULES_ARENA);
	arena_clear(rules.arena);
	rules.words = words_new(rules.arena);
	for (size_t i = 0; i < rows_count(rows); i++) {
		struct str pattern = rows_str(rows, i, Q_RULES_SINCE_PATTERN);
		enum filter_action action = action_by_name(rows_str(rows, i, Q_RULES_SINCE_ACTION));

		if (str_eqz(rows_str(rows, i, Q_RULES_SINCE_KIND), "contact"))
			load_contact(pattern, action, rows_i64(rows, i, Q_RULES_SINCE_THRESHOLD));
		else
			(void)words_add(rules.words, pattern, action);
	}
	rules.version = rows_i64(rows, 0, Q_RULES_SINCE_VERSION);
}

/* No rows mean that nothing has changed: the classes of contact data are always among them. */
static enum problem
refresh_rules(struct request *req)
{
	struct rows *rows;

	if (clock_mono_us() < rules.due_us)
		return P_OK;
	enum problem p = q_rules_since(
		req->db, &(struct q_rules_since){ .have = rules.version }, &rows, &req->err);
	if (p)
		return p;
	if (rows_count(rows) > 0)
		load_rules(rows);
	rules.due_us = clock_mono_us() + RULES_LIFE_US;
	return P_OK;
}

/* ---- one text ---- */

struct verdict {
	struct folded folded;
	bool *masked; /* of each byte where a character begins */
	bool masks, flags;
	bool word_refused, contact_refused;
	unsigned contact; /* classes that were found and matter */
};

static void
decide(struct verdict *v, enum filter_action action, size_t from, size_t to)
{
	v->flags = v->flags || action == FILTER_FLAG;
	if (action != FILTER_MASK)
		return;
	for (size_t i = from; i < to; i++)
		v->masked[v->folded.at[i]] = true;
	v->masks = true;
}

static void
judge_words(struct arena *a, struct verdict *v)
{
	struct word_hit *hits = arena_calloc(a, v->folded.n + 1, sizeof(*hits));
	size_t n = words_find(rules.words, a, &v->folded, hits, v->folded.n);

	for (size_t i = 0; i < n; i++) {
		v->word_refused = v->word_refused || hits[i].action == FILTER_REFUSE;
		decide(v, hits[i].action, hits[i].from, hits[i].to);
	}
}

/* The part of the public address that links of ours begin with. */
static struct str
own_host(const char *url)
{
	struct str scheme, rest, host;

	if (!strstr(url, "://"))
		return (struct str){ 0 };
	str_cut(str_of(url), '/', &scheme, &rest);
	rest = str_sub(rest, 1, rest.n);
	str_cut(rest, '/', &host, &rest);
	return str_sub(host, 0, str_find(host, ':', 0));
}

/* In a conversation they pass once the two have a paid order. */
static enum problem
contact_passes(struct request *req, const struct uuid *chat, bool *passes)
{
	struct rows *rows;

	*passes = false;
	if (!chat)
		return P_OK;
	enum problem p = q_contact_allowed(
		req->db, &(struct q_contact_allowed){ .chat = *chat }, &rows, &req->err);
	if (!p)
		*passes = rows_bool(rows, 0, Q_CONTACT_ALLOWED_ALLOWED);
	return p;
}

/* Without a chat it is a text for everybody: a number there is mostly a model or a code, so that
 * something must tell that it is a telephone's. */
static enum problem
judge_contact(struct request *req, const struct uuid *chat, struct verdict *v)
{
	const struct contact_tuning tuning = { .phone_digits = chat ? rules.phone_digits : SIZE_MAX,
		.own_host = own_host(req->app->conf->public_url) };
	struct contact_hit *hits = arena_calloc(req->arena, 2 * v->folded.n + 1, sizeof(*hits));
	size_t n = contact_find(req->arena, &v->folded, &tuning, hits, 2 * v->folded.n);
	bool passes;

	for (size_t i = 0; i < n; i++)
		if (rules.contact[hits[i].what] != FILTER_NONE)
			v->contact |= 1u << hits[i].what;
	if (v->contact == 0)
		return P_OK;
	enum problem p = contact_passes(req, chat, &passes);
	if (p)
		return p;
	if (passes) {
		v->contact = 0;
		return P_OK;
	}
	for (size_t i = 0; i < n; i++) {
		enum filter_action action = rules.contact[hits[i].what];

		v->contact_refused = v->contact_refused || action == FILTER_REFUSE;
		decide(v, action, hits[i].from, hits[i].to);
	}
	return P_OK;
}

/* A star for each character that a rule hides. */
static struct str
masked_text(struct arena *a, struct str text, const bool *masked)
{
	struct buf b;
	bool hide = false;

	buf_init(&b, a, text.n + 1);
	for (size_t i = 0; i < text.n; i++) {
		if (((unsigned char)text.p[i] & 0xC0) != 0x80) {
			hide = masked[i];
			if (hide)
				buf_putc(&b, '*');
		}
		if (!hide)
			buf_putc(&b, text.p[i]);
	}
	return buf_str(&b);
}

static struct str
names_of(struct arena *a, unsigned classes)
{
	struct buf b;

	buf_init(&b, a, HINT_MAX);
	for (int i = 0; i < CONTACT_CLASSES; i++) {
		if (!((classes >> i) & 1))
			continue;
		buf_puts(&b, b.n ? ", " : "");
		buf_puts(&b, contact_names[i]);
	}
	return buf_str(&b);
}

static enum problem
refuse(struct request *req, const char *pointer, bool in_chat, const struct verdict *v)
{
	bool es = req->locale == LOCALE_ES;

	if (v->word_refused) {
		err_field(
			&req->err, pointer, "word", es ? "palabra no permitida" : "a refused word");
		return ERR_SAY(&req->err, P_FILTERED, "%s",
			es ? "El texto tiene palabras que aquí no se permiten."
			   : "The text has words that are not allowed here.");
	}
	struct str names = names_of(req->arena, v->contact);
	err_field(&req->err, pointer, "contact", "%.*s", STR_ARG(names));
	if (!in_chat)
		return ERR_SAY(&req->err, P_FILTERED, "%s",
			es ? "Los datos de contacto no van en textos que todos leen."
			   : "Contact data do not belong into texts that everybody reads.");
	return ERR_SAY(&req->err, P_FILTERED, "%s",
		es ? "Los datos de contacto se comparten después de un pedido pagado."
		   : "Contact data can be shared once an order between you is paid.");
}

/* What the rules make of a text that is not empty: as it may stand there, and what to look at. */
static enum problem
judge(struct request *req, const struct uuid *chat, bool contact, const char *pointer,
	struct filtered *out)
{
	struct verdict v = { .masked = arena_calloc(req->arena, out->text.n + 1, sizeof(bool)) };
	enum problem p = refresh_rules(req);

	if (p)
		return p;
	fold_text(req->arena, out->text, &v.folded);
	judge_words(req->arena, &v);
	if (contact && (p = judge_contact(req, chat, &v)))
		return p;
	if (v.word_refused || v.contact_refused)
		return refuse(req, pointer, chat != NULL, &v);
	if (v.masks)
		out->text = masked_text(req->arena, out->text, v.masked);
	if (v.flags)
		out->hint = v.contact ? names_of(req->arena, v.contact) : STR("word");
	return P_OK;
}

enum problem
filter_message(struct request *req, struct uuid chat, struct str text, const char *pointer,
	struct filtered *out)
{
	*out = (struct filtered){ .chat = chat, .text = text };
	return text.n ? judge(req, &chat, true, pointer, out) : P_OK;
}

enum problem
filter_public(struct request *req, struct str *text, const char *pointer, bool contact,
	struct filtered *hint)
{
	struct filtered one = { .text = *text, .where = pointer };

	if (text->n == 0)
		return P_OK;
	enum problem p = judge(req, NULL, contact, pointer, &one);
	if (p)
		return p;
	*text = one.text;
	if (one.hint.p && !hint->hint.p)
		*hint = one;
	return P_OK;
}

void
filter_begin(struct request *req, const struct filtered *f)
{
	if (f->hint.p)
		db_begin(req->db);
}

static enum problem
commit_or_not(struct request *req, enum problem p)
{
	if (!p)
		return db_commit(req->db, &req->err);
	db_rollback(req->db);
	return p;
}

enum problem
filter_end(struct request *req, enum problem p, const struct filtered *f, const struct uuid *cmid,
	const struct uuid *message)
{
	struct rows *rows;

	if (!f->hint.p)
		return p;
	if (!p)
		p = q_message_hint(req->db,
			&(struct q_message_hint){ .chat = f->chat,
				.cmid = cmid,
				.message = message,
				.hint = f->hint },
			&rows, &req->err);
	return commit_or_not(req, p);
}

enum problem
filter_end_public(
	struct request *req, enum problem p, const struct filtered *f, const struct uuid *account)
{
	struct rows *rows;

	if (!f->hint.p)
		return p;
	if (!p && account)
		p = q_account_hint(req->db,
			&(struct q_account_hint){ .account = *account,
				.place = str_of(f->where + 1),
				.text = f->text,
				.hint = f->hint },
			&rows, &req->err);
	else if (!p)
		p = q_text_hint(req->db,
			&(struct q_text_hint){
				.place = str_of(f->where + 1), .text = f->text, .hint = f->hint },
			&rows, &req->err);
	return commit_or_not(req, p);
}
