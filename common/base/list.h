/* Intrusive doubly linked list: the link lives in the member, the list owns nothing. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "common/base/types.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}
static inline bool list_empty(const struct list *l)
{
    return l->next == l || l->next == NULL;
}

static inline void list_push(struct list *l, struct list *item)
{
    item->prev = l->prev;
    item->next = l;
    l->prev->next = item;
    l->prev = item;
}

/* Harmless on an item that is in no list, when it was zeroed or removed before. */
static inline void list_remove(struct list *item)
{
    if (item->next == NULL) return;
    item->prev->next = item->next;
    item->next->prev = item->prev;
    item->next = item->prev = NULL;
}

#define LIST_ITEM(link, type, member) CONTAINER(link, type, member)
/* The current item may be removed in the body. */
#define LIST_EACH(list_, link)                                                                               \
    for (struct list *link = (list_)->next, *link##_next = link->next; link != (list_);                      \
         link = link##_next, link##_next = link->next)

#endif
