/* A check, held against the broker's core: who is asked, what counts as what, and how it ends without a result. */
#include "broker/check.h"
#include "tests/support/broker_rig.h"
#include "tests/support/moves_rig.h"
#include "tests/support/run_suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

enum { ASKER = 31, OTHER_ASKER = 32, ROWS = 10, HASH = 99 };

static uint64_t check; /* its number */

/* ---- asking and answering ---- */

static void ask(ek_broker_peer peer)
{
    struct ek_admin admin = {.id = peer + 100, .count = 1, .words = {"check"}};
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_CLIENT_ADMIN, .peer = peer, .admin = &admin});
}

static void begin(void)
{
    ask(ASKER);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_ANSWER), 0);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_CHECK), 4);
    for (size_t i = 0; i < 4; i++) {
        const struct ek_action *action = rig_action(&moves.rig, EK_ACTION_WORKER_CHECK, i);
        ck_assert_uint_eq(action->link.link, moves.links[action->peer].link);
        check = action->check;
    }
}

/* The text of the n-th answer of the last step, which must have that status. */
static const char *answer(size_t n, enum ek_wire_status status)
{
    static char text[8192];
    const struct ek_action *action = rig_action(&moves.rig, EK_ACTION_ANSWER, n);
    ck_assert_ptr_nonnull(action);
    ck_assert_uint_eq(action->answer.id, action->peer + 100);
    ck_assert_int_eq(action->answer.status, status);
    ck_assert_uint_lt(action->answer.text.size, sizeof text);
    memcpy(text, action->answer.text.data, action->answer.text.size);
    text[action->answer.text.size] = 0;
    return text;
}

static uint64_t figure(const char *name)
{
    unsigned long long value = 0;
    char wanted[64];
    (void)snprintf(wanted, sizeof wanted, "\"%s\":", name);
    const char *at = strstr(answer(0, EK_WIRE_OK), wanted);
    ck_assert_msg(at != NULL, "%s is missing", name);
    ck_assert_int_eq(sscanf(at + strlen(wanted), "%llu", &value), 1);
    return value;
}

static bool says(const char *part)
{
    return strstr(answer(0, EK_WIRE_OK), part) != NULL;
}

static struct ek_checked served(uint16_t shard)
{
    return (struct ek_checked){
        .shard = shard, .state = EK_HOLDING_SERVING, .epoch = 1, .position = POSITION, .rows = ROWS, .hash = HASH};
}

static void say(ek_broker_peer peer, const struct ek_checked *shards, uint32_t count, bool last)
{
    struct ek_check_report report = {.link = moves.links[peer], .check = check, .last = last, .count = count, .shards = shards};
    rig_step(&moves.rig,
             (struct ek_event){.type = EK_EVENT_WORKER_CHECKED, .peer = peer, .link = moves.links[peer], .checked = &report});
}

/* What the worker should have, but for one shard; then that is all. */
static void say_all(ek_broker_peer peer, const struct ek_checked *special)
{
    static const uint16_t firsts[] = {0, 0, 4, 6}, ends[] = {4, 0, 6, 8};
    struct ek_checked shards[RIG_SHARDS];
    uint32_t count = 0;
    for (uint16_t shard = 0; shard < RIG_SHARDS; shard++)
        if (special && special->shard == shard)
            shards[count++] = *special;
        else if (shard >= firsts[peer - SOURCE] && shard < ends[peer - SOURCE])
            shards[count++] = served(shard);
    say(peer, shards, count, true);
}

/* All say what they should, but for one worker and shard. */
static void run(ek_broker_peer peer, const struct ek_checked *special)
{
    begin();
    for (ek_broker_peer each = SOURCE; each <= FOURTH; each++)
        say_all(each, each == peer ? special : NULL);
}

static void expect(uint64_t checked, uint64_t mismatches, uint64_t awaiting, uint64_t foreign)
{
    ck_assert_uint_eq(figure("shards_checked"), checked);
    ck_assert_uint_eq(figure("mismatches"), mismatches);
    ck_assert_uint_eq(figure("rows_awaiting_deletion"), awaiting);
    ck_assert_uint_eq(figure("foreign_rows"), foreign);
    ck_assert(says(mismatches || foreign ? "{\"status\":\"failed\",\"error\":\"" : "{\"status\":\"ok\",\"shards_checked\":"));
    ck_assert_int_eq(says("\"details\":[]"), mismatches == 0 && foreign == 0);
}

/* ---- tests ---- */

START_TEST(everything_in_order)
{
    run(0, NULL);
    expect(RIG_SHARDS, 0, 0, 0);
    ck_assert_uint_eq(figure("rows"), RIG_SHARDS * ROWS);
    ck_assert_uint_eq(figure("shards_changed") + figure("shards_unavailable"), 0);
    uint64_t before = check;
    run(0, NULL);
    ck_assert_uint_ne(check, before);
}
END_TEST

START_TEST(a_holder_that_does_not_serve_is_a_mismatch)
{
    struct ek_checked special = served(SHARD);
    special.state = EK_HOLDING_RELEASED;
    run(SOURCE, &special);
    expect(RIG_SHARDS, 1, 0, 0);
    ck_assert(says("{\"worker\":\"w\",\"shard\":3,\"text\":\"it ought to serve the shard at epoch 1, and does not\"}"));
    special = served(SHARD);
    special.epoch = 2;
    run(SOURCE, &special);
    expect(RIG_SHARDS, 1, 0, 0);
    begin(); /* one that says nothing of it */
    struct ek_checked shards[] = {served(0), served(1), served(2)};
    say(SOURCE, shards, 3, true);
    for (ek_broker_peer each = TARGET; each <= FOURTH; each++)
        say_all(each, NULL);
    expect(RIG_SHARDS, 1, 0, 0);
    ck_assert_uint_eq(figure("rows"), (RIG_SHARDS - 1) * ROWS);
}
END_TEST

START_TEST(a_position_below_what_was_acknowledged_is_a_mismatch)
{
    struct ek_checked special = served(SHARD);
    begin();
    struct ek_worker_job job = moves_write_one();
    moves_answer(SOURCE, &job); /* behind the beginning: not held against it */
    for (ek_broker_peer each = SOURCE; each <= FOURTH; each++)
        say_all(each, NULL);
    expect(RIG_SHARDS, 0, 0, 0);
    run(SOURCE, &special);
    expect(RIG_SHARDS, 1, 0, 0);
    ck_assert(says("it is at position 10, but 11 was acknowledged"));
    special.position = job.position;
    run(SOURCE, &special);
    expect(RIG_SHARDS, 0, 0, 0);
}
END_TEST

START_TEST(what_cannot_be_right_counts_each)
{
    struct ek_checked special = served(SHARD);
    special.bad_rows = 3;
    special.bad_entries = 2;
    run(SOURCE, &special);
    expect(RIG_SHARDS, 5, 0, 0);
    ck_assert(says("3 rows are unreadable"));
    ck_assert(says("2 entries of its book-keeping"));
}
END_TEST

START_TEST(a_second_owner_is_a_mismatch)
{
    struct ek_checked special = served(SHARD);
    run(TARGET, &special);
    expect(RIG_SHARDS, 1, 0, 0);
    ck_assert(says("it serves the shard, which is not assigned to it"));
}
END_TEST

START_TEST(rows_of_others_wait_for_deletion_or_are_foreign)
{
    struct ek_checked special = served(SHARD);
    static const struct {
        enum ek_holding_state state;
        bool foreign;
    } cases[] = {{EK_HOLDING_RELEASED, false},
                 {EK_HOLDING_FILLING, false},
                 {EK_HOLDING_LEARNER, false},
                 {EK_HOLDING_ASIDE, true},
                 {(enum ek_holding_state)0, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        special.state = cases[i].state;
        run(TARGET, &special);
        expect(RIG_SHARDS, 0, cases[i].foreign ? 0 : ROWS, cases[i].foreign ? ROWS : 0);
        ck_assert_uint_eq(figure("rows"), RIG_SHARDS * ROWS);
    }
    special.state = EK_HOLDING_ASIDE;
    special.rows = 0; /* a role without rows harms nobody */
    run(TARGET, &special);
    expect(RIG_SHARDS, 0, 0, 0);
}
END_TEST

/* A move of SHARD up to where its learner catches up, one write behind. */
static void catch_up(void)
{
    moves_begin();
    moves_copy(POSITION);
    struct ek_worker_job job = moves_write_one();
    moves_say(TARGET, EK_MOVED_COMPLETE, POSITION);
    ck_assert_uint_gt(job.position, POSITION);
}

START_TEST(the_learner_of_a_move_is_compared_at_the_same_position)
{
    struct ek_checked learner = served(SHARD);
    catch_up();
    learner.state = EK_HOLDING_LEARNER;
    learner.rows = ROWS + 2;
    learner.expired_rows = 2; /* these count on neither side */
    run(TARGET, &learner);
    expect(RIG_SHARDS, 0, 0, 0);
    learner.hash++;
    run(TARGET, &learner);
    expect(RIG_SHARDS, 1, 0, 0);
    ck_assert(says("its copy is not what the holder has"));
    learner.position++; /* it is somewhere else */
    run(TARGET, &learner);
    expect(RIG_SHARDS, 0, 0, 0);
    learner = served(SHARD);
    learner.state = EK_HOLDING_LEARNER;
    learner.rows--;
    run(TARGET, &learner);
    expect(RIG_SHARDS, 1, 0, 0);
    learner.state = EK_HOLDING_FILLING;
    run(TARGET, &learner);
    expect(RIG_SHARDS, 0, 0, 0);
    run(FOURTH, &learner); /* it is no learner of this move */
    expect(RIG_SHARDS, 0, ROWS - 1, 0);
}
END_TEST

START_TEST(a_shard_that_changes_hands_meanwhile_is_not_judged)
{
    struct ek_checked special = served(SHARD);
    special.bad_rows = 1;
    moves_begin();
    moves_copy(POSITION);
    begin();
    say_all(SOURCE, &special);
    moves_say(TARGET, EK_MOVED_COMPLETE, POSITION);
    moves_check_switch();
    special.bad_rows = 0;
    special.state = 0;
    say_all(TARGET, &special);
    say_all(THIRD, NULL);
    say_all(FOURTH, NULL);
    expect(RIG_SHARDS - 1, 0, 0, 0);
    ck_assert_uint_eq(figure("shards_changed"), 1);
    ck_assert_uint_eq(figure("shards_unavailable"), 0);
}
END_TEST

START_TEST(a_worker_that_is_away_is_not_asked)
{
    struct ek_checked special = served(7);
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = FOURTH});
    ask(ASKER);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_CHECK), 3);
    check = rig_action(&moves.rig, EK_ACTION_WORKER_CHECK, 0)->check;
    special.state = 0;
    say_all(SOURCE, &special);
    say_all(TARGET, NULL);
    say_all(THIRD, NULL);
    expect(RIG_SHARDS - 2, 0, 0, ROWS);
    ck_assert_uint_eq(figure("shards_unavailable"), 2);
    for (ek_broker_peer peer = SOURCE; peer <= THIRD; peer++)
        rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = peer});
    ask(ASKER); /* nobody is there: it is over at once */
    expect(0, 0, 0, 0);
    ck_assert_uint_eq(figure("shards_unavailable"), RIG_SHARDS);
}
END_TEST

START_TEST(it_ends_with_the_link_of_a_worker_that_has_not_said_all)
{
    begin();
    say_all(SOURCE, NULL);
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = FOURTH});
    ck_assert_ptr_nonnull(strstr(answer(0, EK_WIRE_UNAVAILABLE), "worker w went away"));
    say_all(THIRD, NULL); /* of a check that is over */
    ck_assert_uint_eq(moves.rig.action_count, 0);
    moves_come(FOURTH);
    begin();
    say_all(SOURCE, NULL);
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = SOURCE}); /* it had */
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_ANSWER), 0);
    for (ek_broker_peer each = TARGET; each <= FOURTH; each++)
        say_all(each, NULL);
    expect(RIG_SHARDS - 4, 0, 0, 0);
    ck_assert_uint_eq(figure("shards_changed"), 4);
}
END_TEST

START_TEST(it_goes_on_as_long_as_somebody_says_something)
{
    begin();
    for (int i = 0; i < 4; i++) {
        moves_let_time_pass(9);
        ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_ANSWER), 0);
        for (ek_broker_peer each = SOURCE; each <= FOURTH; each++)
            say(each, NULL, 0, false);
    }
    for (ek_broker_peer each = SOURCE; each <= THIRD; each++)
        say_all(each, NULL);
    uint64_t until_us = moves.rig.now_us + EK_CHECK_US;
    while (moves.rig.now_us < until_us && rig_count(&moves.rig, EK_ACTION_ANSWER) == 0)
        moves_let_time_pass(1);
    ck_assert_ptr_nonnull(strstr(answer(0, EK_WIRE_UNAVAILABLE), "worker w does not go on with the check"));
}
END_TEST

START_TEST(whoever_asks_meanwhile_gets_the_same_answer)
{
    begin();
    ask(OTHER_ASKER);
    ck_assert_uint_eq(moves.rig.action_count, 0);
    ask(ASKER); /* again: once is enough */
    ck_assert_uint_eq(moves.rig.action_count, 0);
    for (ek_broker_peer peer = 100; peer < 100 + EK_CHECK_ASKERS_MAX - 2; peer++)
        ask(peer);
    ck_assert_uint_eq(moves.rig.action_count, 0);
    ask(200);
    (void)answer(0, EK_WIRE_DENIED);
    for (ek_broker_peer each = SOURCE; each <= FOURTH; each++)
        say_all(each, NULL);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_ANSWER), EK_CHECK_ASKERS_MAX);
    for (size_t i = 0; i < EK_CHECK_ASKERS_MAX; i++)
        ck_assert_ptr_nonnull(strstr(answer(i, EK_WIRE_OK), "\"status\":\"ok\""));
}
END_TEST

START_TEST(reports_that_cannot_be_end_it)
{
    struct ek_checked twice[] = {served(0), served(0)};
    struct ek_checked none = served(RIG_SHARDS);
    begin();
    say(SOURCE, twice, 2, false);
    ck_assert_ptr_nonnull(strstr(answer(0, EK_WIRE_UNAVAILABLE), "worker w tells of a shard"));
    begin();
    say(SOURCE, &none, 1, true);
    (void)answer(0, EK_WIRE_UNAVAILABLE);
    begin();
    say_all(SOURCE, NULL);
    struct ek_checked after = served(SHARD);
    say(SOURCE, &after, 1, true); /* it has said all: ignored */
    after.state = 0;
    check--;
    say_all(TARGET, &after); /* of another check: ignored */
    check++;
    ck_assert_uint_eq(moves.rig.action_count, 0);
    for (ek_broker_peer each = TARGET; each <= FOURTH; each++)
        say_all(each, NULL);
    expect(RIG_SHARDS, 0, 0, 0);
}
END_TEST

START_TEST(a_worker_is_forgotten_meanwhile)
{
    struct ek_checked foreign = served(0);
    struct ek_admin admin = {.id = 1, .count = 2, .words = {"forget", "0c00"}};
    foreign.state = 0;
    begin();
    say_all(TARGET, &foreign);
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = TARGET});
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_CLIENT_ADMIN, .peer = 77, .admin = &admin});
    ck_assert_int_eq(rig_action(&moves.rig, EK_ACTION_ANSWER, 0)->answer.status, EK_WIRE_OK);
    say_all(SOURCE, NULL);
    say_all(THIRD, NULL);
    say_all(FOURTH, NULL); /* which has another place in the table now */
    expect(RIG_SHARDS, 0, 0, ROWS);
    ck_assert(says("{\"worker\":null,\"shard\":0,"));
}
END_TEST

START_TEST(details_are_bounded_and_names_are_harmless)
{
    struct ek_worker_hello hello = {.incarnation = 2, .capacity_milli = 1000, .name = "\"quoted\", \\ \x01"};
    hello.worker.bytes[0] = TARGET;
    hello.worker.bytes[3] = 0xab;
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_WORKER_HELLO, .peer = 15, .worker_hello = &hello});
    moves.links[15] = rig_action(&moves.rig, EK_ACTION_WORKER_WELCOME, 0)->worker_welcome.link;
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_WORKER_REPORT, .peer = 15, .link = moves.links[15]});
    ask(ASKER);
    check = rig_action(&moves.rig, EK_ACTION_WORKER_CHECK, 0)->check;
    struct ek_checked shards[RIG_SHARDS];
    for (uint16_t i = 0; i < RIG_SHARDS; i++) {
        shards[i] = served(i);
        shards[i].state = 0;
    }
    say(15, shards, RIG_SHARDS, true);
    for (ek_broker_peer each = SOURCE; each <= FOURTH; each++) {
        for (uint16_t i = 0; i < RIG_SHARDS; i++) {
            shards[i] = served(i);
            shards[i].bad_rows = shards[i].bad_entries = 1;
        }
        say(each, shards, RIG_SHARDS, true);
    }
    size_t details = 0;
    for (const char *at = answer(0, EK_WIRE_OK); (at = strstr(at, "{\"worker\":")); at++)
        details++;
    ck_assert_uint_eq(details, EK_CHECK_DETAILS_MAX);
    ck_assert(says("{\"worker\":\"\\\"quoted\\\", \\\\ \\u0001\","));
    ck_assert_uint_gt(figure("mismatches"), EK_CHECK_DETAILS_MAX);
}
END_TEST

START_TEST(a_broker_that_stops_says_so)
{
    begin();
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_STOP});
    ck_assert_str_eq(answer(0, EK_WIRE_UNAVAILABLE), "this broker is stopping");
    ask(ASKER);
    (void)answer(0, EK_WIRE_BUSY);
}
END_TEST

START_TEST(words_behind_it_are_refused)
{
    struct ek_admin admin = {.id = 5 + 100, .count = 2, .words = {"check", "3"}};
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_CLIENT_ADMIN, .peer = 5, .admin = &admin});
    (void)answer(0, EK_WIRE_USAGE);
}
END_TEST

START_TEST(a_broker_may_end_while_one_is_under_way)
{
    begin();
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("check");
    TCase *tests = tcase_create("check");
    tcase_add_checked_fixture(tests, moves_setup, moves_teardown);
    tcase_add_test(tests, everything_in_order);
    tcase_add_test(tests, a_holder_that_does_not_serve_is_a_mismatch);
    tcase_add_test(tests, a_position_below_what_was_acknowledged_is_a_mismatch);
    tcase_add_test(tests, what_cannot_be_right_counts_each);
    tcase_add_test(tests, a_second_owner_is_a_mismatch);
    tcase_add_test(tests, rows_of_others_wait_for_deletion_or_are_foreign);
    tcase_add_test(tests, the_learner_of_a_move_is_compared_at_the_same_position);
    tcase_add_test(tests, a_shard_that_changes_hands_meanwhile_is_not_judged);
    tcase_add_test(tests, a_worker_that_is_away_is_not_asked);
    tcase_add_test(tests, it_ends_with_the_link_of_a_worker_that_has_not_said_all);
    tcase_add_test(tests, it_goes_on_as_long_as_somebody_says_something);
    tcase_add_test(tests, whoever_asks_meanwhile_gets_the_same_answer);
    tcase_add_test(tests, reports_that_cannot_be_end_it);
    tcase_add_test(tests, a_worker_is_forgotten_meanwhile);
    tcase_add_test(tests, details_are_bounded_and_names_are_harmless);
    tcase_add_test(tests, a_broker_that_stops_says_so);
    tcase_add_test(tests, words_behind_it_are_refused);
    tcase_add_test(tests, a_broker_may_end_while_one_is_under_way);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
