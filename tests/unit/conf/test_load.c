/* common/conf: whole configurations, the mistakes they can have, and what is derived. */
#include "tests/support/conf_files.h"
#include "common/base/log.h"
#include "common/conf/keys.h"
#include "common/conf/nodes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static struct conf_files *const f = &conf_files;

/* Every key of compatibility.md 1, indented as the original's sample is. */
static const char SAMPLE[] = "# the whole server\n"
                             "[server]\n"
                             "    node-id = 7\n"
                             "    node-host = n7.example\n"
                             "    cluster-enable = false\n"
                             "    cluster-id = 3\n"
                             "    cluster-controller = \"https://ctl.example/hook?key=a#b\"\n"
                             "    cluster-warming-up = 61s\n"
                             "    cluster-tolerance = 181s\n"
                             "    cluster-ping-interval = 11s\n"
                             "    sys-limit = 81921\n"
                             "    sys-umask = 777\n"
                             "    threads-medium = 10\n"
                             "    threads-media = 12\n"
                             "    threads-web = 5\n"
                             "    threads-sched = 5\n"
                             "    [[stream]]\n"
                             "        enable = rtsp, web\n"
                             "        rtsp = *:554:/\n"
                             "        publish = *:7554:/\n"
                             "        web = *:444/ # without the colon\n"
                             "        whitelist-access = 10.0.0.0/8, 192.168.1.1\n"
                             "        whitelist-publishers =\n"
                             "        auth-module = modules/auth/validate.lua\n"
                             "        auth-secret = \"s#e;c r]e[t<>\"\n"
                             "        ssl-enable = false\n"
                             "        ssl-cert = /etc/ssl/c.pem\n"
                             "        ssl-key = keys/k.pem\n"
                             "        reconnect-numbers = 501\n"
                             "        reconnect-timeout = 9s\n"
                             "        reconnect-interval = 29m\n"
                             "        reconnect-invalid = 11\n"
                             "        [[[keys]]]\n"
                             "            k1 = \"one,#1\", 2026-01-01, 2027-01-01T00:00:00Z\n"
                             "            k2 = two\n"
                             "            k3 = three, , 1800000000\n"
                             "    [[module]]\n"
                             "        listen = *:8080\n"
                             "        cpanel-enable = true\n"
                             "        cpanel-baseurl = /cpanel/\n"
                             "        cpanel-module = modules/cpanel/cpanel.lua\n"
                             "        cpanel-whitelist = 127.0.0.1\n"
                             "        cpanel-auth = basic\n"
                             "        api-enable = true\n"
                             "        api-baseurl = /api\n"
                             "        api-module = modules/api/api.v2.lua\n"
                             "        api-whitelist = ::1\n"
                             "        ssl-enable = false\n"
                             "        ssl-cert =\n"
                             "        ssl-key =\n"
                             "        [[[users]]]\n"
                             "            root = boss:\"p#w;1\"\n"
                             "            admin = adm:plain\n"
                             "            user =\n"
                             "            guest = \"gu:est 2\"\n"
                             "[dvr]\n"
                             "    record-tmp-dir = /tmp/x\n"
                             "    capacity-enforce = true\n"
                             "[streams]\n"
                             "    include = streams/*.ini\n"
                             "[nodes]\n"
                             "    include = media-server.nodes\n"
                             "[storages]\n"
                             "    default = /storage\n"
                             "    fast = ssd\n"
                             "    [[big]]\n"
                             "        path = /mnt/big/\n"
                             "        free = 20G\n"
                             "        index-path = /ssd/index\n";

static const char CAM[] = "[cam-1]\n"
                          "    primary-node = h2\n"
                          "    secondary-node = h3, h4\n"
                          "    camera-uid = C1\n"
                          "    stream-name = \"Front door; left # 1\"\n"
                          "    stream-enable = on-demand\n"
                          "    stream-url = \"rtsp://user:p#w;d@192.168.1.5:8554/path?x=1\"\n"
                          "    stream-proto = rtsp\n"
                          "    stream-tracks = video\n"
                          "    stream-limit = 3\n"
                          "    stream-access = protected\n"
                          "    stream-whitelist = 10.1.0.0/16\n"
                          "    reconnect-timeout = 2s\n"
                          "    dvr-enable = true\n"
                          "    dvr-archive = big*3, fast\n"
                          "    dvr-duration = 10d\n"
                          "    dvr-capacity = 10G\n"
                          "    dvr-chunk = 1m\n"
                          "    dvr-ondemand\n";

static void check_server(const struct conf *c)
{
    const struct conf_server *v = &c->server;
    char path[256];

    assert_int_equal(v->node_id, 7);
    assert_string_equal(v->node_host, "n7.example");
    assert_int_equal(v->cluster_id, 3);
    assert_true(span_is(secret_reveal(&v->cluster_controller), "https://ctl.example/hook?key=a#b"));
    assert_int_equal(v->cluster_warming_up_us, 61 * US_PER_S);
    assert_int_equal(v->cluster_tolerance_us, 181 * US_PER_S);
    assert_int_equal(v->cluster_ping_interval_us, 11 * US_PER_S);
    assert_int_equal(v->sys_limit, 81921);
    assert_int_equal(v->threads, 12); /* threads-media */
    assert_int_equal(v->log_level, LOG_INFO);
    assert_int_equal(v->ring_max.bytes, 32 << 20);
    assert_string_equal(v->user_worker, "ms-worker");
    assert_int_equal(v->camera_deny.n, 6);
    snprintf(path, sizeof(path), "%s/control.sock", v->state_dir);
    assert_string_equal(v->control_socket, path);
    assert_int_equal(c->n_nodes, 2);
    assert_int_equal(c->nodes[1].id, 3);
    assert_string_equal(c->nodes[1].paths[0].host, "h3.example");
}

static void check_delivery(const struct conf *c)
{
    const struct conf_delivery *d = &c->delivery;
    char path[256];

    assert_int_equal(d->enable, CONF_ROAD_RTSP | CONF_ROAD_WEB);
    assert_int_equal(d->web.n, 1);
    assert_int_equal(d->web.v[0].port, 444);
    assert_string_equal(d->web.v[0].host, "*");
    assert_string_equal(d->web.v[0].base, "/");
    assert_string_equal(d->whitelist_access.text, "10.0.0.0/8, 192.168.1.1/32");
    assert_int_equal(d->whitelist_publishers.n, 0);
    assert_true(span_is(secret_reveal(&d->auth_secret), "s#e;c r]e[t<>"));
    snprintf(path, sizeof(path), "%s/keys/k.pem", c->dir);
    assert_string_equal(d->tls.key, path);
    assert_int_equal(d->reconnect.numbers, 501);
    assert_int_equal(d->reconnect.invalid, 11);
    assert_string_equal(d->web_allow_origin, "*");
    assert_int_equal(d->n_keys, 3);
    assert_string_equal(d->keys[0].kid, "k1");
    assert_true(span_is(secret_reveal(&d->keys[0].secret), "one,#1"));
    assert_int_equal(d->keys[0].not_before_s, 1767225600);
    assert_int_equal(d->keys[0].not_after_s, 1798761600);
    assert_true(span_is(secret_reveal(&d->keys[1].secret), "two"));
    assert_int_equal(d->keys[2].not_after_s, 1800000000);
}

static void check_module(const struct conf *c)
{
    const struct conf_module *m = &c->module;

    assert_int_equal(m->listen.v[0].port, 8080);
    assert_string_equal(m->cpanel_baseurl, "/cpanel");
    assert_string_equal(m->api_whitelist.text, "::1/128");
    assert_string_equal(m->users[CONF_ROLE_ROOT].login, "boss");
    assert_true(span_is(secret_reveal(&m->users[CONF_ROLE_ROOT].password), "p#w;1"));
    assert_true(span_is(secret_reveal(&m->users[CONF_ROLE_ADMIN].password), "plain"));
    assert_string_equal(m->users[CONF_ROLE_USER].login, "");
    assert_string_equal(m->users[CONF_ROLE_GUEST].login, "gu");
    assert_true(span_is(secret_reveal(&m->users[CONF_ROLE_GUEST].password), "est 2"));
}

static void check_storages(const struct conf *c)
{
    char path[256];

    assert_int_equal(c->n_storages, 3);
    assert_string_equal(c->storages[0].path, "/storage");
    assert_string_equal(c->storages[0].free_text, "");
    snprintf(path, sizeof(path), "%s/ssd", c->dir);
    assert_string_equal(conf_storage(c, SPAN_LIT("fast"))->path, path);
    assert_string_equal(conf_storage(c, SPAN_LIT("big"))->path, "/mnt/big");
    assert_string_equal(conf_storage(c, SPAN_LIT("big"))->index_path, "/ssd/index");
    assert_string_equal(conf_storage(c, SPAN_LIT("big"))->free_text, "21474836480");
    assert_true(c->dvr.capacity_enforce);
    assert_int_equal(c->dvr.sync_us, 5 * US_PER_S);
}

static void check_stream(const struct conf *c)
{
    const struct conf_stream *s = conf_stream(c, SPAN_LIT("cam-1"));
    char set[CONF_SET_MAX];

    assert_non_null(s);
    assert_int_equal(c->n_streams, 1);
    assert_int_equal(s->secondary_node.n, 2);
    assert_string_equal(s->secondary_node.v[1], "h4");
    assert_string_equal(s->camera_uid, "C1");
    assert_string_equal(s->name, "Front door; left # 1");
    assert_int_equal(s->enable, CONF_ON_DEMAND);
    assert_true(span_is(secret_reveal(&s->url), "rtsp://user:p#w;d@192.168.1.5:8554/path?x=1"));
    assert_string_equal(s->host, "192.168.1.5");
    assert_int_equal(s->port, 8554);
    assert_null(s->unready);
    assert_string_equal(conf_proto_text(s->proto, set), "rtsp");
    assert_string_equal(conf_tracks_text(s->tracks, set), "video");
    assert_string_equal(conf_access_word(s->access), "protected");
    assert_string_equal(s->whitelist.text, "10.1.0.0/16");
    assert_int_equal(s->limit, 3);
    assert_int_equal(s->reconnect.timeout_us, 2 * US_PER_S); /* its own */
    assert_int_equal(s->reconnect.numbers, 501);             /* the server's */
    assert_int_equal(s->reconnect.interval_us, 29 * 60 * US_PER_S);
    assert_false(s->dvr_ondemand); /* a bare key is an empty value, and that is no value for a boolean */
    assert_string_equal(conf_dvr_mode_word(s->dvr_mode), "continuous");
    assert_true(s->record);
    assert_string_equal(s->dvr_archive.text, "big*3, fast");
    assert_int_equal(s->dvr_duration_us, 864000 * US_PER_S);
    assert_int_equal(s->dvr_capacity.bytes, 10737418240);
    assert_int_equal(s->dvr_chunk_us, 60 * US_PER_S);
}

static void check_all(const struct conf *c)
{
    check_server(c);
    check_delivery(c);
    check_module(c);
    check_storages(c);
    check_stream(c);
}

/* Indentation taken away, and turned into something else. */
static void reindent(const char *text, const char *with, char *dst, size_t cap)
{
    struct span rest = span_of(text), line;
    size_t n = 0;

    while (span_split(&rest, '\n', &line)) {
        line = span_trim(line);
        n += (size_t)snprintf(dst + n, cap - n, "%s%.*s\n", with, SPAN_FMT(line));
    }
}

static void test_sample_flat_and_indented(void **state)
{
    static char text[8192];

    (void)state;
    conf_files_put(f, "media-server.nodes", "# the others\n  2 = h2.example\n  3 = h3.example\n");
    conf_files_put(f, "streams/cam-1.ini", CAM);
    conf_files_ok(SAMPLE);
    check_all(f->conf);
    assert_int_equal(f->report.mistakes, 0);
    reindent(SAMPLE, "", text, sizeof(text));
    conf_files_put(f, "media-server.ini", text);
    reindent(CAM, "", text, sizeof(text));
    conf_files_put(f, "streams/cam-1.ini", text);
    conf_files_ok(NULL);
    check_all(f->conf);
    reindent(SAMPLE, "\t \t", text, sizeof(text));
    conf_files_put(f, "media-server.ini", text);
    reindent(CAM, "   ", text, sizeof(text));
    conf_files_put(f, "streams/cam-1.ini", text);
    conf_files_ok(NULL);
    check_all(f->conf);
}

static void test_empty_is_the_defaults(void **state)
{
    (void)state;
    conf_files_ok("");
    assert_int_equal(f->conf->server.node_id, 1);
    assert_int_equal(f->conf->delivery.rtsp.v[0].port, 554);
    assert_int_equal(f->conf->delivery.publish.v[0].port, 7554);
    assert_int_equal(f->conf->delivery.web.v[0].port, 444);
    assert_int_equal(f->conf->module.listen.v[0].port, 8080);
    assert_int_equal(f->conf->delivery.enable, 7);
    assert_int_equal(f->conf->n_streams, 0);
    assert_int_equal(f->conf->n_storages, 0);
    assert_int_equal(f->report.mistakes, 0);
}

static void test_empty_values(void **state)
{
    (void)state;
    conf_files_ok("[server]\nnode-id =\n[[stream]]\nrtsp =\nweb-allow-origin =\nreconnect-timeout = \"\"\n");
    assert_int_equal(f->conf->server.node_id, 1);  /* as if it were not there */
    assert_int_equal(f->conf->delivery.rtsp.n, 0); /* no listener */
    assert_string_equal(f->conf->delivery.web_allow_origin, "");
    assert_int_equal(f->conf->delivery.reconnect.timeout_us, 10 * US_PER_S);
}

static void test_every_mistake_is_named(void **state)
{
    (void)state;
    conf_files_put(f, "streams/a.ini", "[a]\nstream-url = ftp://x/\ndvr-duration = soon\n\n[[deep]]\n");
    conf_files_put(f, "streams/b.ini", "[live]\n");
    conf_files_bad(
        "[server]\nnode-id = 0\nfuture-key = 1\nthreads = many\n[[stream]]\nweb = nowhere\nenable = web, tv\n"
        "auth-secret = \"open\n[unheard]\nx = 1\n[dvr]\ncapacity-enforce = perhaps\n");
    assert_int_equal(f->report.mistakes, 9);
    assert_true(
        conf_files_said(f, CONF_MISTAKE, 2, "server/node-id", "\"0\" is not a number from 1 to 65535"));
    assert_true(conf_files_said(f, CONF_WARNING, 3, "server/future-key", "unknown"));
    assert_true(conf_files_said(f, CONF_MISTAKE, 4, "server/threads", "\"many\""));
    assert_true(conf_files_said(f, CONF_MISTAKE, 6, "server/stream/web", "host:port:base-url"));
    assert_true(
        conf_files_said(f, CONF_MISTAKE, 7, "server/stream/enable", "\"tv\" is none of rtsp, publish, web"));
    assert_true(conf_files_said(f, CONF_MISTAKE, 8, "", "quote is not closed"));
    assert_true(conf_files_said(f, CONF_WARNING, 9, "unheard", "unknown section"));
    assert_true(conf_files_said(f, CONF_MISTAKE, 12, "dvr/capacity-enforce", "neither true nor false"));
    assert_true(conf_files_said(f, CONF_MISTAKE, 2, "a/stream-url", "rtsp rtsps tcp udp publish"));
    assert_true(conf_files_said(f, CONF_MISTAKE, 3, "a/dvr-duration", "not a duration"));
    assert_true(conf_files_said(f, CONF_WARNING, 5, "a/deep", "unknown section"));
    assert_true(conf_files_said(f, CONF_MISTAKE, 1, "live", "reserved"));
}

static void test_report_names_no_secret(void **state)
{
    char out[16384] = "", huge[2200];
    FILE *to = fmemopen(out, sizeof(out), "w");

    (void)state;
    memset(huge, 'x', sizeof(huge));
    snprintf(huge + 1100, 40, "HIDDEN");
    conf_files_put(f, "streams/a.ini", "[a]\nstream-url = rtsp://u:HIDDEN@host:99999/x\n");
    conf_files_put(f, "streams/b.ini", "[b]\nstream-url = \"HIDDEN\" HIDDEN\n");
    conf_files_put(f, "streams/c.ini", "[c]\nstream-url = HIDDEN\n");
    conf_files_bad(
        "[server]\ncluster-controller = HIDDEN\n[[stream]]\nauth-secret = \"HIDDEN\" x\n[[[keys]]]\nk = "
        "HIDDEN, HIDDEN\n"
        "0 = HIDDEN\n[[module]]\n[[[users]]]\nroot = HIDDEN\nadmin = :HIDDEN\n");
    assert_int_equal(f->report.mistakes, 9);
    conf_report_print(&f->report, to);
    fclose(to);
    assert_null(strstr(out, "HIDDEN"));
    assert_non_null(strstr(out, "media-server.ini:2: server/cluster-controller: "));
}

static void test_report_lines(void **state)
{
    char out[4096] = "", want[4096];
    FILE *to = fmemopen(out, sizeof(out), "w");

    (void)state;
    conf_files_bad("[server]\nnew = 1\nnode-id = x\nsys-umask = 22\n");
    conf_report_print(&f->report, to);
    fclose(to);
    snprintf(want, sizeof(want),
        "%s/media-server.ini:3: server/node-id: \"x\" is not a number from 1 to 65535\n"
        "%s/media-server.ini:2: warning: server/new: is unknown: ignored\n",
        f->dir, f->dir);
    assert_memory_equal(out, want, strlen(want));
    assert_non_null(strstr(out, ":4: note: server/sys-umask: accepted and not applied"));
}

static void test_report_shows_no_controls(void **state)
{
    char out[4096] = "", want[4096];
    FILE *to = fmemopen(out, sizeof(out), "w");

    (void)state;
    conf_files_bad("[server]\n\xe2\x80\xaeyek\xc2\x9b = 1\nnode-id = \xe2\x81\xa6x\xff\n");
    conf_report_print(&f->report, to);
    fclose(to);
    snprintf(want, sizeof(want),
        "%s/media-server.ini:3: server/node-id: \"\\u2066x\\ufffd\" is not a number from 1 to 65535\n"
        "%s/media-server.ini:2: warning: \"\\u202eyek\\u009b\" is no key of ours: ignored\n",
        f->dir, f->dir);
    assert_string_equal(out, want);
}

static void test_missing_files(void **state)
{
    (void)state;
    unlink("/nonexistent");
    assert_true(conf_files_load(f) < 0);
    assert_int_equal(f->report.mistakes, 1);
    conf_files_ok("[streams]\ninclude = nowhere/*.ini\n[nodes]\ninclude = nodes.missing\n");
    assert_true(conf_files_said(f, CONF_WARNING, 2, "streams/include", "no file matches"));
    assert_true(conf_files_said(f, CONF_WARNING, 4, "nodes/include", "there is no file"));
    conf_files_put(f, "streams/x.ini/y", ""); /* a folder where a file should be */
    conf_files_bad("");
    assert_true(conf_files_said(f, CONF_MISTAKE, 0, "", "cannot be read: Is a directory"));
}

static void test_uids(void **state)
{
    static const char *const bad[] = {"", "a/b", "a b", "-a", ".a", "..", "a:b", "live", "dvr", "api",
        "cpanel", "s", "metrics", "healthz", "readyz", "Live", "\xc3\xa9",
        "0123456789012345678901234567890123456"};
    static const char *const good[] = {
        "a", "cam-1", "A.b_c-9", "0", "alive", "012345678901234567890123456789012345"};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(bad); i++)
        if (!conf_uid_refused(span_of(bad[i]))) fail_msg("%s", bad[i]);
    for (size_t i = 0; i < ARRAY_N(good); i++)
        if (conf_uid_refused(span_of(good[i]))) fail_msg("%s", good[i]);
    conf_files_put(f, "streams/a.ini", "[a]\nstream-url = rtsp://h/\n");
    conf_files_put(f, "streams/b.ini", "[a]\nstream-url = rtsp://h/\n");
    conf_files_put(f, "streams/c.ini", "[012345678901234567890123456789012345x]\n");
    conf_files_bad("");
    assert_int_equal(f->report.mistakes, 2);
    assert_true(conf_files_said(f, CONF_MISTAKE, 1, "a", "a.ini:1 too"));
    assert_true(conf_files_said(f, CONF_MISTAKE, 1, "012345678901234567890123456789012345x", "1 to 36"));
}

static void test_stream_urls(void **state)
{
    const struct conf_stream *s;

    (void)state;
    conf_files_put(f, "streams/t.ini", "[t]\nstream-url = tcp://u:p@h:9/x?y#z\nstream-transport = udp\n");
    conf_files_put(f, "streams/u.ini", "[u]\nstream-url = \"udp://[fd00::1]/x\"\n");
    conf_files_put(f, "streams/p.ini",
        "[p]\nstream-url = publish://u:p@node/p/\ndvr-enable = true\ndvr-archive = /opt/dvr\n");
    conf_files_put(f, "streams/r.ini", "[r]\nstream-url = rtsps://h/x\n");
    conf_files_put(f, "streams/off.ini", "[off]\nstream-enable = false\n");
    conf_files_ok("");
    s = conf_stream(f->conf, SPAN_LIT("t"));
    assert_true(span_is(secret_reveal(&s->url), "rtsp://u:p@h:9/x?y"));
    assert_string_equal(conf_transport_word(s->transport), "tcp");
    s = conf_stream(f->conf, SPAN_LIT("u"));
    assert_true(span_is(secret_reveal(&s->url), "rtsp://[fd00::1]/x"));
    assert_string_equal(s->host, "fd00::1");
    assert_int_equal(s->port, 554);
    assert_int_equal(s->transport, CONF_TRANSPORT_UDP);
    s = conf_stream(f->conf, SPAN_LIT("p"));
    assert_int_equal(s->source, CONF_SOURCE_PUBLISH);
    assert_null(s->unready);
    assert_true(s->record);
    assert_string_equal(s->dvr_archive.text, "/opt/dvr");
    assert_string_equal(conf_stream(f->conf, SPAN_LIT("r"))->unready, "rtsps is not part of this version");
    assert_int_equal(conf_stream(f->conf, SPAN_LIT("off"))->enable, CONF_DISABLED);
    conf_files_put(f, "streams/off.ini", "[off]\n");
    conf_files_bad("");
    assert_true(conf_files_said(f, CONF_MISTAKE, 1, "off/stream-url", "missing"));
}

static void test_long_urls_survive_whole(void **state)
{
    char ini[5000], url[2100];

    (void)state;
    for (int over = 0; over < 2; over++) {
        snprintf(url, sizeof(url), "rtsp://user:%0200d@h/", 0);
        memset(url + strlen(url), 'x', sizeof(url) - strlen(url));
        url[2048 + over] = 0;
        snprintf(ini, sizeof(ini), "[a]\nstream-url = \"%s\"\n", url);
        conf_files_put(f, "streams/a.ini", ini);
        if (over) {
            conf_files_bad("");
            assert_true(conf_files_said(f, CONF_MISTAKE, 2, "a/stream-url", "cannot be used"));
        } else {
            conf_files_ok("");
            assert_true(span_is(secret_reveal(&conf_stream(f->conf, SPAN_LIT("a"))->url), url));
        }
    }
}

static void test_recording_modes(void **state)
{
    static const struct {
        const char *keys;
        enum conf_dvr_mode mode;
        bool record;
    } rows[] = {
        {"", CONF_DVR_OFF, false},
        {"dvr-enable = true\n", CONF_DVR_CONTINUOUS, true},
        {"dvr-enable = true\ndvr-ondemand = true\n", CONF_DVR_ONDEMAND, true},
        {"dvr-ondemand = true\n", CONF_DVR_OFF, false},
        {"dvr-enable = false\ndvr-mode = continuous\n", CONF_DVR_CONTINUOUS, true},
        {"dvr-enable = true\ndvr-mode = off\n", CONF_DVR_OFF, false},
        {"dvr-mode = event\n", CONF_DVR_EVENT, true},
        {"dvr-mode = schedule\ndvr-schedule = mon-fri 08:00-18:00, sat 22:00-06:00\n", CONF_DVR_SCHEDULE,
            true},
        {"dvr-enable = true\nstream-enable = false\n", CONF_DVR_CONTINUOUS, false},
    };
    char ini[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        const struct conf_stream *s;

        snprintf(ini, sizeof(ini), "[a]\nstream-url = rtsp://h/\n%s", rows[i].keys);
        conf_files_put(f, "streams/a.ini", ini);
        conf_files_ok("[storages]\nx = /x\ndefault = /d\n");
        s = conf_stream(f->conf, SPAN_LIT("a"));
        assert_int_equal(s->dvr_mode, rows[i].mode);
        assert_int_equal(s->record, rows[i].record);
        if (s->dvr_mode != CONF_DVR_OFF) assert_string_equal(s->dvr_archive.text, "default");
    }
    conf_files_put(f, "streams/a.ini", "[a]\nstream-url = rtsp://h/\ndvr-mode = schedule\n");
    conf_files_bad(NULL);
    assert_true(conf_files_said(f, CONF_MISTAKE, 3, "a/dvr-schedule", "is missing"));
    conf_files_put(f, "streams/a.ini",
        "[a]\nstream-url = rtsp://h/\ndvr-schedule = mon 08:00-18:00, someday 08:00-09:00\n");
    conf_files_bad(NULL);
    assert_true(conf_files_said(f, CONF_MISTAKE, 3, "a/dvr-schedule", "someday"));
}

static void test_archives(void **state)
{
    (void)state;
    conf_files_put(f, "streams/a.ini", "[a]\nstream-url = rtsp://h/\ndvr-enable = true\n");
    conf_files_bad("");
    assert_true(conf_files_said(f, CONF_MISTAKE, 1, "a/dvr-archive", "names no storage"));
    conf_files_ok("[storages]\nz = /z\ny = /y\n");
    assert_string_equal(conf_stream(f->conf, SPAN_LIT("a"))->dvr_archive.text, "z"); /* the first */
    conf_files_put(
        f, "streams/b.ini", "[b]\nstream-url = rtsp://h/\ndvr-archive = /z/, rel/ative*2, /z/../q\n");
    conf_files_ok(NULL);
    assert_int_equal(f->conf->n_storages, 4); /* one for each path that has none */
    assert_string_equal(conf_stream(f->conf, SPAN_LIT("b"))->dvr_archive.v[0].storage, "z");
    assert_int_equal(conf_stream(f->conf, SPAN_LIT("b"))->dvr_archive.v[1].weight, 2);
    assert_string_equal(f->conf->storages[3].path, "/q");
    assert_string_equal(f->conf->storages[3].free_text, "");
    assert_true(f->conf->storages[3].free.automatic);
    conf_files_put(f, "streams/b.ini", "[b]\nstream-url = rtsp://h/\ndvr-archive = unknown\n");
    conf_files_bad(NULL);
    assert_true(conf_files_said(f, CONF_MISTAKE, 3, "b/dvr-archive", "\"unknown\" is no storage"));
    conf_files_put(f, "streams/b.ini", "[b]\nstream-url = rtsp://h/\ndvr-archive = z*0\n");
    conf_files_bad(NULL);
    assert_true(conf_files_said(f, CONF_MISTAKE, 3, "b/dvr-archive", "no weight from 1 to 1000"));
    conf_files_put(
        f, "streams/b.ini", "[b]\nstream-url = rtsp://h/\ndvr-archive = /1,/2,/3,/4,/5,/6,/7,/8\n");
    conf_files_ok(NULL);
    conf_files_put(
        f, "streams/b.ini", "[b]\nstream-url = rtsp://h/\ndvr-archive = /1,/2,/3,/4,/5,/6,/7,/8,/9\n");
    conf_files_bad(NULL);
    assert_true(conf_files_said(f, CONF_MISTAKE, 3, "b/dvr-archive", "more than 8"));
}

static void test_storages(void **state)
{
    static char ini[8192];
    size_t n = 0;

    (void)state;
    conf_files_bad("[storages]\na = /s\nb = /s/\nc =\n[[d]]\nfree = "
                   "101%\n[[012345678901234567890123456789012]]\npath = /l\n");
    assert_int_equal(f->report.mistakes, 5);
    assert_true(conf_files_said(f, CONF_MISTAKE, 3, "storages/b", "path of the storage a"));
    assert_true(conf_files_said(f, CONF_MISTAKE, 4, "storages/c", "no path"));
    assert_true(conf_files_said(f, CONF_MISTAKE, 6, "storages/d/free", "percentage from 1% to 100%"));
    assert_true(conf_files_said(f, CONF_MISTAKE, 5, "storages/d", "no path"));
    assert_true(
        conf_files_said(f, CONF_MISTAKE, 7, "storages/012345678901234567890123456789012", "at most 32"));
    for (int over = 0; over < 2; over++) {
        n = (size_t)snprintf(ini, sizeof(ini), "[storages]\n");
        for (int i = 0; i < 64 + over; i++)
            n += (size_t)snprintf(ini + n, sizeof(ini) - n, "s%d = /%d\n", i, i);
        if (over) {
            conf_files_bad(ini);
            assert_true(conf_files_said(f, CONF_MISTAKE, 66, "storages/s64", "more than 64"));
        } else
            conf_files_ok(ini);
    }
    conf_files_ok("[storages]\na = /a\n[[a]]\nfree = 5%\n"); /* the path above, the rest below */
    assert_int_equal(f->conf->n_storages, 1);
    assert_string_equal(f->conf->storages[0].free_text, "5%");
    snprintf(ini, sizeof(ini), "[storages]\na = /%0199d\nb = /%0200d\n", 0, 0);
    conf_files_bad(ini);
    assert_int_equal(f->report.mistakes, 1);
    assert_true(conf_files_said(f, CONF_MISTAKE, 3, "storages/b", "longer than 200"));
}

static void test_nodes_and_keys(void **state)
{
    (void)state;
    conf_files_put(f, "media-server.nodes", "1 = a\n1 = b\nx = c\n70000 = d\n2 =\n");
    conf_files_bad(
        "[server]\n[[stream]]\n[[[keys]]]\n0 = x\na = s, 2027-01-01, 2026-01-01\nb = \"s\" x\nc =\nd = "
        "s, t\ne = f, 1, 2, 3\n");
    assert_int_equal(f->report.mistakes, 10);
    assert_true(conf_files_said(f, CONF_MISTAKE, 2, "nodes/1", "named before"));
    assert_true(conf_files_said(f, CONF_MISTAKE, 3, "nodes/x", "number of a node"));
    assert_true(conf_files_said(f, CONF_MISTAKE, 4, "server/stream/keys/0", "0 is auth-secret"));
    for (unsigned line = 5; line <= 9; line++) {
        static const char *const keys[] = {"a", "b", "c", "d", "e"};
        char key[64];

        snprintf(key, sizeof(key), "server/stream/keys/%s", keys[line - 5]);
        assert_true(conf_files_said(f, CONF_MISTAKE, line, key, "is not a secret"));
    }
}

static void test_server_rules(void **state)
{
    char ini[512];

    (void)state;
    conf_files_ok("[server]\nthreads = 3\nthreads-media = 9\nring-max = 9M\n");
    assert_int_equal(f->conf->server.threads, 3);
    assert_int_equal(f->conf->server.ring_max.bytes, 8 << 20);
    assert_true(conf_files_said(f, CONF_NOTE, 3, "server/threads-media", "threads is given"));
    assert_true(conf_files_said(f, CONF_NOTE, 4, "server/ring-max", "power of two"));
    conf_files_ok("[server]\nthreads-media = 4000\n");
    assert_int_equal(f->conf->server.threads, 64);
    conf_files_bad("[server]\ntime-zone = ../../etc/passwd\n[[stream]]\nweb = *:80, "
                   "127.0.0.1:80\nreconnect-timeout = 1h\n"
                   "reconnect-interval = 1m\n[[module]]\nlisten = [::1]:80\n");
    assert_true(conf_files_said(f, CONF_MISTAKE, 2, "server/time-zone", "not the name of a time zone"));
    assert_true(conf_files_said(f, CONF_MISTAKE, 4, "server/stream/web", "two listeners want port 80"));
    assert_true(conf_files_said(f, CONF_MISTAKE, 8, "server/module/listen", "two listeners want port 80"));
    conf_files_ok("[server]\n[[stream]]\nenable = false\nweb = *:80\n[[module]]\nlisten = *:80\n");
    for (int over = 0; over < 2; over++) {
        snprintf(ini, sizeof(ini), "[server]\nstate-dir = /%0*d\n", 93 + over, 0);
        if (over) {
            conf_files_bad(ini);
            assert_true(conf_files_said(f, CONF_MISTAKE, 2, "server/control-socket", "longer than the 107"));
        } else
            conf_files_ok(ini);
    }
}

/* httpd opens so many listeners, and no more are promised. */
static void test_listeners_at_their_limit(void **state)
{
    char ini[4096];

    (void)state;
    for (int over = 0; over < 2; over++) {
        int n = snprintf(ini, sizeof(ini), "[server]\n[[stream]]\nenable = web\nweb = *:1000");

        /* one is [[module]]'s own */
        for (int i = 1; i < CONF_LISTENERS_MAX - 1 + over; i++)
            n += snprintf(ini + n, sizeof(ini) - (size_t)n, ", *:%d", 1000 + i);
        snprintf(ini + n, sizeof(ini) - (size_t)n, "\n[[module]]\nlisten = *:900\n");
        if (over) {
            conf_files_bad(ini);
            assert_true(
                conf_files_said(f, CONF_MISTAKE, 6, "server/module/listen", "more than 64 listeners"));
        } else
            conf_files_ok(ini);
    }
}

static void test_one_remark_for_many(void **state)
{
    char name[32], ini[256];

    (void)state;
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "streams/c%d.ini", i);
        snprintf(ini, sizeof(ini),
            "[c%d]\nstream-url = rtsps://h/%d\ndvr-enable = true\ndvr-duration = 10d\n"
            "dvr-capacity = %dG\n",
            i, i, 10 + i);
        conf_files_put(f, name, ini);
    }
    conf_files_ok("[server]\nsys-umask = 22\n[storages]\na = /a\n");
    assert_int_equal(f->report.warnings, 1);
    assert_int_equal(f->report.n, 3);
    assert_true(conf_files_said(f, CONF_WARNING, 5, "c0",
        "dvr-capacity of 20 stream(s) deletes nothing, because [dvr] capacity-enforce is not given; enforced "
        "it would keep this one "
        "for about 0.5 days of the 10.0"));
    assert_true(conf_files_said(f, CONF_NOTE, 2, "server/sys-umask", "accepted and not applied"));
    assert_true(conf_files_said(f, CONF_NOTE, 2, "c0/stream-url",
        "rtsps is not part of this version, such a stream is down (20 streams)"));
    conf_files_ok("[storages]\na = /a\n[dvr]\ncapacity-enforce = false\n");
    assert_int_equal(f->report.warnings, 0);
}

/* What cannot work with this version yet: one note a kind, where it stands first, and how often. */
static void test_what_this_version_lacks(void **state)
{
    char name[32], ini[256];

    (void)state;
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "streams/c%d.ini", i);
        snprintf(ini, sizeof(ini), "[c%d]\nstream-url = rtsps://h/%d\nstream-access = %s\n", i, i,
            i == 0       ? "private"
                : i == 1 ? "protected"
                         : "none");
        conf_files_put(f, name, ini);
    }
    conf_files_put(
        f, "streams/p.ini", "[p]\n\nstream-url = publish://node/p\nstream-whitelist = 10.0.0.0/8\n");
    conf_files_put(f, "streams/x.ini",
        "[x]\nstream-enable = false\nstream-url = publish://node/p\nstream-access = private\n");
    conf_files_put(
        f, "streams/y.ini", "[y]\nstream-url = rtsp://h/y\nstream-access = public\nstream-whitelist =\n");
    conf_files_ok("[server]\n[[stream]]\nwhitelist-access = 192.168.0.0/16\n");
    assert_int_equal(f->report.warnings, 0);
    assert_int_equal(f->report.n, 5);
    assert_true(conf_files_said(f, CONF_NOTE, 2, "c0/stream-url",
        "accepted: rtsps is not part of this version, such a stream is down (3 streams)"));
    assert_true(conf_files_said(f, CONF_NOTE, 3, "p/stream-url", "without user and password in the URL"));
    assert_true(conf_files_said(f, CONF_NOTE, 3, "c0/stream-access", "there is no key for tokens"));
    assert_true(conf_files_said(f, CONF_NOTE, 3, "c1/stream-access", "no network is listed"));
    assert_true(conf_files_said(f, CONF_NOTE, 4, "p/stream-whitelist", "here it closes nothing"));
    conf_files_ok("[server]\n[[module]]\n[[[users]]]\nuser = u:p\n");
    assert_true(f->report.n >= 4);
    for (size_t i = 0; i < f->report.n; i++) assert_null(strstr(f->report.v[i].text, "no key for tokens"));
}

/* A camera that pushes into a server that does not listen for it, and one that nobody can ask for. */
static void test_cameras_that_push(void **state)
{
    (void)state;
    conf_files_put(f, "streams/p.ini",
        "[p]\nstream-url = publish://u:p@node/p\nstream-access = public\nstream-enable = on-demand\n");
    conf_files_ok("[server]\n[[stream]]\nenable = web\n");
    assert_int_equal(f->report.n, 2);
    assert_true(conf_files_said(f, CONF_NOTE, 2, "p/stream-url", "the publish listener is not opened"));
    assert_true(conf_files_said(f, CONF_NOTE, 4, "p/stream-enable", "on-demand is taken as true"));
    assert_int_equal(conf_stream(f->conf, SPAN_LIT("p"))->enable, CONF_ENABLED);
}

static void test_keys_given_twice(void **state)
{
    (void)state;
    conf_files_ok("[server]\nnode-id = 1\nnode-id = 2\n");
    assert_int_equal(f->conf->server.node_id, 2);
    assert_true(
        conf_files_said(f, CONF_WARNING, 3, "server/node-id", "stands in line 2 too: this one counts"));
    conf_files_bad("[server]\n[dvr]\n[server]\n");
    assert_true(conf_files_said(f, CONF_MISTAKE, 3, "", "twice, first in line 1"));
}

static void test_text_behind_a_quote(void **state)
{
    (void)state;
    conf_files_bad("[server]\nnode-host = \"a\" b\n");
    assert_true(conf_files_said(f, CONF_MISTAKE, 2, "server/node-host", "behind the closing quote"));
}

static void test_several_streams_in_a_file(void **state)
{
    (void)state;
    conf_files_put(f, "streams/two.ini", "[b]\nstream-url = rtsp://h/1\n[a]\nstream-url = rtsp://h/2\n");
    conf_files_ok("[streams]\ninclude = streams/*.ini, streams/t*.ini\n"); /* a file that two patterns match
                                                                        is read once */
    assert_int_equal(f->conf->n_streams, 2);
    assert_string_equal(f->conf->streams[0]->uid, "a");
    assert_true(conf_files_said(f, CONF_WARNING, 0, "", "holds 2 streams"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sample_flat_and_indented, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_empty_is_the_defaults, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_empty_values, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_every_mistake_is_named, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_report_names_no_secret, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_report_lines, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_report_shows_no_controls, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_missing_files, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_uids, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_stream_urls, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_long_urls_survive_whole, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_recording_modes, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_archives, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_storages, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_nodes_and_keys, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_server_rules, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_listeners_at_their_limit, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_one_remark_for_many, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_what_this_version_lacks, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_cameras_that_push, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_keys_given_twice, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_text_behind_a_quote, conf_files_up, conf_files_down),
        cmocka_unit_test_setup_teardown(test_several_streams_in_a_file, conf_files_up, conf_files_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
