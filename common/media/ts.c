#include "common/media/ts.h"
#include "common/media/aac.h"
#include "common/media/sets.h"

#define SYNC         0x47
#define BODY         (TS_PACKET - 4)
#define SECTION_MAX  BODY
#define PES_HEAD_MAX 19
#define ADTS_HEAD    7
#define ADTS_MAX     8191 /* 13 bits, the head counted */
#define AF_MAX       7    /* flags and PCR */
#define PCR_STEPS    128  /* between two pictures: 11.5 s, above what any sample lasts */

enum slot { SLOT_PAT = 0, SLOT_PMT = 1, SLOT_TRACKS = 2 };
enum adaptation { AF_DISCONT = 0x80, AF_RANDOM = 0x40, AF_PCR = 0x10 };
enum stream_type { TYPE_ADTS = 0x0f, TYPE_H264 = 0x1b, TYPE_H265 = 0x24 };

static const uint8_t start_code[] = {0, 0, 0, 1};
/* Any slice type may follow (primary_pic_type 7, pic_type 2), stop bit. */
static const uint8_t aud_h264[] = {0, 0, 0, 1, 9, 0xf0};
static const uint8_t aud_h265[] = {0, 0, 0, 1, 0x46, 1, 0x50};

static const uint32_t adts_rates[] = {
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350};

/* --- packets --- */

/* at NULL: packets are counted, not written. */
struct out {
    uint8_t *at;
    uint32_t packets;
    uint8_t cc[TS_SLOTS];
};

static uint16_t pid_of(unsigned slot)
{
    if (slot == SLOT_PAT) return 0;
    return (uint16_t)(slot == SLOT_PMT ? TS_PID_PMT : TS_PID_TRACKS + slot - SLOT_TRACKS);
}

static void adaptation_field(uint8_t *at, struct span af, size_t room)
{
    at[0] = (uint8_t)(room - 1);
    if (room == 1) return;
    memset(at + 1, 0xff, room - 1);
    at[1] = 0;
    if (af.n > 0) memcpy(at + 1, af.p, af.n);
}

/* A packet with the adaptation field `af`, as much stuffing as it takes, and n bytes of payload. Returns
 * where those go. */
static uint8_t *packet(struct out *o, unsigned slot, bool start, struct span af, size_t n)
{
    bool has_af = af.n > 0 || n < BODY;
    uint8_t cc = n > 0 ? o->cc[slot] : (o->cc[slot] - 1) & 15, *b = o->at;
    uint16_t pid = pid_of(slot);

    o->packets++;
    if (n > 0) o->cc[slot] = (o->cc[slot] + 1) & 15;
    if (!b) return NULL;
    b[0] = SYNC;
    b[1] = (uint8_t)((start ? 0x40 : 0) | pid >> 8);
    b[2] = (uint8_t)pid;
    b[3] = (uint8_t)((has_af ? 0x20 : 0) | (n > 0 ? 0x10 : 0) | cc);
    if (has_af) adaptation_field(b + 4, af, BODY - n);
    o->at += TS_PACKET;
    return o->at - n;
}

/* --- tables --- */

/* 13818-1 annex A. */
static uint32_t crc32_mpeg(struct span s)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < s.n; i++) {
        crc ^= (uint32_t)s.p[i] << 24;
        for (unsigned bit = 0; bit < 8; bit++) crc = crc << 1 ^ (crc & 0x80000000u ? 0x04c11db7u : 0);
    }
    return crc;
}

static void section_head(struct wr *w, uint8_t table, uint16_t id, uint8_t version)
{
    wr_u8(w, table);
    wr_u16(w, 0xb000); /* the length comes at the end */
    wr_u16(w, id);
    wr_u8(w, (uint8_t)(0xc1 | version << 1));
    wr_u16(w, 0); /* section 0 of 0 */
}

static void section_end(struct wr *w)
{
    size_t n = w->n - 3 + 4;

    w->p[1] = (uint8_t)(0xb0 | n >> 8);
    w->p[2] = (uint8_t)n;
    wr_u32(w, crc32_mpeg(wr_span(w)));
}

static void write_pat(struct wr *w)
{
    section_head(w, 0, 1, 0);
    wr_u16(w, 1);
    wr_u16(w, 0xe000 | TS_PID_PMT);
    section_end(w);
}

/* What the older of the players go by, beside the stream type. */
static void registration(struct wr *w, enum codec codec)
{
    wr_u16(w, codec == CODEC_H265 ? 0xf006 : 0xf000);
    if (codec != CODEC_H265) return;
    wr_u8(w, 5);
    wr_u8(w, 4);
    wr_text(w, "HEVC");
}

static uint8_t type_of(enum codec codec)
{
    if (codec == CODEC_H264) return TYPE_H264;
    return codec == CODEC_H265 ? TYPE_H265 : TYPE_ADTS;
}

static void write_pmt(struct wr *w, const struct ts_program *p, uint8_t version)
{
    section_head(w, 2, 1, version);
    wr_u16(w, (uint16_t)(0xe000 | pid_of(SLOT_TRACKS + p->clock)));
    wr_u16(w, 0xf000);
    for (unsigned i = 0; i < p->tracks->n; i++) {
        if (!(p->mask & 1u << i)) continue;
        wr_u8(w, type_of(p->tracks->t[i].codec));
        wr_u16(w, (uint16_t)(0xe000 | pid_of(SLOT_TRACKS + i)));
        registration(w, p->tracks->t[i].codec);
    }
    section_end(w);
}

static void put_section(struct out *o, unsigned slot, struct span section)
{
    uint8_t *at = packet(o, slot, true, SPAN_NONE, BODY);

    if (!at) return;
    at[0] = 0; /* pointer_field */
    memcpy(at + 1, section.p, section.n);
    memset(at + 1 + section.n, 0xff, BODY - 1 - section.n);
}

static void put_tables(struct out *o, const struct ts_program *p, uint8_t version)
{
    uint8_t mem[SECTION_MAX];
    struct wr w = wr_of(mem, BODY - 1);

    if (o->at) write_pat(&w);
    put_section(o, SLOT_PAT, wr_span(&w));
    w = wr_of(mem, BODY - 1);
    if (o->at) write_pmt(&w, p, version);
    put_section(o, SLOT_PMT, wr_span(&w));
}

/* --- the program --- */

static unsigned adts_rate(uint32_t hz)
{
    unsigned i = 0;

    while (i < ARRAY_N(adts_rates) && adts_rates[i] != hz) i++;
    return i;
}

/* ADTS has two bits for the object type, four for the rate, three for the channels, and blocks of 1024. */
static bool adts_can(const struct track *t, struct aac_config *ret)
{
    if (!aac_config_parse(span(t->config, MIN(t->config_n, sizeof t->config)), ret)) return false;
    return ret->object >= 1 && ret->object <= 4 && adts_rate(ret->rate) < ARRAY_N(adts_rates) &&
        ret->channels >= 1 && ret->channels <= 8 && ret->channels != 7 && ret->frame == 1024;
}

static bool can_write(const struct track *t)
{
    struct aac_config c;

    if (t->codec == CODEC_AAC) return adts_can(t, &c);
    return t->codec == CODEC_H264 || t->codec == CODEC_H265;
}

void ts_program_of(struct ts_program *ret, const struct track_set *tracks, unsigned mask)
{
    uint8_t mem[SECTION_MAX];
    struct wr w = wr_of(mem, sizeof(mem));
    bool video = false;

    *ret = (struct ts_program){.tracks = tracks};
    for (unsigned i = tracks->n; i-- > 0;) {
        const struct track *t = &tracks->t[i];

        if (!(mask & 1u << i) || !can_write(t)) continue;
        ret->mask |= 1u << i;
        ret->sets_n[i] = (uint16_t)sets_annexb_n(t);
        if (t->kind == TRACK_VIDEO || !video) ret->clock = (uint8_t)i;
        video = video || t->kind == TRACK_VIDEO;
    }
    write_pmt(&w, ret, 0);
    ret->pmt_crc = crc32_mpeg(span_sub(wr_span(&w), 0, w.n - 4)); /* with its own it would be 0 */
}

/* --- PES packets --- */

struct pes {
    struct out *o;
    unsigned slot;
    uint8_t af[AF_MAX]; /* of its first packet */
    size_t af_n;
    size_t left;  /* bytes to come */
    uint8_t *at;  /* in the packet at hand */
    size_t room;  /* there */
    bool started; /* the first packet was begun */
};

static void next_packet(struct pes *p)
{
    struct span af = p->started ? SPAN_NONE : span(p->af, p->af_n);
    size_t most = BODY - (af.n > 0 ? 1 + af.n : 0);

    p->room = MIN(most, p->left);
    p->at = packet(p->o, p->slot, !p->started, af, p->room);
    p->started = true;
}

/* What is only counted is counted at once, as far as it fills packets. */
static void count_whole(struct pes *p, size_t *n)
{
    struct out *o = p->o;
    size_t whole = MIN(*n, p->left) / BODY;

    if (o->at || !p->started) return;
    o->packets += (uint32_t)whole;
    o->cc[p->slot] = (uint8_t)((o->cc[p->slot] + whole) & 15);
    p->left -= whole * BODY;
    *n -= whole * BODY;
}

/* s.p NULL: only its length matters. */
static void put(struct pes *p, struct span s)
{
    while (s.n > 0 && p->left > 0) {
        size_t n;

        if (p->room == 0) count_whole(p, &s.n);
        if (p->room == 0 && s.n > 0) next_packet(p);
        n = MIN(p->room, s.n);
        if (p->at && s.p) {
            memcpy(p->at, s.p, n);
            p->at += n;
        }
        p->room -= n;
        p->left -= n;
        s = s.p ? span_from(s, n) : span(NULL, s.n - n);
    }
}

static uint64_t clock90(int64_t v, uint32_t hz)
{
    return (uint64_t)scale_i64(v, 90000, hz) & 0x1ffffffffu;
}

static void write_pcr(struct wr *w, unsigned flags, uint64_t base)
{
    wr_u8(w, (uint8_t)(flags | AF_PCR));
    wr_u32(w, (uint32_t)(base >> 1));
    wr_u16(w, (uint16_t)((base & 1) << 15 | 0x7e00)); /* no extension */
}

/* The clock when this is decoded; more_us: a moment behind it. */
static uint64_t pcr_of(const struct ts_program *p, const struct mp4_sample *s, usec_t more_us)
{
    int64_t ticks = scale_i64(s->dts, 90000, p->tracks->t[s->track].clock_hz);

    return (uint64_t)(ticks + scale_i64(more_us - TS_DELAY_US, 90000, 1000000)) & 0x1ffffffffu;
}

static void write_stamp(struct wr *w, unsigned mark, uint64_t v)
{
    wr_u8(w, (uint8_t)(mark << 4 | (v >> 30 & 7) << 1 | 1));
    wr_u16(w, (uint16_t)((v >> 15 & 0x7fff) << 1 | 1));
    wr_u16(w, (uint16_t)((v & 0x7fff) << 1 | 1));
}

static size_t pes_head_n(const struct mp4_sample *s)
{
    return s->cts != 0 ? 19 : 14;
}

static void put_head(struct pes *p, const struct ts_program *prog, const struct mp4_sample *s, size_t payload)
{
    const struct track *t = &prog->tracks->t[s->track];
    uint8_t mem[PES_HEAD_MAX];
    struct wr w = wr_of(mem, sizeof(mem));
    bool both = s->cts != 0;
    size_t n = payload + pes_head_n(s) - 6;

    wr_u24(&w, 1);
    wr_u8(&w, (uint8_t)((t->kind == TRACK_VIDEO ? 0xe0 : 0xc0) + s->track));
    wr_u16(&w, n <= UINT16_MAX ? (uint16_t)n : 0); /* 0: as long as it is, for video only */
    wr_u8(&w, 0x84);                               /* data_alignment_indicator */
    wr_u8(&w, both ? 0xc0 : 0x80);
    wr_u8(&w, both ? 10 : 5);
    write_stamp(&w, both ? 3 : 2, clock90(s->dts + s->cts, t->clock_hz));
    if (both) write_stamp(&w, 1, clock90(s->dts, t->clock_hz));
    put(p, wr_span(&w));
}

static struct pes pes_begin(
    struct out *o, const struct ts_program *prog, const struct mp4_sample *s, size_t payload, bool discont)
{
    struct pes p = {.o = o, .slot = SLOT_TRACKS + s->track, .left = payload + pes_head_n(s)};
    unsigned flags = (discont ? AF_DISCONT : 0) | (s->flags & FRAME_KEY ? AF_RANDOM : 0);
    struct wr w = wr_of(p.af, sizeof(p.af));

    if (s->track == prog->clock) write_pcr(&w, flags, pcr_of(prog, s, 0));
    p.af_n = w.n;
    put_head(&p, prog, s, payload);
    return p;
}

/* --- pictures --- */

/* Length by length, a start code in place of each. What is no NAL unit at the end is zeros: annex B allows
 * these. */
static void put_nals(struct pes *p, struct span data)
{
    static const uint8_t zeros[4];
    struct rd r = rd_of(data);

    while (rd_left(&r) >= 4) {
        size_t n = rd_u32(&r);

        put(p, span(start_code, sizeof start_code));
        put(p, rd_bytes(&r, MIN(n, rd_left(&r))));
    }
    put(p, span(zeros, rd_left(&r)));
}

static void put_sets(struct pes *p, const struct track *t)
{
    struct sets sets = sets_of(t);
    struct span nal;

    while (sets_next(&sets, &nal)) {
        put(p, span(start_code, sizeof start_code));
        put(p, nal);
    }
}

/* The clock goes on while a picture stands. */
static void put_clock(struct out *o, const struct ts_program *p, const struct mp4_sample *s)
{
    usec_t dur_us = ticks_us((struct ticks){s->dur, p->tracks->t[s->track].clock_hz});
    uint8_t af[AF_MAX];

    for (unsigned i = 1; i < PCR_STEPS && i * TS_PCR_US < dur_us; i++) {
        struct wr w = wr_of(af, sizeof(af));

        write_pcr(&w, 0, pcr_of(p, s, i * TS_PCR_US));
        packet(o, SLOT_TRACKS + p->clock, false, wr_span(&w), 0);
    }
}

static void put_picture(struct out *o, const struct ts_piece *part, bool discont)
{
    const struct ts_program *prog = part->program;
    const struct mp4_sample *s = part->s;
    const struct track *t = &prog->tracks->t[s->track];
    struct span aud =
        t->codec == CODEC_H265 ? span(aud_h265, sizeof aud_h265) : span(aud_h264, sizeof aud_h264);
    bool key = s->flags & FRAME_KEY;
    size_t payload = aud.n + (key ? prog->sets_n[s->track] : 0) + s->size;
    struct pes p = pes_begin(o, prog, s, payload, discont);

    put(&p, aud);
    if (key) put_sets(&p, t);
    if (o->at)
        put_nals(&p, span_sub(part->data, 0, s->size));
    else
        put(&p, span(NULL, s->size));
    if (s->track == prog->clock) put_clock(o, prog, s);
}

/* --- sound --- */

static void put_adts(struct pes *p, const struct aac_config *c, size_t size)
{
    uint8_t mem[ADTS_HEAD];
    struct wr w = wr_of(mem, sizeof(mem));
    unsigned rate = adts_rate(c->rate), channels = c->channels == 8 ? 7u : c->channels;
    size_t n = size + ADTS_HEAD;

    wr_u16(&w, 0xfff1); /* MPEG-4, layer 0, no CRC */
    wr_u8(&w, (uint8_t)((c->object - 1u) << 6 | rate << 2 | channels >> 2));
    wr_u8(&w, (uint8_t)((channels & 3) << 6 | n >> 11));
    wr_u16(&w, (uint16_t)((n & 0x7ff) << 5 | 0x1f));
    wr_u8(&w, 0xfc); /* buffer fullness: variable rate; one block */
    put(p, wr_span(&w));
}

/* Blocks that follow one another without a hole, from the first on: one PES packet. */
static size_t blocks(const struct mp4_sample *s, size_t n, size_t *ret_bytes)
{
    size_t i = 0, bytes = 0;

    for (; i < n && s[i].track == s[0].track; i++) {
        int64_t step = i > 0 ? s[i].dts - s[i - 1].dts : 0;

        if (s[i].size + ADTS_HEAD > ADTS_MAX || bytes + s[i].size > UINT16_MAX - ADTS_MAX) break;
        if (i > 0 && llabs(step - s[i - 1].dur) > s[i - 1].dur / 4) break;
        bytes += ADTS_HEAD + s[i].size;
    }
    *ret_bytes = bytes;
    return i;
}

static void put_sound(struct out *o, const struct ts_piece *part, size_t bytes, bool discont)
{
    struct pes p = pes_begin(o, part->program, part->s, bytes, discont);
    struct span data = part->data;
    struct aac_config c = {0};

    if (o->at) adts_can(&part->program->tracks->t[part->s->track], &c); /* it can: it is in the mask */
    for (size_t i = 0; i < part->n; i++) {
        size_t size = part->s[i].size;

        if (o->at) {
            put_adts(&p, &c, size);
            put(&p, span_sub(data, 0, size));
        } else {
            put(&p, span(NULL, ADTS_HEAD + size));
        }
        data = span_from(data, size);
    }
}

/* --- pieces --- */

/* The samples of part that make one PES packet; what has no form here is passed over. Returns how many. */
static size_t put_some(struct out *o, const struct ts_piece *rest, bool *discont)
{
    const struct ts_program *p = rest->program;
    struct ts_piece part = *rest;
    const struct mp4_sample *s = rest->s;
    bool clock = s->track == p->clock;
    size_t bytes;

    part.n = 1;
    if (!(p->mask & 1u << s->track) || s->size == 0) return 1;
    if (p->tracks->t[s->track].kind == TRACK_VIDEO) {
        put_picture(o, &part, clock && *discont);
    } else {
        part.n = blocks(s, rest->n, &bytes);
        if (part.n == 0) return 1;
        put_sound(o, &part, bytes, clock && *discont);
    }
    *discont = *discont && !clock;
    return part.n;
}

static void put_piece(struct out *o, const struct ts_piece *piece)
{
    struct ts_piece rest = *piece;
    bool discont = piece->place->discont;

    if (piece->place->tables) put_tables(o, piece->program, piece->place->version);
    while (rest.n > 0) {
        for (size_t n = put_some(o, &rest, &discont); n > 0; n--) {
            rest.data = span_from(rest.data, MIN(rest.s->size, rest.data.n));
            rest.s++;
            rest.n--;
        }
    }
}

void ts_run_next(
    struct ts_run *r, const struct ts_piece *next, usec_t start_us, bool begins, struct ts_place *ret)
{
    const struct ts_program *p = next->program;
    struct ts_place place = {0};
    struct ts_piece piece = {p, &place, next->s, next->n, SPAN_NONE};
    struct out o = {.at = NULL};

    *ret = place;
    if (p->mask == 0) return;
    if (r->pmt_crc != p->pmt_crc) {
        if (r->pmt_crc != 0) r->version = (r->version + 1) & 31;
        r->pmt_crc = p->pmt_crc;
        begins = true;
    }
    memcpy(place.cc, r->cc, sizeof(place.cc));
    memcpy(o.cc, r->cc, sizeof(o.cc));
    place.version = r->version;
    place.discont = r->discont;
    place.tables = begins || llabs(start_us - r->tables_us) >= TS_TABLES_US;
    if (place.tables) r->tables_us = start_us;
    r->discont = false;
    put_piece(&o, &piece);
    place.packets = o.packets;
    memcpy(r->cc, o.cc, sizeof(r->cc));
    *ret = place;
}

void ts_write(const struct ts_piece *piece, uint8_t *dst)
{
    struct out o = {.at = dst};

    if (piece->program->mask == 0) return;
    memcpy(o.cc, piece->place->cc, sizeof(o.cc));
    put_piece(&o, piece);
}

size_t ts_gap(const struct ts_program *p, const struct ts_place *place, uint8_t *dst)
{
    static const uint8_t jump[] = {AF_DISCONT};
    struct out o = {.at = dst};

    memcpy(o.cc, place->cc, sizeof(o.cc));
    for (unsigned slot = 0; slot < TS_SLOTS; slot++)
        if (slot < SLOT_TRACKS || p->mask & 1u << (slot - SLOT_TRACKS))
            packet(&o, slot, false, span(jump, sizeof jump), 0);
    return o.packets * TS_PACKET;
}
