/* MPEG-TS of hostile samples: two bytes choose codecs, then the decoder configuration, then samples (u8 track
 * and flags, u8 duration, u16 length, bytes). What is written has the length that was counted, and a strict
 * reader takes it. */
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/media/ts.h"
#include "tests/support/ts_read.h"

#define SAMPLES 256
#define PIECE   5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const enum codec codecs[] = {CODEC_H264, CODEC_H265, CODEC_AAC, CODEC_PCMA, CODEC_OPUS};

static struct track track_of(uint8_t byte, struct rd *r)
{
    static const uint32_t clocks[] = {90000, 8000, 48000, 1000};
    enum codec codec = codecs[byte % ARRAY_N(codecs)];
    struct track t = {.codec = codec, .kind = codec_kind(codec), .clock_hz = clocks[byte >> 6]};
    struct span config = rd_bytes(r, MIN(rd_u8(r), rd_left(r)));

    t.config_n = (uint16_t)config.n;
    if (config.n > 0) memcpy(t.config, config.p, config.n);
    return t;
}

static void write_piece(struct ts_run *run, struct ts_piece *piece, struct ts_read *reader)
{
    struct ts_place place;
    const struct track_set *tracks = piece->program->tracks;
    size_t n;
    uint8_t *mem;

    ts_run_next(run, piece, ticks_us((struct ticks){piece->s->dts, tracks->t[piece->s->track].clock_hz}),
        piece->s->flags & FRAME_KEY, &place);
    piece->place = &place;
    n = (size_t)place.packets * TS_PACKET;
    mem = mem_new(n + 1); /* exactly, so that a byte too many is seen */
    mem[n] = 0xa5;
    ts_write(piece, mem);
    must(mem[n] == 0xa5);
    if (n > 0) must(ts_read(reader, span(mem, n)));
    mem_free(mem);
    piece->place = NULL;
}

static struct mp4_sample sample_of(struct rd *r, int64_t *dts, struct buf *bytes)
{
    uint8_t head = rd_u8(r), track = head & 1;
    uint32_t dur = rd_u8(r) * (head & 2 ? 4096u : 64u) + 1;
    struct span data = rd_bytes(r, MIN(rd_u16(r), rd_left(r)));
    struct mp4_sample s = {.size = (uint32_t)data.n,
        .dts = dts[track],
        .cts = head & 4 ? 3000 : 0,
        .dur = dur,
        .flags = head & 8 ? FRAME_KEY : 0,
        .track = track};

    dts[track] += dur;
    must(buf_put(bytes, data));
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct rd r = rd_of(span(data, n));
    struct track_set tracks = {.n = 2};
    uint8_t a = rd_u8(&r), b = rd_u8(&r);
    struct ts_run run = {.discont = a & 0x20};
    struct ts_read *reader = ts_read_new();
    struct ts_program program;
    struct mp4_sample s[PIECE];
    struct ts_piece piece = {.program = &program, .s = s};
    int64_t dts[2] = {1, 1};
    struct buf bytes;

    reader->any_clock = reader->any_due = true;
    buf_init(&bytes, SIZE_MAX);
    tracks.t[0] = track_of(a, &r);
    tracks.t[1] = track_of(b, &r);
    ts_program_of(&program, &tracks, ~0u);
    for (unsigned i = 0; i < SAMPLES && rd_left(&r) >= 4; i++) {
        s[piece.n++] = sample_of(&r, dts, &bytes);
        if (piece.n < PIECE && rd_left(&r) >= 4) continue;
        piece.data = buf_span(&bytes);
        write_piece(&run, &piece, reader);
        piece.n = 0;
        buf_clear(&bytes);
    }
    buf_done(&bytes);
    ts_read_free(reader);
    return 0;
}
