/* Functions that are never right here. Force-included before every source file; the macro makes a use a
 * compile error that names what to call instead. The headers come first, so that they declare in peace. */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <signal.h>
#include <sys/select.h>

#define BANNED(what, instead) banned_##what##_use_##instead

#define strcpy(...)    BANNED(strcpy, span_copy)
#define strcat(...)    BANNED(strcat, wr)
#define strncpy(...)   BANNED(strncpy, span_copy)
#define strncat(...)   BANNED(strncat, wr)
#define sprintf(...)   BANNED(sprintf, snprintf_or_wr_fmt)
#define vsprintf(...)  BANNED(vsprintf, vsnprintf)
#define strtok(...)    BANNED(strtok, span_split)
#define strtok_r(...)  BANNED(strtok_r, span_split)
#define atoi(...)      BANNED(atoi, span_u64)
#define atol(...)      BANNED(atol, span_u64)
#define atof(...)      BANNED(atof, span_u64)
#define strtol(...)    BANNED(strtol, span_u64)
#define strtoul(...)   BANNED(strtoul, span_u64)
#define strtoll(...)   BANNED(strtoll, span_u64)
#define strtoull(...)  BANNED(strtoull, span_u64)
#define gets(...)      BANNED(gets, read)
#define localtime(...) BANNED(localtime, localtime_r)
#define gmtime(...)    BANNED(gmtime, clock_utc)
#define ctime(...)     BANNED(ctime, clock_iso)
#define asctime(...)   BANNED(asctime, clock_iso)
#define rand(...)      BANNED(rand, rng_bytes)
#define srand(...)     BANNED(srand, rng_bytes)
#define random(...)    BANNED(random, rng_bytes)
#define system(...)    BANNED(system, posix_spawn)
#define popen(...)     BANNED(popen, posix_spawn)
#define select(...)    BANNED(select, loop)
#define signal(...)    BANNED(signal, sigaction)
#undef alloca
#define alloca(...) BANNED(alloca, mem_new)
#define tmpnam(...) BANNED(tmpnam, openat)
#define mktemp(...) BANNED(mktemp, openat)

#endif
