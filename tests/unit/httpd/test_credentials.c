/* What a request brings to be let in by, and which of it counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "httpd/credentials.h"

static void expect(const char *target, const char *fields, const char *token, const char *login)
{
    char text[2 * ACCESS_TOKEN_MAX + 4096];
    struct http_request req;
    struct head_find find = {0};
    struct credentials c;
    size_t n = (size_t)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", target, fields);

    assert_int_equal(http_request_parse(&find, span(text, n), 0, &req, &n), 0);
    credentials_of(&req, &c);
    if (token ? !c.token || strcmp(c.token, token) != 0 : c.token != NULL)
        fail_msg("%s %s: %s", target, fields, c.token ? c.token : "none");
    assert_true(login ? span_is(c.login, login) : c.login.n == 0);
    credentials_done(&c);
    assert_null(c.token);
    credentials_done(&c);
}

static void ways(void **state)
{
    static const struct {
        const char *target, *fields, *token, *login;
    } rows[] = {
        {"/a", "", NULL, NULL},
        {"/a?token=t1", "", "t1", NULL},
        {"/a?x=y&token=a%20b%2bc&token=second", "", "a b+c", NULL},
        {"/a?token=", "", NULL, NULL},
        {"/a?xtoken=t1&tokenx=t2", "", NULL, NULL},
        {"/a?token=%zz", "", "%zz", NULL},
        {"/a", "Authorization: t1\r\n", "t1", NULL},
        {"/a", "Authorization: Bearer t1\r\n", "t1", NULL},
        {"/a", "authorization: bEaReR  t1 \r\n", "t1", NULL},
        {"/a", "Authorization: Bearer \r\n", "Bearer", NULL},
        {"/a", "Authorization:\r\n", NULL, NULL},
        {"/a", "Authorization: Basic dTpw\r\n", NULL, "Basic dTpw"},
        {"/a", "Authorization: Digest username=\"u\"\r\n", NULL, "Digest username=\"u\""},
        {"/a", "Authorization: Negotiate dTpw\r\n", NULL, NULL},
        {"/a", "Cookie: ms_token=t1\r\n", "t1", NULL},
        {"/a", "Cookie: a=b;ms_token = t1 ; c\r\n", NULL, NULL},
        {"/a", "Cookie: a=b; ms_token=t1; ms_token=t2\r\n", "t1", NULL},
        {"/a", "Cookie: a=b\r\nCookie: ms_token=t1\r\n", "t1", NULL},
        {"/a", "Cookie: xms_token=t1; ms_tokenx=t2; ms_token\r\n", NULL, NULL},
        {"/a", "Cookie: ms_token=\r\n", NULL, NULL},
        /* the URL before the field before the cookie */
        {"/a?token=t1", "Authorization: t2\r\nCookie: ms_token=t3\r\n", "t1", NULL},
        {"/a", "Authorization: t2\r\nCookie: ms_token=t3\r\n", "t2", NULL},
        {"/a?token=t1", "Authorization: Basic dTpw\r\n", "t1", NULL},
        {"/a", "Authorization: Basic dTpw\r\nCookie: ms_token=t3\r\n", NULL, "Basic dTpw"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        expect(rows[i].target, rows[i].fields, rows[i].token, rows[i].login);
}

static void limits(void **state)
{
    static char token[ACCESS_TOKEN_MAX + 2], text[ACCESS_TOKEN_MAX + 64];

    (void)state;
    memset(token, 'a', ACCESS_TOKEN_MAX);
    snprintf(text, sizeof(text), "/a?token=%s", token);
    expect(text, "", token, NULL);
    snprintf(text, sizeof(text), "Authorization: %s\r\n", token);
    expect("/a", text, token, NULL);
    snprintf(text, sizeof(text), "Cookie: ms_token=%s\r\n", token);
    expect("/a", text, token, NULL);
    token[ACCESS_TOKEN_MAX] = 'a';
    snprintf(text, sizeof(text), "/a?token=%s", token);
    expect(text, "", NULL, NULL);
    snprintf(text, sizeof(text), "Authorization: Bearer %s\r\n", token);
    expect("/a", text, NULL, NULL);
    snprintf(text, sizeof(text), "Cookie: ms_token=%s\r\n", token);
    expect("/a", text, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ways),
        cmocka_unit_test(limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
