#include "tests/support/live_site.h"
#include "common/base/clock.h"
#include "tests/support/tool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct live_site live;

int live_start(unsigned footage_s, unsigned hubs)
{
    char path[128];

    tool_tmpdir(live.dir, sizeof(live.dir));
    snprintf(path, sizeof(path), "%s/a.mp4", live.dir);
    live.have_footage =
        media_file_make(path, "libx264", "aac", footage_s) && media_file_load(path, &live.footage) == 0;
    httpd_help_start(&live.help, hubs, NULL, 0);
    return 0;
}

int live_stop(void **state)
{
    (void)state;
    httpd_help_stop(&live.help);
    media_file_done(&live.footage);
    tool_rmdir(live.dir);
    return 0;
}

void live_need_footage(void)
{
    if (!live.have_footage) {
        print_message("skipped: no ffmpeg with libx264\n");
        skip();
    }
}

void live_camera(struct httpd_camera *c, const struct view *v, unsigned s)
{
    usec_t now = clock_wall_us();

    live_need_footage();
    httpd_camera_start(&live.help, c, v, &live.footage, now - (usec_t)s * US_PER_S);
    httpd_camera_until(c, now);
}
