#include "httpd/access.h"

static const struct {
    const char *name;
    enum access_mode mode;
} modes[] = {
    {"public", ACCESS_PUBLIC},
    {"protected", ACCESS_PROTECTED},
    {"private", ACCESS_PRIVATE},
    {"none", ACCESS_NONE},
};

enum access_mode access_mode_of(struct span text)
{
    for (size_t i = 0; i < ARRAY_N(modes); i++)
        if (span_iis(text, modes[i].name)) return modes[i].mode;
    return ACCESS_PRIVATE;
}

/* The sample configurations of the original say `rtsp` and mean every road of viewers; `hls`, `mse` and the
 * like name single ones. A list that is empty or holds one of these leaves HTTP open. */
bool access_proto_web(struct span proto)
{
    static const char *const web[] = {"rtsp", "hls", "mse", "web", "mp4"};
    struct span piece;
    bool any = false;

    while (span_split(&proto, ',', &piece)) {
        piece = span_trim(piece);
        if (piece.n == 0) continue;
        any = true;
        for (size_t i = 0; i < ARRAY_N(web); i++)
            if (span_iis(piece, web[i])) return true;
    }
    return !any;
}

bool access_public(const struct access_rule *rule)
{
    return rule->mode == ACCESS_PUBLIC && !rule->whitelist;
}

struct access_answer access_decide(const struct access_rule *rule, enum access_op op)
{
    if (rule->mode == ACCESS_NONE) return (struct access_answer){403, "nobody may watch this stream"};
    if (rule->mode != ACCESS_PUBLIC) return (struct access_answer){403, "this stream is not public"};
    if (rule->whitelist) return (struct access_answer){403, "this stream is open to listed addresses only"};
    if (!rule->web) return (struct access_answer){403, "this stream is not offered over HTTP"};
    if (!rule->enabled && op == ACCESS_LIVE)
        return (struct access_answer){503, "this stream is switched off"};
    return (struct access_answer){200, ""};
}
