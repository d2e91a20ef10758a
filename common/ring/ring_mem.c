#include "common/ring/ring_layout.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS_NEEDED (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

size_t ring_bytes(struct ring_geom g)
{
    return RING_DESC_AT + (size_t)g.frames * sizeof(struct ring_desc) + g.data_bytes;
}

static bool is_power_of_two(uint32_t v)
{
    return v != 0 && (v & (v - 1)) == 0;
}

bool ring_geom_ok(struct ring_geom g)
{
    return is_power_of_two(g.data_bytes) && g.data_bytes >= RING_DATA_MIN && g.data_bytes <= RING_DATA_MAX &&
        is_power_of_two(g.frames) && g.frames >= RING_FRAMES_MIN && g.frames <= RING_FRAMES_MAX;
}

static uint32_t power_of_two_for(uint64_t need, uint32_t least, uint32_t most)
{
    uint32_t v = least;

    while (v < need && v <= most / 2) v *= 2;
    return v;
}

struct ring_geom ring_geom_for(uint64_t bytes, uint64_t frames, uint32_t max_bytes)
{
    return (struct ring_geom){
        .data_bytes = power_of_two_for(bytes, RING_DATA_MIN, CLAMP(max_bytes, RING_DATA_MIN, RING_DATA_MAX)),
        .frames = power_of_two_for(frames, RING_FRAMES_MIN, RING_FRAMES_MAX),
    };
}

int ring_sealed_memory(const char *name, size_t bytes, int *ret_fd)
{
    CLEANUP(fd_close) int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0 || fcntl(fd, F_ADD_SEALS, SEALS_NEEDED) < 0 ||
        fchmod(fd, 0) < 0)
        return -errno;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

int ring_sealed_size(int fd, size_t *ret_bytes)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);

    if (fstat(fd, &st) < 0) return -errno;
    if (seals < 0 || (seals & SEALS_NEEDED) != SEALS_NEEDED || st.st_size < (off_t)RING_PAGE)
        return RING_E_BAD;
    *ret_bytes = (size_t)st.st_size;
    return 0;
}

int ring_mem_create(
    const char *uid, uint32_t generation, uint64_t settings_hash, struct ring_geom geom, int *ret_fd)
{
    CLEANUP(fd_close) int fd = -1;
    struct ring_head *head;
    int err;

    must(ring_geom_ok(geom));
    err = ring_sealed_memory("ms-ring", ring_bytes(geom), &fd);
    if (err < 0) return err;
    head = mmap(NULL, RING_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (head == MAP_FAILED) return -errno;
    head->layout = RING_LAYOUT;
    head->generation = generation;
    ring_set(head->settings_hash, settings_hash);
    head->geom = geom;
    head->created_us = clock_wall_us();
    span_copy(span_of(uid), head->uid, sizeof(head->uid));
    ring_set(head->pos.next_seq, RING_FIRST_SEQ);
    ring_set(head->pos.oldest_seq, RING_FIRST_SEQ);
    ring_set(head->pos.reserve_seq, RING_FIRST_SEQ);
    head->magic = RING_MAGIC;
    munmap(head, RING_PAGE);
    *ret_fd = fd;
    fd = -1;
    return 0;
}

int ring_mem_reopen_ro(int fd, int *ret_fd)
{
    char path[32];
    int ro, err = 0;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    /* Mode 0 stops everybody but root from opening it again; the owner lets itself in for this moment. */
    if (fchmod(fd, S_IRUSR) < 0) return -errno;
    ro = open(path, O_RDONLY | O_CLOEXEC);
    if (ro < 0) err = -errno;
    if (fchmod(fd, 0) < 0 && err == 0) err = -errno;
    if (err < 0) {
        fd_close(&ro);
        return err;
    }
    *ret_fd = ro;
    return 0;
}

int ring_map(int fd, bool writable, struct ring_map *ret)
{
    struct ring_map m = {0};
    uint8_t *mem;
    int err = ring_sealed_size(fd, &m.bytes);

    if (err != 0) return err;
    if (m.bytes < ring_bytes((struct ring_geom){RING_DATA_MIN, RING_FRAMES_MIN})) return RING_E_BAD;
    mem = mmap(NULL, m.bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    if (mem == MAP_FAILED) return -errno;
    m.head = (struct ring_head *)(void *)mem;
    memcpy(&m.geom, &m.head->geom, sizeof(m.geom));
    if (m.head->magic != RING_MAGIC || m.head->layout != RING_LAYOUT || !ring_geom_ok(m.geom) ||
        ring_bytes(m.geom) != m.bytes) {
        munmap(mem, m.bytes);
        return RING_E_BAD;
    }
    m.tracks = (struct ring_tracks *)(void *)(mem + RING_TRACKS_AT);
    m.desc = (struct ring_desc *)(void *)(mem + RING_DESC_AT);
    m.data = mem + RING_DESC_AT + (size_t)m.geom.frames * sizeof(struct ring_desc);
    *ret = m;
    return 0;
}

void ring_unmap(struct ring_map *m)
{
    if (m->head) munmap(m->head, m->bytes);
    *m = (struct ring_map){0};
}

int ring_status_map(int fd, const struct ring_status **ret)
{
    const struct ring_head *head;
    size_t bytes = 0;
    int err = ring_sealed_size(fd, &bytes);

    if (err != 0) return err;
    head = mmap(NULL, RING_PAGE, PROT_READ, MAP_SHARED, fd, 0);
    if (head == MAP_FAILED) return -errno;
    if (head->magic != RING_MAGIC || head->layout != RING_LAYOUT) {
        ring_status_unmap(&head->status);
        return RING_E_BAD;
    }
    *ret = &head->status;
    return 0;
}

void ring_status_unmap(const struct ring_status *s)
{
    /* munmap takes no pointer to const. */
    if (s) munmap((void *)((uintptr_t)s - offsetof(struct ring_head, status)), RING_PAGE);
}

const char *ring_state_word(enum stream_state state)
{
    static const char *const words[STREAM_STATES] = {
        "connecting", "active", "stale", "down", "invalid", "disabled", "idle"};

    return (unsigned)state < STREAM_STATES ? words[state] : "?";
}

const char *ring_fault_word(enum ring_fault f)
{
    static const char *const words[FAULTS] = {"rtsp_bad", "rtsp_out_of_frame", "rtsp_channel_unknown",
        "sdp_bad", "rtp_bad", "rtcp_bad", "rtp_foreign", "payload_bad", "udp_stranger", "udp_overflow"};

    must((unsigned)f < FAULTS);
    return words[f];
}

const char *ring_end_word(enum ring_end e)
{
    static const char *const words[ENDS] = {"unreachable", "auth", "capacity", "not_found", "unsupported",
        "protocol", "timeout", "closed", "silent"};

    must((unsigned)e < ENDS);
    return words[e];
}

void ring_status_get_text(
    const struct ring_status *s, const char *field, size_t field_cap, char *dst, size_t cap)
{
    size_t most = MIN(field_cap, cap), n;

    if (cap == 0) return;
    for (int i = 0; i < RING_RETRY_MAX; i++) {
        uint32_t before = atomic_load_explicit(&s->text_seq, memory_order_acquire);

        for (n = 0; n + 1 < most; n++) {
            char c = __atomic_load_n(field + n, __ATOMIC_RELAXED);

            if (c == '\0') break;
            dst[n] = c >= 0x20 && c != 0x7f ? c : '?';
        }
        dst[n] = '\0';
        atomic_thread_fence(memory_order_acquire);
        if ((before & 1) == 0 && ring_get(s->text_seq) == before) return;
    }
}
