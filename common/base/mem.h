/* Two tiers of allocation. mem_new and its kin abort when memory is out: for sizes of ours. mem_try returns
 * NULL: for every size that came from outside, after a check against a named limit. All memory is zeroed. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "common/base/types.h"

void *mem_new(size_t bytes);
void *mem_new_n(size_t n, size_t bytes);
void *mem_try(size_t bytes);
/* Grows or shrinks; new bytes are not zeroed. mem_retry returns NULL and leaves p as it was. */
void *mem_renew(void *p, size_t bytes);
void *mem_retry(void *p, size_t bytes);
void mem_free(void *p);
char *mem_strdup(const char *s);
void *mem_dup(const void *p, size_t bytes);

/* For CLEANUP(): frees what the variable points to. */
void mem_freep(void *pp);

#define NEW(type) ((type *)mem_new(sizeof(type)))

#endif
