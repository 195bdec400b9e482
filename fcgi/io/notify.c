/* Service manager protocol, by libsystemd; without a manager every call does nothing. */
#include "io/notify.h"

#include <systemd/sd-daemon.h>

void
notify_ready(void)
{
	(void)sd_notify(0, "READY=1");
}

void
notify_stopping(void)
{
	(void)sd_notify(0, "STOPPING=1");
}

void
notify_alive(void)
{
	(void)sd_notify(0, "WATCHDOG=1");
}

uint64_t
notify_watchdog_us(void)
{
	uint64_t us = 0;

	return sd_watchdog_enabled(0, &us) > 0 ? us : 0;
}

int
notify_listen_fd(void)
{
	return sd_listen_fds(1) > 0 ? SD_LISTEN_FDS_START : -1;
}
