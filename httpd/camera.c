#include "httpd/camera.h"
#include "httpd/stream.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/mem.h"

#include <pthread.h>

struct camera {
    char uid[STREAM_CAMERA_MAX];
    struct list streams;
};

struct camera_entry {
    struct list link;
    struct cameras *all;
    struct camera *camera;
    struct camera_stream s;
};

struct cameras {
    pthread_mutex_t lock;
    struct map by_uid;
};

struct cameras *cameras_new(void)
{
    struct cameras *c = NEW(struct cameras);

    pthread_mutex_init(&c->lock, NULL);
    return c;
}

void cameras_free(struct cameras *c)
{
    if (!c) return;
    map_done(&c->by_uid);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}

static struct camera *find_or_add(struct cameras *c, const char *uid)
{
    struct camera *cam = map_get(&c->by_uid, span_of(uid));

    if (cam) return cam;
    cam = NEW(struct camera);
    span_copy(span_of(uid), cam->uid, sizeof(cam->uid));
    list_init(&cam->streams);
    map_set(&c->by_uid, span_of(cam->uid), cam);
    return cam;
}

struct camera_entry *camera_join(struct cameras *c, const char *camera, const char *uid, bool sub)
{
    struct camera_entry *e;

    if (camera[0] == '\0' || strlen(camera) >= STREAM_CAMERA_MAX) return NULL;
    e = NEW(struct camera_entry);
    e->all = c;
    e->s.sub = sub;
    span_copy(span_of(uid), e->s.uid, sizeof(e->s.uid));
    pthread_mutex_lock(&c->lock);
    e->camera = find_or_add(c, camera);
    list_push(&e->camera->streams, &e->link);
    pthread_mutex_unlock(&c->lock);
    return e;
}

void camera_leave(struct camera_entry *e)
{
    struct camera *cam = e ? e->camera : NULL;

    if (!e) return;
    pthread_mutex_lock(&e->all->lock);
    list_remove(&e->link);
    if (list_empty(&cam->streams)) {
        map_remove(&e->all->by_uid, span_of(cam->uid));
        mem_free(cam);
    }
    pthread_mutex_unlock(&e->all->lock);
    mem_free(e);
}

void camera_put(struct camera_entry *e, const struct camera_stream *s)
{
    pthread_mutex_lock(&e->all->lock);
    e->s.seen_us = s->seen_us;
    e->s.open = s->open;
    e->s.mask = s->mask;
    e->s.bandwidth = s->bandwidth;
    e->s.fps_milli = s->fps_milli;
    e->s.tracks = s->tracks;
    pthread_mutex_unlock(&e->all->lock);
}

void camera_put_low(struct camera_entry *e, const struct window *w)
{
    if (!e) return;
    pthread_mutex_lock(&e->all->lock);
    e->s.low = window_low_last(w, &e->s.msn, &e->s.part);
    pthread_mutex_unlock(&e->all->lock);
}

size_t camera_others(const struct camera_entry *e, struct camera_stream *ret, size_t most)
{
    size_t n = 0;

    if (!e) return 0;
    pthread_mutex_lock(&e->all->lock);
    LIST_EACH(&e->camera->streams, at)
    {
        const struct camera_entry *other = LIST_ITEM(at, struct camera_entry, link);

        if (other != e && n < most) ret[n++] = other->s;
    }
    pthread_mutex_unlock(&e->all->lock);
    return n;
}
