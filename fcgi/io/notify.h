/*
 * Word to the service manager (libsystemd): sd_notify(3), sd_watchdog_enabled(3),
 * sd_listen_fds(3).
 */
#ifndef PLAZA_IO_NOTIFY_H
#define PLAZA_IO_NOTIFY_H

#include <stdint.h>

void notify_ready(void);
void notify_stopping(void);
/* Tells the watchdog that the main loop turns. */
void notify_alive(void);
/* Microseconds within which notify_alive() is expected; 0 = no watchdog. */
uint64_t notify_watchdog_us(void);
/* First descriptor of a passed socket, or -1. */
int notify_listen_fd(void);

#endif
