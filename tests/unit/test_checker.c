/* The history checker on histories that are known to be good, and on ones that are known to be bad. */
#include "tests/sim/checker.h"
#include "tests/support/run_suite.h"

#include <string.h>

enum { STATES = 100000, CALLS = 40, STEPS = 4 };

static struct check_call calls[CALLS];
static struct check_step steps[CALLS][STEPS];
static size_t count;

static void set_up(void)
{
    memset(calls, 0, sizeof calls);
    memset(steps, 0, sizeof steps);
    count = 0;
}

/* The next call; its times are those given. */
static struct check_call *call(unsigned session, uint64_t called, uint64_t returned, bool writes)
{
    struct check_call *next = &calls[count];
    *next = (struct check_call){.session = session,
                                .called = called,
                                .returned = returned,
                                .stamp_high = CHECK_NEVER,
                                .maybe = returned == CHECK_NEVER,
                                .writes = writes,
                                .steps = steps[count]};
    count++;
    return next;
}

static struct check_step *add(struct check_call *to, enum check_kind kind, enum check_answer answer)
{
    struct check_step *step = &to->steps[to->step_count++];
    *step = (struct check_step){.kind = kind, .answer = answer};
    return step;
}

static void put(unsigned session, uint64_t called, uint64_t returned, int64_t value, uint64_t version)
{
    struct check_call *to = call(session, called, returned, true);
    struct check_step *step = add(to, CHECK_PUT, to->maybe ? CHECK_UNSEEN : CHECK_OK);
    step->value = value;
    step->version = version;
}

/* Value 0: not found. */
static void get(unsigned session, uint64_t called, uint64_t returned, int64_t value, uint64_t version)
{
    struct check_step *step = add(call(session, called, returned, false), CHECK_GET, value ? CHECK_OK : CHECK_NOT_FOUND);
    step->value = value;
    step->version = version;
}

static struct check_step *increment(unsigned session, uint64_t called, uint64_t returned, int64_t result)
{
    struct check_call *to = call(session, called, returned, true);
    struct check_step *step = add(to, CHECK_INCREMENT, to->maybe ? CHECK_UNSEEN : CHECK_OK);
    step->value = 1;
    step->result = result;
    return step;
}

static struct check_step *remove_key(unsigned session, uint64_t called, uint64_t returned, bool was_there)
{
    return add(call(session, called, returned, true), CHECK_DELETE, was_there ? CHECK_OK : CHECK_NOT_FOUND);
}

static enum check_verdict judge(void)
{
    struct check_report report;
    return check_run(calls, count, STATES, &report);
}

START_TEST(what_happens_one_after_the_other_is_good)
{
    put(1, 1, 2, 10, 1);
    get(2, 3, 4, 10, 1);
    ck_assert_int_eq(increment(1, 5, 6, 0)->key, 0);
    steps[2][0] = (struct check_step){.kind = CHECK_INCREMENT, .key = 1, .answer = CHECK_OK, .value = 4, .result = 4, .version = 2};
    (void)remove_key(1, 7, 8, true);
    get(1, 9, 10, 0, 0);
    (void)remove_key(2, 11, 12, false);
    ck_assert_int_eq(judge(), CHECK_LINEARIZABLE);
}
END_TEST

START_TEST(overlapping_calls_may_come_in_any_order)
{
    put(1, 1, 10, 10, 1);
    put(2, 2, 9, 20, 2);
    get(3, 3, 4, 10, 1);
    get(3, 5, 6, 20, 2);
    ck_assert_int_eq(judge(), CHECK_LINEARIZABLE);
}
END_TEST

START_TEST(a_read_of_an_old_value_is_bad)
{
    put(1, 1, 2, 10, 1);
    put(1, 3, 4, 20, 2);
    get(2, 5, 6, 10, 1);
    ck_assert_int_eq(judge(), CHECK_VIOLATION);
}
END_TEST

START_TEST(a_lost_write_is_bad)
{
    put(1, 1, 2, 10, 1);
    get(2, 3, 4, 0, 0);
    ck_assert_int_eq(judge(), CHECK_VIOLATION);
}
END_TEST

START_TEST(two_reads_that_disagree_on_the_order_are_bad)
{
    put(1, 1, 20, 10, 0);
    put(2, 2, 19, 20, 0);
    get(3, 3, 4, 10, 0);
    get(3, 5, 6, 20, 0);
    get(4, 7, 8, 10, 0);
    ck_assert_int_eq(judge(), CHECK_VIOLATION);
}
END_TEST

START_TEST(what_has_no_answer_may_have_taken_effect_late_or_never)
{
    put(1, 1, 2, 10, 1);
    put(2, 3, CHECK_NEVER, 20, 0);
    get(3, 4, 5, 10, 1);
    ck_assert_int_eq(judge(), CHECK_LINEARIZABLE);
    get(3, 6, 7, 20, 0);
    ck_assert_int_eq(judge(), CHECK_LINEARIZABLE);
    get(3, 8, 9, 10, 1); /* but only once, and then it stays */
    ck_assert_int_eq(judge(), CHECK_VIOLATION);
}
END_TEST

START_TEST(an_increment_counts_once)
{
    (void)increment(1, 1, 2, 1);
    (void)increment(2, 3, CHECK_NEVER, 0);
    (void)increment(1, 4, 5, 3);
    ck_assert_int_eq(judge(), CHECK_LINEARIZABLE);
    (void)increment(1, 6, 7, 5);
    ck_assert_int_eq(judge(), CHECK_VIOLATION);
}
END_TEST

START_TEST(an_increment_without_effect_is_bad)
{
    (void)increment(1, 1, 2, 1);
    (void)increment(2, 3, 4, 1);
    ck_assert_int_eq(judge(), CHECK_VIOLATION);
}
END_TEST

START_TEST(a_session_sees_its_own_writes_even_when_they_overlap)
{
    put(1, 1, 2, 10, 1);
    put(1, 3, 10, 20, 2);
    get(2, 4, 9, 10, 1);
    ck_assert_int_eq(judge(), CHECK_LINEARIZABLE);
    calls[2].session = 1;
    ck_assert_int_eq(judge(), CHECK_VIOLATION);
}
END_TEST

START_TEST(a_sessions_writes_keep_their_order)
{
    put(1, 1, 10, 10, 0);
    put(1, 2, 9, 20, 0);
    get(2, 11, 12, 10, 0);
    ck_assert_int_eq(judge(), CHECK_VIOLATION);
    calls[1].session = 3;
    ck_assert_int_eq(judge(), CHECK_LINEARIZABLE);
}
END_TEST

START_TEST(what_has_no_answer_never_takes_effect_behind_its_sessions_later_calls)
{
    put(1, 1, CHECK_NEVER, 10, 0);
    put(1, 2, 3, 20, 2);
    get(2, 4, 5, 20, 2);
    ck_assert_int_eq(judge(), CHECK_LINEARIZABLE);
    get(2, 6, 7, 10, 0);
    ck_assert_int_eq(judge(), CHECK_VIOLATION);
}
END_TEST

START_TEST(versions_rise)
{
    put(1, 1, 10, 10, 2);
    put(2, 2, 9, 20, 1);
    get(3, 11, 12, 20, 1);
    ck_assert_int_eq(judge(), CHECK_VIOLATION);
    count = 2;
    get(3, 11, 12, 10, 2);
    ck_assert_int_eq(judge(), CHECK_LINEARIZABLE);
    calls[0].returned = 3; /* now the higher one was known before the lower one was given */
    calls[1].called = 4;
    ck_assert_int_eq(judge(), CHECK_VIOLATION);
}
END_TEST

START_TEST(writes_follow_the_order_that_is_known)
{
    put(1, 1, 10, 10, 0);
    put(2, 2, 9, 20, 0);
    get(3, 11, 12, 20, 0);
    ck_assert_int_eq(judge(), CHECK_LINEARIZABLE);
    calls[0].order = 8;
    calls[1].order = 7;
    ck_assert_int_eq(judge(), CHECK_VIOLATION);
    steps[2][0].value = 10;
    ck_assert_int_eq(judge(), CHECK_LINEARIZABLE);
    calls[0].returned = 3; /* the later one was answered before the earlier one was called */
    calls[1].called = 4;
    ck_assert_int_eq(judge(), CHECK_VIOLATION);
}
END_TEST

START_TEST(deletes_and_refusals_have_their_place_too)
{
    put(1, 1, 2, 10, 1);
    (void)remove_key(2, 3, 20, true);
    (void)remove_key(3, 4, 19, false);
    ck_assert_int_eq(judge(), CHECK_LINEARIZABLE);
    calls[1].order = 3;
    calls[2].order = 2;
    ck_assert_int_eq(judge(), CHECK_VIOLATION);
    calls[2].order = 4;
    ck_assert_int_eq(judge(), CHECK_LINEARIZABLE);
}
END_TEST

/* Sixteen writes at once, seen in an order of their own by as many reads: a search in the dark needs many tries. */
START_TEST(a_known_order_is_found_at_once)
{
    enum { WRITES = 16, FEW_STATES = 60 };
    struct check_report report;
    for (unsigned i = 0; i < WRITES; i++)
        put(i, i + 1, 1000 + i, 10 + i, 0);
    for (unsigned i = 0; i < WRITES; i++)
        get(50, 100 + 2 * i, 101 + 2 * i, 10 + i * 7 % WRITES, 0);
    ck_assert_int_eq(check_run(calls, count, FEW_STATES, &report), CHECK_UNDECIDED);
    for (unsigned i = 0; i < WRITES; i++)
        calls[i * 7 % WRITES].order = i + 1;
    ck_assert_int_eq(check_run(calls, count, FEW_STATES, &report), CHECK_LINEARIZABLE);
    steps[WRITES][0].value = 25; /* the first read sees what came later */
    ck_assert_int_eq(check_run(calls, count, FEW_STATES, &report), CHECK_VIOLATION);
}
END_TEST

START_TEST(a_read_with_another_version_is_bad)
{
    put(1, 1, 2, 10, 5);
    get(2, 3, 4, 10, 6);
    ck_assert_int_eq(judge(), CHECK_VIOLATION);
}
END_TEST

static struct check_step *conditional(uint64_t called, enum check_condition condition, uint64_t version, enum check_answer answer)
{
    put(9, called, called + 1, 90, 0);
    struct check_step *step = &steps[count - 1][0];
    step->condition = condition;
    step->if_version = version;
    step->answer = answer;
    return step;
}

START_TEST(conditions_are_judged_on_what_was_there)
{
    put(1, 1, 2, 10, 5);
    conditional(3, CHECK_IF_ABSENT, 0, CHECK_REFUSED)->version = 5;
    conditional(5, CHECK_IF_VERSION, 4, CHECK_REFUSED)->version = 5;
    conditional(7, CHECK_IF_VERSION, 5, CHECK_OK)->version = 6;
    ck_assert_int_eq(judge(), CHECK_LINEARIZABLE);
    conditional(9, CHECK_IF_VERSION, 5, CHECK_OK)->version = 7;
    ck_assert_int_eq(judge(), CHECK_VIOLATION);
    count = 4;
    conditional(9, CHECK_IF_ABSENT, 0, CHECK_REFUSED)->version = 5; /* it is 6 by now */
    ck_assert_int_eq(judge(), CHECK_VIOLATION);
}
END_TEST

static void transfer(uint64_t called, uint64_t returned)
{
    struct check_call *both = call(1, called, returned, true);
    for (unsigned key = 0; key < 2; key++) {
        struct check_step *step = add(both, CHECK_PUT, CHECK_OK);
        step->key = key;
        step->value = (int64_t)called * 10 + key;
    }
}

/* What a scan shows of two keys; 0 = absent. */
static void scan(uint64_t called, uint64_t returned, int64_t first, int64_t second)
{
    struct check_call *both = call(2, called, returned, false);
    const int64_t values[] = {first, second};
    for (unsigned key = 0; key < 2; key++) {
        struct check_step *step = add(both, CHECK_GET, values[key] ? CHECK_OK : CHECK_NOT_FOUND);
        step->key = key;
        step->value = values[key];
    }
}

START_TEST(a_transaction_is_seen_whole_or_not_at_all)
{
    transfer(1, 20);
    scan(2, 3, 0, 0);
    scan(4, 5, 10, 11);
    ck_assert_int_eq(judge(), CHECK_LINEARIZABLE);
    count = 2;
    scan(4, 5, 10, 0);
    ck_assert_int_eq(judge(), CHECK_VIOLATION);
}
END_TEST

START_TEST(a_refused_transaction_leaves_nothing)
{
    put(1, 1, 2, 5, 1);
    transfer(3, 4);
    calls[1].refused = true;
    calls[1].refused_at = 1;
    steps[1][0].answer = CHECK_UNSEEN;
    steps[1][1] =
        (struct check_step){.kind = CHECK_PUT, .answer = CHECK_REFUSED, .value = 1, .condition = CHECK_IF_ABSENT, .version = 1};
    get(2, 5, 6, 5, 1);
    ck_assert_int_eq(judge(), CHECK_VIOLATION); /* step 1 sees what step 0 put there, of no known version, not version 1 */
    steps[1][0].key = 2;
    ck_assert_int_eq(judge(), CHECK_LINEARIZABLE);
    steps[1][1].key = 1; /* absent: nothing stood against it */
    ck_assert_int_eq(judge(), CHECK_VIOLATION);
}
END_TEST

START_TEST(a_refused_transaction_shows_what_stood_against_it)
{
    put(1, 1, CHECK_NEVER, 10, 0);
    transfer(2, 3);
    calls[1].refused = true;
    calls[1].refused_at = 1;
    steps[1][0].key = 2;
    steps[1][1] = (struct check_step){
        .kind = CHECK_PUT, .answer = CHECK_REFUSED, .condition = CHECK_IF_VERSION, .if_version = 4, .version = 1};
    put(2, 4, 5, 20, 0); /* judged, but nobody knows how */
    steps[2][0].answer = CHECK_UNSEEN;
    steps[2][0].condition = CHECK_IF_VERSION;
    steps[2][0].if_version = 2;
    get(3, 6, 7, 10, 1);
    ck_assert_int_eq(judge(), CHECK_LINEARIZABLE);
    steps[2][0].if_version = 1;
    ck_assert_int_eq(judge(), CHECK_VIOLATION);
}
END_TEST

/* A put with 100 ms to live, stamped between 1000 and 1010, and a read at a time between `low` and `high`. */
static enum check_verdict read_expiring(uint64_t low, uint64_t high, bool there)
{
    set_up();
    put(1, 1, 2, 10, 1);
    calls[0].stamp_low = 1000;
    calls[0].stamp_high = 1010;
    steps[0][0].ttl_ms = 100;
    get(2, 3, 4, there ? 10 : 0, there ? 1 : 0);
    calls[1].stamp_low = low;
    calls[1].stamp_high = high;
    return judge();
}

START_TEST(what_expires_goes_neither_early_nor_late)
{
    ck_assert_int_eq(read_expiring(1050, 1060, true), CHECK_LINEARIZABLE);
    ck_assert_int_eq(read_expiring(1050, 1060, false), CHECK_VIOLATION);
    ck_assert_int_eq(read_expiring(1095, 1105, true), CHECK_LINEARIZABLE);
    ck_assert_int_eq(read_expiring(1095, 1105, false), CHECK_LINEARIZABLE);
    ck_assert_int_eq(read_expiring(1200, 1210, false), CHECK_LINEARIZABLE);
    ck_assert_int_eq(read_expiring(1200, 1210, true), CHECK_VIOLATION);
}
END_TEST

START_TEST(what_has_expired_for_a_write_does_not_come_back)
{
    ck_assert_int_eq(read_expiring(1095, 1105, false), CHECK_LINEARIZABLE);
    get(2, 5, 6, 10, 1);
    calls[2].stamp_low = 1096;
    calls[2].stamp_high = 1106;
    ck_assert_int_eq(judge(), CHECK_LINEARIZABLE); /* the first one may have been later, by the broker's time */
    calls[1].writes = true;
    steps[1][0].kind = CHECK_DELETE;
    ck_assert_int_eq(judge(), CHECK_VIOLATION);
}
END_TEST

/* Eight clients at once, eight more without an answer: the order has to be found, or shown not to be there. */
START_TEST(many_at_once_are_decided)
{
    for (unsigned i = 0; i < 8; i++)
        put(i, i + 1, 100 + i, 10 + i, 0);
    for (unsigned i = 0; i < 8; i++)
        put(20 + i, 20 + i, CHECK_NEVER, 50 + i, 0);
    get(50, 200, 201, 13, 0);
    ck_assert_int_eq(judge(), CHECK_LINEARIZABLE);
    get(50, 202, 203, 14, 0);
    ck_assert_int_ne(judge(), CHECK_LINEARIZABLE);
}
END_TEST

static Suite *suite(void)
{
    Suite *result = suite_create("history checker");
    TCase *tests = tcase_create("histories");
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, what_happens_one_after_the_other_is_good);
    tcase_add_test(tests, overlapping_calls_may_come_in_any_order);
    tcase_add_test(tests, a_read_of_an_old_value_is_bad);
    tcase_add_test(tests, a_lost_write_is_bad);
    tcase_add_test(tests, two_reads_that_disagree_on_the_order_are_bad);
    tcase_add_test(tests, what_has_no_answer_may_have_taken_effect_late_or_never);
    tcase_add_test(tests, an_increment_counts_once);
    tcase_add_test(tests, an_increment_without_effect_is_bad);
    tcase_add_test(tests, a_session_sees_its_own_writes_even_when_they_overlap);
    tcase_add_test(tests, a_sessions_writes_keep_their_order);
    tcase_add_test(tests, what_has_no_answer_never_takes_effect_behind_its_sessions_later_calls);
    tcase_add_test(tests, versions_rise);
    tcase_add_test(tests, writes_follow_the_order_that_is_known);
    tcase_add_test(tests, deletes_and_refusals_have_their_place_too);
    tcase_add_test(tests, a_known_order_is_found_at_once);
    tcase_add_test(tests, a_read_with_another_version_is_bad);
    tcase_add_test(tests, conditions_are_judged_on_what_was_there);
    tcase_add_test(tests, a_transaction_is_seen_whole_or_not_at_all);
    tcase_add_test(tests, a_refused_transaction_leaves_nothing);
    tcase_add_test(tests, a_refused_transaction_shows_what_stood_against_it);
    tcase_add_test(tests, what_expires_goes_neither_early_nor_late);
    tcase_add_test(tests, what_has_expired_for_a_write_does_not_come_back);
    tcase_add_test(tests, many_at_once_are_decided);
    suite_add_tcase(result, tests);
    return result;
}

int main(void)
{
    return ek_run_suite(suite());
}
