/* plaza-fcgi: one FastCGI worker process of the REST application. */
#include "base/log.h"
#include "door/fcgi.h"
#include "http/app.h"
#include "http/describe.h"
#include "http/facade.h"
#include "io/notify.h"

#include <getopt.h>
#include <stdio.h>

#define DEFAULT_CONF "/etc/plaza/plaza.conf"
#define DOCUMENT_MAX (4 * 1024 * 1024)
#define OPENAPI_OF "openapi-" /* and the name of an older system */

struct options {
	const char *conf;
	const char *pool;
	const char *socket;
	const char *document;
};

static int
usage(FILE *to)
{
	fputs("usage: plaza-fcgi [-c FILE] [-p web|auth|egress] [-s SOCKET]\n"
	      "       plaza-fcgi -x routes|openapi[-SYSTEM]|config|config-mdoc|problems|queries\n"
	      "       plaza-fcgi -V\n",
		to);
	return to == stdout ? 0 : 2;
}

static int
print_document(const char *name)
{
	struct arena *a = arena_new(2 * DOCUMENT_MAX);
	const struct facade *facade;
	struct buf b;

	buf_init(&b, a, DOCUMENT_MAX);
	if (strcmp(name, "routes") == 0)
		describe_routes(&b);
	else if (strcmp(name, "openapi") == 0)
		describe_openapi("", NULL, &b);
	else if (strncmp(name, OPENAPI_OF, sizeof(OPENAPI_OF) - 1) == 0 &&
		 (facade = facade_by_name(name + sizeof(OPENAPI_OF) - 1)))
		describe_openapi("", facade, &b);
	else if (strcmp(name, "config") == 0)
		conf_print_sample(&b);
	else if (strcmp(name, "config-mdoc") == 0)
		conf_print_mdoc(&b);
	else if (strcmp(name, "problems") == 0)
		describe_problems(&b);
	else if (strcmp(name, "queries") == 0)
		describe_queries(&b);
	else
		return usage(stderr);
	bool good =
		!b.failed && fwrite(b.p ? b.p : "", 1, b.n, stdout) == b.n && fflush(stdout) == 0;
	arena_free(a);
	return good ? 0 : 1;
}

/*
 * multiwatch starts a program that ends again at once: a fault that stays would cost a
 * whole core.
 */
#define FAILED_START_S 1

static int
fail_start(struct app *app, const char *what, const struct err *err)
{
	log_init("plaza-fcgi", LOG_INFO);
	log_event(LOG_ERROR, "start", LZ("what", what), LZ("detail", err->detail),
		LZ("text", err->log));
	app_free(app);
	(void)sleep(FAILED_START_S);
	return 1;
}

static int
serve(const struct options *o)
{
	struct err err = { 0 };
	struct app *app = app_new("plaza-fcgi", o->pool, o->conf, &err);
	int fd = app ? fcgi_listen(o->socket, &err) : -1;

	if (!app || fd < 0)
		return fail_start(app, "configuration or socket", &err);
	/* A schema that does not fit ends the start; a server that is away does not. */
	if (db_connect(app->db, &err) == P_INTERNAL)
		return fail_start(app, "a statement does not fit the schema", &err);
	log_event(LOG_INFO, "start", LZ("pool", o->pool), LZ("version", PLAZA_VERSION));
	notify_ready();
	bool good = fcgi_serve(app, fd, app->conf->stop_after_requests);
	notify_stopping();
	log_event(LOG_INFO, "stop", LB("good", good));
	app_free(app);
	return good ? 0 : 1;
}

int
main(int argc, char **argv)
{
	struct options o = { .conf = DEFAULT_CONF, .pool = "web" };
	int opt;

	while ((opt = getopt(argc, argv, "c:p:s:x:Vh")) != -1) {
		if (opt == 'c')
			o.conf = optarg;
		else if (opt == 'p')
			o.pool =
				optarg ? optarg : ""; /* never NULL, but the analyzer cannot know */
		else if (opt == 's')
			o.socket = optarg;
		else if (opt == 'x')
			o.document = optarg;
		else if (opt == 'V')
			return puts("plaza-fcgi " PLAZA_VERSION) < 0;
		else
			return usage(opt == 'h' ? stdout : stderr);
	}
	if (optind != argc)
		return usage(stderr);
	if (o.document)
		return print_document(o.document);
	if (strcmp(o.pool, "web") != 0 && strcmp(o.pool, "auth") != 0 &&
		strcmp(o.pool, "egress") != 0)
		return usage(stderr);
	return serve(&o);
}
