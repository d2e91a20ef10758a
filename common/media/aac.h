/* AAC: AudioSpecificConfig and ADTS headers. Sources: ISO 14496-3 1.6.2.1 (config), 1.A.2.2 (ADTS), 4.4.1
 * (frame length). Tests: tests/unit/media/test_audio.c, fuzz_aac_config. */
#ifndef MEDIA_AAC_H
#define MEDIA_AAC_H

#include "common/base/wr.h"

#define AAC_LC           2
#define AAC_SBR          5
#define AAC_PS           29
#define AAC_ADTS_MIN     7
#define AAC_CHANNELS_MAX 8

struct aac_config {
    uint8_t object;    /* of the core: 2 for AAC-LC, with or without SBR */
    uint32_t rate;     /* of the core, Hz */
    uint32_t out_rate; /* with SBR as stated, else the same */
    uint8_t channels;  /* 0: stated by a program config element, which is not read */
    uint16_t frame;    /* samples of the core a block: 1024 or 960 */
    bool sbr, ps;      /* stated, in either way of 1.6.5 */
};

/* false: damaged, or nothing that a player would take (rate 0, reserved index). */
bool aac_config_parse(struct span s, struct aac_config *ret);
/* The two (rates out of table: five) bytes for an object type, rate and channels. */
void aac_config_write(struct wr *w, uint8_t object, uint32_t rate, uint8_t channels);

struct aac_adts {
    uint8_t object;
    uint32_t rate;
    uint8_t channels;
    uint16_t head_n;  /* 7, with CRC 9 */
    uint16_t frame_n; /* with header */
};

/* false: no ADTS header here. */
bool aac_adts_parse(struct span s, struct aac_adts *ret);

#endif
