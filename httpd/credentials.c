#include "httpd/credentials.h"
#include "common/base/mem.h"
#include "common/proto/auth.h"
#include "common/wire/url.h"

#include <string.h>

static char *kept(struct span token)
{
    return token.n > 0 && token.n <= ACCESS_TOKEN_MAX ? span_dup(token) : NULL;
}

static char *of_query(struct span query)
{
    char text[ACCESS_TOKEN_MAX + 1];
    char *token = url_query_get(query, "token", text, sizeof(text)) ? kept(span_of(text)) : NULL;

    explicit_bzero(text, sizeof(text));
    return token;
}

struct span cookie_get(const struct head *head, const char *want)
{
    struct span value, piece, name;
    size_t at = 0;

    while (head_next(head, "Cookie", &at, &value))
        while (span_split(&value, ';', &piece)) {
            piece = span_trim(piece);
            if (span_split(&piece, '=', &name) && span_is(name, want) && piece.p) return span_trim(piece);
        }
    return SPAN_NONE;
}

static char *of_cookie(const struct head *head)
{
    return kept(cookie_get(head, CREDENTIALS_COOKIE));
}

static char *of_authorization(struct span value, struct span *ret_login)
{
    bool login = span_istarts(value, "Basic ") || span_istarts(value, "Digest ");

    *ret_login = login ? value : SPAN_NONE;
    return kept(auth_token(value));
}

void credentials_of(const struct http_request *req, struct credentials *ret)
{
    struct span value = head_get(&req->head, "Authorization");

    *ret = (struct credentials){.token = of_query(req->query)};
    if (!ret->token) ret->token = of_authorization(value, &ret->login);
    if (!ret->token && ret->login.n == 0) ret->token = of_cookie(&req->head);
}

void credentials_done(struct credentials *c)
{
    if (c->token) explicit_bzero(c->token, strlen(c->token));
    mem_free(c->token);
    *c = (struct credentials){NULL, SPAN_NONE};
}
