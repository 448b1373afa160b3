/* Which processors this thread and ZeroMQ's may use. On a machine with one processor there is nothing to choose. */
#include "common/nearness.h"
#include "common/together.h"
#include "tests/support/run_suite.h"

#include <sched.h>

enum { SOCKETS_MAX = 4, SMALL = 200 };

static struct ek_context *context;
static struct ek_socket *socket_of_ours;
static struct ek_together *together;
static pid_t io_thread;
static cpu_set_t before;

static cpu_set_t allowed(pid_t thread)
{
    cpu_set_t set;
    ck_assert_int_eq(sched_getaffinity(thread, sizeof set, &set), 0);
    return set;
}

static void set_up(void)
{
    context = ek_context_new(1, SOCKETS_MAX);
    ck_assert_int_eq(ek_socket_open(context, EK_SOCKET_DEALER, &socket_of_ours), EK_OK);
    while (!(io_thread = ek_context_io_thread(context))) /* it names itself when it begins */
        (void)sched_yield();
    together = ek_together_new(context);
    before = allowed(0);
    cpu_set_t others = allowed(io_thread);
    ck_assert(CPU_EQUAL(&before, &others));
}

static void tear_down(void)
{
    ek_together_destroy(&together);
    ek_socket_close(&socket_of_ours);
    ek_context_destroy(&context);
}

static void lone_jobs(int count)
{
    for (int i = 0; i < count; i++)
        ek_together_pass(together, 1, SMALL);
}

START_TEST(both_are_on_one_processor_while_jobs_come_one_at_a_time)
{
    lone_jobs(EK_NEARNESS_RUN_MIN - 1);
    cpu_set_t here = allowed(0);
    ck_assert(CPU_EQUAL(&here, &before));
    lone_jobs(1);
    here = allowed(0);
    cpu_set_t there = allowed(io_thread);
    ck_assert_int_eq(CPU_COUNT(&here), 1);
    ck_assert(CPU_EQUAL(&here, &there));
    ck_assert(CPU_ISSET((unsigned)sched_getcpu(), &here));
    ek_together_pass(together, 2, SMALL);
    here = allowed(0);
    there = allowed(io_thread);
    ck_assert(CPU_EQUAL(&here, &before));
    ck_assert(CPU_EQUAL(&there, &before));
}
END_TEST

/* A processor that neither is held on: the one that comes last among those allowed, or the one before. */
static cpu_set_t another(const cpu_set_t *held)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (unsigned i = CPU_SETSIZE; i-- > 0 && CPU_COUNT(&set) == 0;)
        if (CPU_ISSET(i, &before) && !CPU_ISSET(i, held))
            CPU_SET(i, &set);
    return set;
}

START_TEST(what_somebody_else_has_changed_stays)
{
    if (CPU_COUNT(&before) < 2)
        return;
    lone_jobs(EK_NEARNESS_RUN_MIN);
    cpu_set_t held = allowed(0);
    cpu_set_t theirs = another(&held);
    ck_assert_int_eq(sched_setaffinity(io_thread, sizeof theirs, &theirs), 0);
    ek_together_pass(together, 2, SMALL);
    cpu_set_t here = allowed(0);
    cpu_set_t there = allowed(io_thread);
    ck_assert(CPU_EQUAL(&here, &before));
    ck_assert(CPU_EQUAL(&there, &theirs));
}
END_TEST

START_TEST(a_context_without_sockets_has_no_thread)
{
    struct ek_context *other = ek_context_new(1, SOCKETS_MAX);
    ck_assert_int_eq(ek_context_io_thread(other), 0);
    struct ek_together *alone = ek_together_new(other);
    for (int i = 0; i <= EK_NEARNESS_RUN_MIN; i++)
        ek_together_pass(alone, 1, SMALL);
    cpu_set_t here = allowed(0);
    ck_assert(CPU_EQUAL(&here, &before));
    ek_together_destroy(&alone);
    ek_context_destroy(&other);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("together");
    TCase *tests = tcase_create("together");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, both_are_on_one_processor_while_jobs_come_one_at_a_time);
    tcase_add_test(tests, what_somebody_else_has_changed_stays);
    tcase_add_test(tests, a_context_without_sockets_has_no_thread);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
