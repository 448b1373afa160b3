/* Who is to blame for a worker's death: the broker's core with a worker that dies of one job. */
#include "broker/metrics.h"
#include "common/letters.h"
#include "common/operations.h"
#include "tests/support/broker_rig.h"
#include "tests/support/run_suite.h"

#include <check.h>
#include <string.h>

enum { WORKER = 11, CLIENT = 21, OTHER_CLIENT = 22, IN_FLIGHT_MAX = 2048 };

/* put "p" = "v", and get "p": what kills. */
static const uint8_t deadly_put[] = {0x91, 0x93, 0x01, 0xc4, 0x01, 'p', 0xc4, 0x01, 'v'};
static const uint8_t deadly_get[] = {0x91, 0x92, 0x02, 0xc4, 0x01, 'p'};

struct flying {
    uint64_t token;
    uint16_t shard;
    enum ek_job_kind kind;
    uint64_t position;
    uint32_t count;
    bool kills;
    bool kept; /* a DEAD with its job */
};

/* A worker that answers what it is sent, in order, unless it dies of something among it. */
static struct {
    struct rig rig;
    struct ek_link link;
    uint64_t incarnation;
    uint64_t positions[RIG_SHARDS];
    struct flying flying[IN_FLIGHT_MAX];
    size_t count;
    size_t verdicts[EK_WIRE_STATUS_COUNT]; /* told to clients */
    bool keeping_kills;
    bool probe_answered;
} at;

static void come_back(void)
{
    at.count = 0;
    at.link = rig_return(&at.rig, WORKER, ++at.incarnation, at.positions, at.probe_answered);
}

static void set_up(void)
{
    memset(&at, 0, sizeof at);
    at.probe_answered = true;
    rig_open(&at.rig, NULL, 0);
    at.incarnation = 1;
    at.link = rig_join(&at.rig, WORKER, 0, NULL);
    rig_reply(&at.rig, WORKER, at.link, 0, EK_WIRE_OK, 0);
    rig_heartbeat(&at.rig, WORKER, at.link, EK_CREDIT_JOBS_MAX, EK_MIB, 100);
}

static void tear_down(void)
{
    struct ek_ledger ledger;
    ck_assert(rig_balanced(&at.rig, &ledger));
    rig_close(&at.rig);
}

static void add(enum ek_job_kind kind, uint16_t shard, bool kills)
{
    struct ek_job job = rig_job(&at.rig, kind, shard, 0, 0);
    if (kills)
        job.body = kind == EK_JOB_READ ? ek_slice_of(deadly_get, sizeof deadly_get) : ek_slice_of(deadly_put, sizeof deadly_put);
    rig_jobs(&at.rig, CLIENT, &job, 1);
}

static bool kills(const struct ek_worker_job *job)
{
    return job->kind != EK_JOB_DEAD && (ek_slice_equal(job->body, ek_slice_of(deadly_put, sizeof deadly_put)) ||
                                        ek_slice_equal(job->body, ek_slice_of(deadly_get, sizeof deadly_get)));
}

/* Takes what the last step sent. */
static size_t take_sent(void)
{
    size_t count = 0;
    for (const struct ek_action *action; (action = rig_action(&at.rig, EK_ACTION_WORKER_JOB, count)); count++) {
        const struct ek_worker_job *job = &action->job;
        struct ek_dead dead = {0};
        if (job->kind == EK_JOB_DEAD)
            ck_assert_int_eq(ek_decode_dead(job->body, &dead), EK_OK);
        ck_assert_uint_lt(at.count, IN_FLIGHT_MAX);
        at.flying[at.count++] = (struct flying){.token = job->token,
                                                .shard = job->shard,
                                                .kind = job->kind,
                                                .position = job->position,
                                                .count = job->count,
                                                .kills = kills(job) || (at.keeping_kills && dead.job.data),
                                                .kept = dead.job.data != NULL};
    }
    return count;
}

/* Takes all that can be sent. */
static size_t receive(void)
{
    size_t count = 0;
    do {
        rig_dispatch(&at.rig);
        count += take_sent();
    } while (ek_broker_has_more(at.rig.broker));
    return count;
}

static void note_replies(void)
{
    const struct ek_action *action;
    for (size_t i = 0; (action = rig_action(&at.rig, EK_ACTION_REPLY, i)); i++)
        at.verdicts[action->reply.status]++;
}

/* Answers the oldest `count` jobs. False: it dies of one of them, with none of them answered. */
static bool work(size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (at.flying[i].kills)
            return false;
    for (size_t i = 0; i < count; i++) {
        const struct flying *job = &at.flying[i];
        enum ek_wire_status status = job->kind != EK_JOB_DEAD ? EK_WIRE_OK : job->kept ? EK_WIRE_DEAD : EK_WIRE_FAILED;
        if (job->kind != EK_JOB_READ) {
            ck_assert_uint_eq(job->position, at.positions[job->shard] + 1);
            at.positions[job->shard] += job->count;
        }
        rig_reply(&at.rig, WORKER, at.link, job->token, status, job->position);
        note_replies();
    }
    memmove(at.flying, at.flying + count, (at.count - count) * sizeof *at.flying);
    at.count -= count;
    return true;
}

/* Works in groups until nothing is left; returns how often it died. */
static size_t live(size_t group, size_t most_deaths)
{
    size_t deaths = 0;
    while (receive() || at.count) {
        if (work(at.count < group ? at.count : group))
            continue;
        deaths++;
        ck_assert_uint_le(deaths, most_deaths);
        come_back();
        note_replies();
    }
    return deaths;
}

static bool has_alarm(const char *code)
{
    struct ek_snapshot *snapshot = ek_snapshot_take(at.rig.broker, at.rig.now_us);
    bool found = false;
    for (size_t i = 0; i < snapshot->alarm_count; i++)
        found = found || strcmp(snapshot->alarms[i].code, code) == 0;
    ek_snapshot_destroy(&snapshot);
    return found;
}

START_TEST(one_among_a_thousand_is_found)
{
    enum { INNOCENT = 1000 };
    static const size_t places[] = {0, 1, 499, 998, 999};
    static const size_t groups[] = {1, 7, 100, IN_FLIGHT_MAX};
    size_t place = places[(size_t)_i % 5];
    size_t group = groups[(size_t)_i / 5];
    for (size_t i = 0; i < INNOCENT; i++) {
        if (i == place)
            add(EK_JOB_WRITE, 3, true);
        add(i % 10 == 9 ? EK_JOB_READ : EK_JOB_WRITE, (uint16_t)(i % RIG_SHARDS), false);
    }
    live(group, 13);
    ck_assert_uint_eq(at.verdicts[EK_WIRE_OK], INNOCENT);
    ck_assert_uint_eq(at.verdicts[EK_WIRE_DEAD], 1);
    ck_assert(!has_alarm("worker_died"));
    add(EK_JOB_WRITE, 3, false); /* its shard goes on, and at full credit */
    add(EK_JOB_WRITE, 3, false);
    ck_assert_uint_eq(receive(), 2);
}
END_TEST

START_TEST(two_that_kill_are_both_found)
{
    for (size_t i = 0; i < 200; i++) {
        if (i == 50 || i == 51)
            add(EK_JOB_WRITE, (uint16_t)(i % 2), true);
        add(EK_JOB_WRITE, (uint16_t)(i % RIG_SHARDS), false);
    }
    live(IN_FLIGHT_MAX, 20);
    ck_assert_uint_eq(at.verdicts[EK_WIRE_OK], 200);
    ck_assert_uint_eq(at.verdicts[EK_WIRE_DEAD], 2);
}
END_TEST

START_TEST(deaths_of_a_busy_worker_cost_nobody_anything)
{
    for (size_t i = 0; i < 800; i++)
        add(EK_JOB_WRITE, (uint16_t)(i % RIG_SHARDS), false);
    ck_assert_uint_eq(receive(), 800);
    for (size_t bound = 400; bound >= 100; bound /= 2) {
        come_back();
        ck_assert(has_alarm("worker_died"));
        ck_assert_uint_eq(receive(), bound);
        ck_assert_uint_eq(receive(), 0);
    }
    ck_assert_uint_eq(live(30, 0), 0);
    ck_assert_uint_eq(at.verdicts[EK_WIRE_OK], 800);
    ck_assert_uint_eq(at.verdicts[EK_WIRE_DEAD], 0);
    ck_assert(!has_alarm("worker_died"));
}
END_TEST

START_TEST(what_is_set_aside_keeps_its_place_and_its_bytes)
{
    struct ek_job job = rig_job(&at.rig, EK_JOB_TRANSACTION, 5, 77, 1);
    static const uint8_t two[] = {0x92, 0x92, 0x03, 0xc4, 0x01, 'p', 0x92, 0x03, 0xc4, 0x01, 'q'};
    job.body = ek_slice_of(two, sizeof two);
    job.count = 2;
    rig_jobs(&at.rig, CLIENT, &job, 1);
    add(EK_JOB_WRITE, 5, false);
    ck_assert_uint_eq(receive(), 2);
    for (int deaths = 0; deaths < 4; deaths++) { /* the first one with both in flight */
        come_back();
        ck_assert_uint_eq(receive(), 1);
        ck_assert_uint_eq(at.flying[0].position, 1);
        ck_assert_uint_eq(at.flying[0].count, 2);
        ck_assert_int_eq(at.flying[0].kind, deaths == 3 ? EK_JOB_DEAD : EK_JOB_TRANSACTION);
    }
    const struct ek_worker_job *sent = &rig_action(&at.rig, EK_ACTION_WORKER_JOB, 0)->job;
    struct ek_dead dead;
    ck_assert_int_eq(ek_decode_dead(sent->body, &dead), EK_OK);
    ck_assert(ek_slice_equal(dead.job, job.body));
    ck_assert_int_eq(dead.kind, EK_JOB_TRANSACTION);
    ck_assert_uint_eq(dead.operations, 2);
    ck_assert_uint_ge(dead.time_unix_ms, sent->stamp_unix_ms);
    ck_assert_uint_gt(dead.cause.size, 0);
    ck_assert_uint_eq(sent->producer, 77);
    ck_assert_uint_eq(sent->number, 1);
    ck_assert(work(1));
    ck_assert_uint_eq(at.verdicts[EK_WIRE_DEAD], 1);
    ck_assert_uint_eq(live(1, 0), 0);
    ck_assert_uint_eq(at.verdicts[EK_WIRE_OK], 1);
}
END_TEST

START_TEST(a_repetition_finds_the_job_that_was_set_aside)
{
    struct ek_job job = rig_job(&at.rig, EK_JOB_WRITE, 5, 77, 1);
    rig_jobs(&at.rig, CLIENT, &job, 1);
    for (int deaths = 0; deaths < 3; deaths++) {
        ck_assert_uint_eq(receive(), 1);
        come_back();
    }
    job.route.repeated = true;
    job.id = 4711;
    rig_jobs(&at.rig, OTHER_CLIENT, &job, 1);
    ck_assert_uint_eq(receive(), 1);
    ck_assert_int_eq(at.flying[0].kind, EK_JOB_DEAD);
    ck_assert(work(1));
    const struct ek_action *reply = rig_action(&at.rig, EK_ACTION_REPLY, 0);
    ck_assert_uint_eq(reply->peer, OTHER_CLIENT);
    ck_assert_uint_eq(reply->reply.id, 4711);
}
END_TEST

START_TEST(without_an_answered_probe_no_death_counts)
{
    at.probe_answered = false;
    add(EK_JOB_WRITE, 0, false);
    ck_assert_uint_eq(receive(), 1);
    come_back(); /* from here on no probe is answered */
    for (int deaths = 0; deaths < 6; deaths++) {
        ck_assert_uint_eq(receive(), 1);
        ck_assert_int_eq(at.flying[0].kind, EK_JOB_WRITE);
        come_back();
    }
    at.probe_answered = true;
    ck_assert_uint_eq(live(1, 0), 0);
    ck_assert_uint_eq(at.verdicts[EK_WIRE_OK], 1);
}
END_TEST

START_TEST(a_probe_of_another_link_proves_nothing)
{
    struct ek_link old = at.link;
    at.probe_answered = false;
    add(EK_JOB_WRITE, 0, false);
    ck_assert_uint_eq(receive(), 1);
    for (int deaths = 0; deaths < 6; deaths++) {
        come_back();
        rig_reply(&at.rig, WORKER, old, 0, EK_WIRE_OK, 0);
        rig_reply(&at.rig, WORKER, at.link, 0, EK_WIRE_STALE, 0);
        ck_assert_uint_eq(receive(), 1);
        ck_assert_int_eq(at.flying[0].kind, EK_JOB_WRITE);
    }
}
END_TEST

START_TEST(a_reconnection_of_the_same_process_is_no_death)
{
    add(EK_JOB_WRITE, 0, false);
    for (int links = 0; links < 6; links++) {
        ck_assert_uint_eq(receive(), 1);
        ck_assert_int_eq(at.flying[0].kind, EK_JOB_WRITE);
        at.incarnation--;
        come_back();
    }
    ck_assert(!has_alarm("worker_died"));
    /* And the death that follows finds nothing of those links. */
    ck_assert_uint_eq(live(1, 0), 0);
    come_back();
    ck_assert(!has_alarm("worker_died"));
}
END_TEST

START_TEST(a_worker_that_says_why_it_ends_blames_nobody)
{
    add(EK_JOB_WRITE, 0, false);
    for (int ends = 0; ends < 6; ends++) {
        ck_assert_uint_eq(receive(), 1);
        ck_assert_int_eq(at.flying[0].kind, EK_JOB_WRITE);
        enum ek_bye_cause cause = ends % 2 ? EK_BYE_STORAGE : EK_BYE_STOPPED;
        rig_step(&at.rig, (struct ek_event){.type = EK_EVENT_WORKER_BYE, .peer = WORKER, .link = at.link, .bye = cause});
        come_back();
        ck_assert(!has_alarm("worker_died"));
    }
}
END_TEST

START_TEST(silence_before_the_death_makes_no_difference)
{
    add(EK_JOB_WRITE, 0, false);
    for (int deaths = 0; deaths < 3; deaths++) {
        ck_assert_uint_eq(receive(), 1);
        ck_assert_int_eq(at.flying[0].kind, EK_JOB_WRITE);
        rig_tick(&at.rig, 2100000);
        come_back();
    }
    ck_assert_uint_eq(receive(), 1);
    ck_assert_int_eq(at.flying[0].kind, EK_JOB_DEAD);
}
END_TEST

START_TEST(dying_between_hello_and_report_blames_what_the_process_had)
{
    add(EK_JOB_WRITE, 0, false);
    for (int deaths = 0; deaths < 3; deaths++) {
        ck_assert_uint_eq(receive(), 1);
        ck_assert_int_eq(at.flying[0].kind, EK_JOB_WRITE);
        (void)rig_hello(&at.rig, WORKER, at.incarnation); /* the process reconnects and dies before it has committed */
        come_back();
    }
    ck_assert_uint_eq(receive(), 1);
    ck_assert_int_eq(at.flying[0].kind, EK_JOB_DEAD);
}
END_TEST

START_TEST(a_read_that_kills_is_answered_by_the_broker)
{
    add(EK_JOB_READ, 2, true);
    for (int deaths = 0; deaths < 2; deaths++) {
        ck_assert_uint_eq(receive(), 1);
        come_back();
    }
    ck_assert_uint_eq(receive(), 1);
    (void)rig_hello(&at.rig, WORKER, at.incarnation + 1);
    const struct ek_action *reply = rig_action(&at.rig, EK_ACTION_REPLY, 0);
    ck_assert_ptr_nonnull(reply);
    ck_assert_int_eq(reply->reply.status, EK_WIRE_DEAD);
    ck_assert_uint_gt(reply->reply.body.size, 0);
    come_back();
    ck_assert_uint_eq(receive(), 0);
    struct ek_ledger ledger;
    ck_assert(rig_balanced(&at.rig, &ledger));
    ck_assert_uint_eq(ledger.dead, 1);
}
END_TEST

/* A cancellation that comes while the worker is away goes before the read that waits for it. */
START_TEST(a_read_that_kills_is_found_behind_cancellations)
{
    struct ek_buffer cause = {0};
    ek_encode_cause(&cause, EK_WIRE_EXPIRED);
    add(EK_JOB_READ, 2, true);
    for (uint64_t deaths = 1; deaths <= EK_POISON_DEATHS; deaths++) {
        ck_assert_uint_eq(receive(), 1);
        ck_assert_int_eq(at.flying[0].kind, EK_JOB_READ);
        rig_tick(&at.rig, 2100000);
        struct ek_job job = rig_job(&at.rig, EK_JOB_CANCEL, 2, 77, deaths);
        job.body = ek_buffer_slice(&cause);
        rig_jobs(&at.rig, CLIENT, &job, 1);
        if (deaths == EK_POISON_DEATHS)
            break;
        come_back();
        ck_assert_uint_eq(receive(), 1);
        ck_assert_int_eq(at.flying[0].kind, EK_JOB_CANCEL);
        ck_assert(work(1));
    }
    (void)rig_hello(&at.rig, WORKER, at.incarnation + 1);
    note_replies();
    ck_assert_uint_eq(at.verdicts[EK_WIRE_DEAD], 1);
    ek_buffer_done(&cause);
}
END_TEST

START_TEST(what_kills_even_when_it_is_kept_is_given_up)
{
    at.keeping_kills = true;
    add(EK_JOB_DELETE, 2, true);
    add(EK_JOB_WRITE, 2, false);
    ck_assert_uint_eq(live(IN_FLIGHT_MAX, 7), 7); /* once with both, three times as itself, three times as a letter */
    ck_assert_uint_eq(at.verdicts[EK_WIRE_FAILED], 1);
    ck_assert_uint_eq(at.verdicts[EK_WIRE_OK], 1);
    ck_assert(!has_alarm("dead_letters_full"));
}
END_TEST

START_TEST(a_cancellation_is_never_set_aside)
{
    struct ek_buffer cause = {0};
    ek_encode_cause(&cause, EK_WIRE_EXPIRED);
    struct ek_job job = rig_job(&at.rig, EK_JOB_CANCEL, 5, 77, 1);
    job.body = ek_buffer_slice(&cause);
    rig_jobs(&at.rig, CLIENT, &job, 1);
    for (int deaths = 0; deaths < 7; deaths++) {
        ck_assert_uint_eq(receive(), 1);
        ck_assert_int_eq(at.flying[0].kind, EK_JOB_CANCEL);
        come_back();
    }
    ek_buffer_done(&cause);
}
END_TEST

START_TEST(suspects_go_first_and_others_when_they_cannot)
{
    add(EK_JOB_WRITE, 0, false);
    add(EK_JOB_WRITE, 1, false);
    add(EK_JOB_WRITE, 1, false);
    ck_assert_uint_eq(receive(), 3);
    for (int i = 0; i < 20; i++)
        add(EK_JOB_READ, (uint16_t)(2 + i % 6), false);
    come_back();
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(receive(), 1);
        ck_assert_int_eq(at.flying[0].kind, EK_JOB_WRITE);
        if (i == 1) /* in the middle of it the worker takes no write any more */
            break;
        ck_assert(work(1));
    }
    come_back();
    rig_heartbeat(&at.rig, WORKER, at.link, 0, 0, 100);
    ck_assert_uint_eq(receive(), 1);
    ck_assert_int_eq(at.flying[0].kind, EK_JOB_READ);
    ck_assert(work(1));
    rig_heartbeat(&at.rig, WORKER, at.link, 100, EK_MIB, 100);
    ck_assert_uint_eq(receive(), 1);
    ck_assert_int_eq(at.flying[0].kind, EK_JOB_WRITE);
    ck_assert_uint_eq(live(5, 0), 0);
    ck_assert_uint_eq(at.verdicts[EK_WIRE_OK], 23);
}
END_TEST

START_TEST(suspects_of_a_quarantined_shard_hold_nobody_up)
{
    add(EK_JOB_WRITE, 0, false);
    ck_assert_uint_eq(live(1, 0), 0); /* its position is acknowledged now */
    for (int i = 0; i < 4; i++)
        add(EK_JOB_WRITE, (uint16_t)(i % 2), false);
    ck_assert_uint_eq(receive(), 4);
    at.positions[0] = 0; /* the disk was rolled back */
    come_back();
    ck_assert(has_alarm("position_below_floor"));
    ck_assert_uint_eq(receive(), 2);
    ck_assert(work(2));
    ck_assert(!has_alarm("worker_died"));
    for (int i = 0; i < 4; i++)
        add(EK_JOB_WRITE, 1, false);
    ck_assert_uint_eq(receive(), 4);
}
END_TEST

static void tell_kept(uint64_t kept)
{
    struct ek_heartbeat heartbeat = {
        .link = at.link, .credit_jobs = 100, .credit_bytes = EK_MIB, .credit_reads = 100, .dead_kept = kept};
    rig_step(&at.rig,
             (struct ek_event){.type = EK_EVENT_WORKER_HEARTBEAT, .peer = WORKER, .link = at.link, .heartbeat = &heartbeat});
}

START_TEST(a_full_shard_raises_an_alarm_until_letters_go)
{
    add(EK_JOB_WRITE, 2, true);
    for (int deaths = 0; deaths < 3; deaths++) {
        ck_assert_uint_eq(receive(), 1);
        come_back();
    }
    tell_kept(1000);
    ck_assert_uint_eq(receive(), 1);
    at.flying[0].kept = false; /* the worker has no room for it */
    ck_assert(work(1));
    ck_assert_uint_eq(at.verdicts[EK_WIRE_FAILED], 1);
    ck_assert(has_alarm("dead_letters_full"));
    tell_kept(1000);
    ck_assert(has_alarm("dead_letters_full"));
    tell_kept(999);
    ck_assert(!has_alarm("dead_letters_full"));
    struct ek_snapshot *snapshot = ek_snapshot_take(at.rig.broker, at.rig.now_us);
    ck_assert_uint_eq(snapshot->dead_kept, 999);
    ek_snapshot_destroy(&snapshot);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("poison");
    TCase *tests = tcase_create("poison");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 30);
    tcase_add_loop_test(tests, one_among_a_thousand_is_found, 0, 20);
    tcase_add_test(tests, two_that_kill_are_both_found);
    tcase_add_test(tests, deaths_of_a_busy_worker_cost_nobody_anything);
    tcase_add_test(tests, what_is_set_aside_keeps_its_place_and_its_bytes);
    tcase_add_test(tests, a_repetition_finds_the_job_that_was_set_aside);
    tcase_add_test(tests, without_an_answered_probe_no_death_counts);
    tcase_add_test(tests, a_probe_of_another_link_proves_nothing);
    tcase_add_test(tests, a_reconnection_of_the_same_process_is_no_death);
    tcase_add_test(tests, a_worker_that_says_why_it_ends_blames_nobody);
    tcase_add_test(tests, silence_before_the_death_makes_no_difference);
    tcase_add_test(tests, dying_between_hello_and_report_blames_what_the_process_had);
    tcase_add_test(tests, a_read_that_kills_is_answered_by_the_broker);
    tcase_add_test(tests, a_read_that_kills_is_found_behind_cancellations);
    tcase_add_test(tests, what_kills_even_when_it_is_kept_is_given_up);
    tcase_add_test(tests, a_cancellation_is_never_set_aside);
    tcase_add_test(tests, suspects_go_first_and_others_when_they_cannot);
    tcase_add_test(tests, suspects_of_a_quarantined_shard_hold_nobody_up);
    tcase_add_test(tests, a_full_shard_raises_an_alarm_until_letters_go);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
