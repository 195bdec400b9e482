/*
 * Connections of the load generator: one thread, epoll, plain HTTP/1.1 and MQTT 3.1.1 over TCP or
 * WebSocket. What arrives goes to the functions of `struct net_handlers`.
 */
#ifndef PLAZA_TESTS_LOAD_SWARM_NET_H
#define PLAZA_TESTS_LOAD_SWARM_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
	char *p;
	size_t n, cap;
};

void bytes_put(struct bytes *b, const void *p, size_t n);
void bytes_puts(struct bytes *b, const char *s);
void bytes_printf(struct bytes *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A string as MQTT writes it, its length first. */
void bytes_put_mqtt(struct bytes *b, const char *s);

enum wire { WIRE_HTTP, WIRE_MQTT, WIRE_MQTT_WS };

/* All zero but for fd = -1 at first; may be opened again after it was closed. */
struct conn {
	int fd;
	enum wire wire;
	bool upgraded, wants_out;
	struct bytes in, out, packets;
	void *owner;
};

struct net_handlers {
	/* The way is free for CONNECT. */
	void (*opened)(struct conn *c);
	void (*packet)(struct conn *c, uint8_t first, const char *body, size_t n);
	void (*reply)(struct conn *c, int status, const char *body, size_t n);
	/* Closed by the other side, or broken; not called for conn_close(). */
	void (*closed)(struct conn *c);
};

void net_init(const struct net_handlers *handlers);
/* Begins to connect to 127.0.0.1; a failure is told by closed(). */
void conn_open(struct conn *c, uint16_t port, enum wire wire);
void conn_close(struct conn *c);
void conn_send(struct conn *c, const void *p, size_t n);
void conn_packet(struct conn *c, uint8_t first, const struct bytes *body);
/* Serves what there is, for at most so long. */
void net_turn(uint64_t ns);
uint64_t net_now(void);

#endif
