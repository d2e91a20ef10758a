/* master/machine: what the kernel's texts say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "master/machine.h"

static void processors(void **state)
{
    struct machine_counts c = {0};

    (void)state;
    assert_true(machine_read_cpu(SPAN_LIT("cpu  10 1 5 100 20 2 3 4 7 1\ncpu0 1 1 1 1 1 1 1 1 1 1\n"), &c));
    assert_int_equal(c.cpu_all, 145);
    assert_int_equal(c.cpu_busy, 25); /* guests are in user; waiting is no work */
    assert_false(machine_read_cpu(SPAN_LIT("cpu0 1 2 3\n"), &c));
    assert_false(machine_read_cpu(SPAN_LIT(""), &c));
    assert_true(machine_read_cpu(SPAN_LIT("cpu 1 x"), &c));
    assert_int_equal(c.cpu_all, 1);
}

static void network(void **state)
{
    static const char text[] =
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets\n"
        "    lo: 1000 1 0 0 0 0 0 0 1000 1 0 0 0 0 0 0\n"
        "  eth0: 500 1 0 0 0 0 0 0 70 1 0 0 0 0 0 0\n"
        "wlan0:20 1 0 0 0 0 0 0 3 1 0 0 0 0 0 0\n";
    struct machine_counts c = {.net_in = 9};

    (void)state;
    machine_read_net(span_of(text), &c);
    assert_int_equal(c.net_in, 520);
    assert_int_equal(c.net_out, 73);
    machine_read_net(SPAN_LIT("eth0:"), &c);
    assert_int_equal(c.net_in, 0);
}

static bool is_vd(struct span name)
{
    return name.n == 3 && span_starts(name, SPAN_LIT("vd"));
}

static void disks(void **state)
{
    static const char text[] = "   7       0 loop0 2 8 11 15 17 15 46 17 0 16 40 0 0 0 0 6 7\n"
                               " 254       0 vda 1 2 10 4 5 6 20 8 0 1 1\n"
                               " 254       1 vda1 1 2 10 4 5 6 20 8 0 1 1\n"
                               " 254      16 vdb 1 2 1 4 5 6 2\n";
    struct machine_counts c = {.disk_read = 9};

    (void)state;
    machine_read_disks(span_of(text), is_vd, &c);
    assert_int_equal(c.disk_read, 11 * 512);
    assert_int_equal(c.disk_written, 22 * 512);
    machine_read_disks(SPAN_LIT("254 0 vda 1"), is_vd, &c);
    assert_int_equal(c.disk_read + c.disk_written, 0);
}

static void memory(void **state)
{
    static const char text[] = "MemTotal:       1000 kB\nMemFree:         10 kB\nMemAvailable:    600 kB\n";

    (void)state;
    assert_int_equal(machine_read_memory(span_of(text), "MemTotal"), 1000 * 1024);
    assert_int_equal(machine_read_memory(span_of(text), "MemAvailable"), 600 * 1024);
    assert_int_equal(machine_read_memory(span_of(text), "Swap"), 0);
}

static void a_day(void **state)
{
    static struct machine x;

    (void)state;
    assert_null(machine_minute(&x, 0));
    for (int i = 0; i < MACHINE_MINUTES + 5; i++) x.minutes[x.n++ % MACHINE_MINUTES].at_s = i;
    assert_int_equal(machine_minute(&x, 0)->at_s, 5);
    assert_int_equal(machine_minute(&x, MACHINE_MINUTES - 1)->at_s, MACHINE_MINUTES + 4);
    assert_null(machine_minute(&x, MACHINE_MINUTES));
}

/* The first one once a minute has passed. */
static void when_a_minute_is_kept(void **state)
{
    static struct machine x;

    (void)state;
    assert_false(machine_minute_due(&x, 59 * US_PER_S, 1000));
    assert_true(machine_minute_due(&x, 60 * US_PER_S, 1000));
    x.minutes[x.n++].at_s = 1000;
    assert_false(machine_minute_due(&x, 90 * US_PER_S, 1059));
    assert_true(machine_minute_due(&x, 120 * US_PER_S, 1060));
    assert_true(machine_minute_due(&x, 90 * US_PER_S, 999)); /* the clock was set back */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processors),
        cmocka_unit_test(network),
        cmocka_unit_test(disks),
        cmocka_unit_test(memory),
        cmocka_unit_test(when_a_minute_is_kept),
        cmocka_unit_test(a_day),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
