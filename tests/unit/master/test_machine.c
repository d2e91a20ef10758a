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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processors),
        cmocka_unit_test(network),
        cmocka_unit_test(memory),
        cmocka_unit_test(a_day),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
