/* Functions that no file of the project may call. Included by force (-include) in every unit. */
#ifndef PLAZA_BASE_BANNED_H
#define PLAZA_BASE_BANNED_H

/* System headers declare these, so they must be seen before the poisoning. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* glibc makes it a macro. */
#undef alloca

/* glibc makes these macros when clang builds with _FORTIFY_SOURCE. */
#undef sprintf
#undef vsprintf

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok gets
#pragma GCC poison atoi atol atoll system popen gmtime localtime ctime asctime
#pragma GCC poison srand random

/* Not poisoned: glib, which one program includes, defines it again; there -Walloca keeps watch. */
#define alloca alloca_is_banned

/* OpenSSL has parameters of this name, so only a use of the function is an error. */
int rand(void) __attribute__((unavailable("use rand_bytes()")));

#endif
