#include "tests/support/ts_read.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#define PACKET    188
#define ES_MAX    (64u << 20)
#define CLOCK_MOD (INT64_C(1) << 33)
#define PCR_MOST  9000 /* 100 ms */

struct ts_read *ts_read_new(void)
{
    struct ts_read *r = NEW(struct ts_read);

    for (size_t i = 0; i < TS_READ_PIDS; i++) r->cc[i] = -1;
    r->pcr = -1;
    buf_init(&r->es, ES_MAX);
    for (size_t i = 0; i < TRACK_MAX; i++) buf_init(&r->part[i], ES_MAX);
    return r;
}

void ts_read_free(struct ts_read *r)
{
    if (!r) return;
    buf_done(&r->es);
    for (size_t i = 0; i < TRACK_MAX; i++) buf_done(&r->part[i]);
    mem_free(r);
}

static bool fail(struct ts_read *r, const char *why)
{
    if (!r->bad) r->bad = why;
    return false;
}

/* --- tables --- */

/* 13818-1 annex A: over a section with its checksum the remainder is 0. */
static uint32_t remainder_of(struct span s)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < s.n * 8; i++) {
        uint32_t in = s.p[i / 8] >> (7 - i % 8) & 1u;

        crc = (crc >> 31 ^ in) ? crc << 1 ^ 0x04c11db7u : crc << 1;
    }
    return crc;
}

static bool section(struct ts_read *r, struct rd *in, uint8_t table, struct rd *ret)
{
    struct span all = span_from(in->s, 1u + in->s.p[0]);
    size_t n = all.n < 3 ? 0 : (size_t)((all.p[1] & 15) << 8 | all.p[2]) + 3;

    if (all.n < 12 || all.p[0] != table || n > all.n || n < 12) return fail(r, "no section");
    if (remainder_of(span_sub(all, 0, n)) != 0) return fail(r, "wrong checksum of a section");
    *ret = rd_of(span_sub(all, 3, n - 7));
    return true;
}

static bool read_pat(struct ts_read *r, struct rd *in)
{
    struct rd s;

    if (!section(r, in, 0, &s)) return false;
    rd_skip(&s, 5);
    if (rd_u16(&s) != 1) return fail(r, "not program 1");
    r->pmt_pid = rd_u16(&s) & 0x1fff;
    return rd_ok(&s) || fail(r, "short PAT");
}

static bool read_pmt(struct ts_read *r, struct rd *in)
{
    struct rd s;

    if (!section(r, in, 2, &s)) return false;
    rd_skip(&s, 2);
    r->version = rd_u8(&s) >> 1 & 31;
    rd_skip(&s, 2);
    r->pcr_pid = rd_u16(&s) & 0x1fff;
    rd_skip(&s, rd_u16(&s) & 0xfff);
    r->n_streams = 0;
    r->pmts++;
    while (rd_left(&s) > 0 && r->n_streams < TRACK_MAX) {
        r->stream[r->n_streams].type = rd_u8(&s);
        r->stream[r->n_streams++].pid = rd_u16(&s) & 0x1fff;
        rd_skip(&s, rd_u16(&s) & 0xfff);
    }
    return rd_ok(&s) || fail(r, "short PMT");
}

/* --- PES packets --- */

static int64_t stamp(struct rd *p)
{
    int64_t v = (int64_t)(rd_u8(p) >> 1 & 7) << 30;

    v |= (int64_t)(rd_u16(p) >> 1) << 15;
    return v | rd_u16(p) >> 1;
}

static struct buf *part_of(struct ts_read *r, uint16_t pid)
{
    for (unsigned i = 0; i < r->n_streams; i++)
        if (r->stream[i].pid == pid) return &r->part[i];
    return NULL;
}

static bool end_pes(struct ts_read *r, uint16_t pid)
{
    struct buf *part = part_of(r, pid);
    struct rd p = rd_of(part ? buf_span(part) : SPAN_NONE);
    struct ts_pes *pes;
    uint32_t flags, n;

    if (r->open[pid] == 0 || !part) return true;
    pes = &r->pes[r->open[pid] - 1];
    r->open[pid] = 0;
    if (rd_u24(&p) != 1) return fail(r, "no PES packet");
    rd_skip(&p, 1);
    n = rd_u16(&p);
    if (n != 0 && n != rd_left(&p)) return fail(r, "a PES packet of another length than it says");
    flags = rd_u16(&p);
    rd_skip(&p, 1);
    if (!(flags & 0x80)) return fail(r, "no time");
    pes->pts = pes->dts = stamp(&p);
    if (flags & 0x40) pes->dts = stamp(&p);
    pes->at = buf_n(&r->es);
    pes->n = rd_left(&p);
    if (!rd_ok(&p)) return fail(r, "short PES head");
    if (!r->any_due && ((pes->dts - pes->pcr) & (CLOCK_MOD - 1)) > CLOCK_MOD / 2)
        return fail(r, "too late for the clock");
    buf_put(&r->es, rd_rest(&p));
    buf_clear(part);
    return true;
}

static bool media(struct ts_read *r, uint16_t pid, bool start, bool random, struct span payload)
{
    struct buf *part = part_of(r, pid);

    if (!part) return fail(r, "a PID that no table names");
    if (start) {
        if (!end_pes(r, pid)) return false;
        if (r->n_pes == TS_READ_PES) return fail(r, "more than this reader keeps");
        r->pes[r->n_pes] = (struct ts_pes){.pid = pid, .pcr = r->pcr, .random = random};
        r->open[pid] = ++r->n_pes;
    } else if (r->open[pid] == 0) {
        return fail(r, "begins inside a PES packet");
    }
    buf_put(part, payload);
    return true;
}

/* --- packets --- */

static bool clock_at(struct ts_read *r, struct rd *af)
{
    int64_t pcr = (int64_t)rd_u32(af) << 1, step;

    pcr |= rd_u16(af) >> 15;
    step = (pcr - r->pcr) & (CLOCK_MOD - 1);
    if (r->pcr >= 0 && !r->any_clock && !r->clock_may_jump && (step > PCR_MOST || step == 0))
        return fail(r, "the clock stood or jumped");
    r->pcr = pcr;
    r->clock_may_jump = false;
    r->pcrs++;
    return true;
}

static bool counter(struct ts_read *r, uint16_t pid, bool jump, bool payload, uint8_t cc)
{
    int16_t want = r->cc[pid] < 0 ? cc : (int16_t)((r->cc[pid] + (payload ? 1 : 0)) & 15);

    if (r->cc[pid] >= 0 && want != cc && !jump) return fail(r, "a counter jumped");
    r->cc[pid] = cc;
    return true;
}

static bool take(struct ts_read *r, struct span b)
{
    struct rd p = rd_of(b), af = rd_of(SPAN_NONE);
    bool jump = false, random = false, start, payload;
    uint16_t pid;
    uint8_t flags, flags2;

    r->packets++;
    if (rd_u8(&p) != 0x47) return fail(r, "out of step");
    pid = rd_u16(&p);
    start = pid & 0x4000;
    pid &= 0x1fff;
    flags = rd_u8(&p);
    payload = flags & 0x10;
    if (flags & 0x20) {
        struct span body = rd_bytes(&p, rd_u8(&p));

        if (!rd_ok(&p)) return fail(r, "an adaptation field beyond its packet");
        af = rd_of(body);
        flags2 = body.n > 0 ? rd_u8(&af) : 0;
        jump = flags2 & 0x80;
        random = flags2 & 0x40;
        r->said_jumps += jump;
        if (jump && pid == r->pcr_pid) r->clock_may_jump = true;
        if (flags2 & 0x10 && !clock_at(r, &af)) return false;
    }
    if (payload != (rd_left(&p) > 0)) return fail(r, "payload and its flag differ");
    if (!counter(r, pid, jump, payload, flags & 15)) return false;
    if (!payload) return true;
    if (pid == 0) return read_pat(r, &(struct rd){.s = rd_rest(&p)});
    if (r->pmt_pid == 0) return fail(r, "begins without tables");
    if (pid == r->pmt_pid) return read_pmt(r, &(struct rd){.s = rd_rest(&p)});
    return media(r, pid, start, random, rd_rest(&p));
}

bool ts_read(struct ts_read *r, struct span packets)
{
    if (packets.n % PACKET != 0) return fail(r, "not whole packets");
    for (; packets.n > 0 && !r->bad; packets = span_from(packets, PACKET))
        take(r, span_sub(packets, 0, PACKET));
    return !r->bad;
}

bool ts_read_end(struct ts_read *r)
{
    for (unsigned i = 0; i < r->n_streams && !r->bad; i++) end_pes(r, r->stream[i].pid);
    return !r->bad;
}
