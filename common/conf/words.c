#include "common/base/wr.h"
#include "common/conf/keys.h"

/* The first spelling of a value. */
static const char *word_of(const struct conf_word *words, uint32_t value)
{
    while (words->word && words->value != value) words++;
    return words->word ? words->word : "";
}

static const char *set_of(const struct conf_word *words, uint32_t set, char *dst)
{
    struct wr w = wr_of(dst, CONF_SET_MAX);

    for (; words->word; words++)
        if (set & words->value) wr_fmt(&w, "%s%s", w.n ? "," : "", words->word);
    return wr_cstr(&w);
}

const char *conf_access_word(enum conf_access a)
{
    return word_of(conf_words_access, a);
}

const char *conf_transport_word(enum conf_transport t)
{
    return word_of(conf_words_transport, t);
}

const char *conf_dvr_mode_word(enum conf_dvr_mode m)
{
    return word_of(conf_words_dvr_mode, m);
}

const char *conf_tracks_text(uint32_t tracks, char *dst)
{
    return set_of(conf_words_tracks, tracks, dst);
}

const char *conf_proto_text(uint32_t proto, char *dst)
{
    return set_of(conf_words_proto, proto, dst);
}
