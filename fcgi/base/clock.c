/* Clocks, and the date format of the wire. */
#include "base/clock.h"

#include <time.h>

#include "base/check.h"

#define MS_PER_S 1000
#define US_PER_S 1000000
#define NS_PER_US 1000
#define NS_PER_MS 1000000
#define ZONE_HOURS 15  /* no place on earth is farther from UTC */
#define FRACTION_MAX 9 /* digits of a second that are taken */

/* 0000-01-01T00:00:00Z and 9999-12-31T23:59:59Z: the year has four digits. */
#define FIRST_S (-62167219200)
#define LAST_S 253402300799

static struct timespec
now(clockid_t id)
{
	struct timespec ts;

	CHECK(clock_gettime(id, &ts) == 0);
	return ts;
}

int64_t
clock_mono_us(void)
{
	struct timespec ts = now(CLOCK_MONOTONIC);

	return (int64_t)ts.tv_sec * US_PER_S + ts.tv_nsec / NS_PER_US;
}

int64_t
clock_unix_s(void)
{
	return now(CLOCK_REALTIME).tv_sec;
}

int64_t
clock_unix_ms(void)
{
	struct timespec ts = now(CLOCK_REALTIME);

	return (int64_t)ts.tv_sec * MS_PER_S + ts.tv_nsec / NS_PER_MS;
}

/* Times out of range become the first or the last second that can be written. */
static struct tm
civil(int64_t unix_s)
{
	time_t t = unix_s < FIRST_S ? FIRST_S : unix_s > LAST_S ? LAST_S : unix_s;
	struct tm tm;

	CHECK(gmtime_r(&t, &tm) != NULL);
	return tm;
}

/* Writes `v` with leading zeros and returns the place after it. */
static char *
digits(char *to, int v, int width)
{
	for (int i = width - 1; i >= 0; i--) {
		to[i] = (char)('0' + v % 10);
		v /= 10;
	}
	return to + width;
}

static char *
time_of_day(char *to, const struct tm *tm)
{
	to = digits(to, tm->tm_hour, 2);
	*to++ = ':';
	to = digits(to, tm->tm_min, 2);
	*to++ = ':';
	return digits(to, tm->tm_sec, 2);
}

void
clock_rfc3339(int64_t unix_ms, char out[RFC3339_TEXT + 1])
{
	/* Division rounds towards zero, but before 1970 the second begins earlier. */
	int ms = (int)(unix_ms % MS_PER_S);
	int64_t s = unix_ms / MS_PER_S;

	if (ms < 0) {
		ms += MS_PER_S;
		s--;
	}

	struct tm tm = civil(s);
	char *to = digits(out, tm.tm_year + 1900, 4);

	*to++ = '-';
	to = digits(to, tm.tm_mon + 1, 2);
	*to++ = '-';
	to = digits(to, tm.tm_mday, 2);
	*to++ = 'T';
	to = time_of_day(to, &tm);
	*to++ = '.';
	to = digits(to, ms, 3);
	*to++ = 'Z';
	*to = '\0';
}

/* Takes `width` digits off the front; -1 when they are not there. */
static int
take_digits(struct str *s, size_t width)
{
	int v = 0;

	if (s->n < width)
		return -1;
	for (size_t i = 0; i < width; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return -1;
		v = v * 10 + s->p[i] - '0';
	}
	*s = str_sub(*s, width, s->n);
	return v;
}

static bool
take_byte(struct str *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = str_sub(*s, 1, s->n);
	return true;
}

static int
days_of(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

static bool
take_date(struct str *s)
{
	int year = take_digits(s, 4);
	int month = take_byte(s, '-') ? take_digits(s, 2) : -1;
	int day = take_byte(s, '-') ? take_digits(s, 2) : -1;

	return year >= 1000 && month >= 1 && month <= 12 && day >= 1 && day <= days_of(year, month);
}

/* hh:mm */
static bool
take_minutes(struct str *s, int hours)
{
	int hour = take_digits(s, 2);
	int minute = take_byte(s, ':') ? take_digits(s, 2) : -1;

	return hour >= 0 && hour < hours && minute >= 0 && minute < 60;
}

static bool
take_fraction(struct str *s)
{
	size_t n = 0;

	if (!take_byte(s, '.'))
		return true;
	while (take_digits(s, 1) >= 0)
		n++;
	return n > 0 && n <= FRACTION_MAX;
}

bool
clock_rfc3339_valid(struct str s)
{
	if (!take_date(&s) || !take_byte(&s, 'T') || !take_minutes(&s, 24) || !take_byte(&s, ':'))
		return false;

	int second = take_digits(&s, 2);

	if (second < 0 || second > 59 || !take_fraction(&s))
		return false;
	if (!take_byte(&s, 'Z') &&
		!((take_byte(&s, '+') || take_byte(&s, '-')) && take_minutes(&s, ZONE_HOURS)))
		return false;
	return s.n == 0;
}
