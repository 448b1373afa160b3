/* The broker's core, held against DESIGN's rules with events only. */
#include "broker/metrics.h"
#include "common/operations.h"
#include "tests/support/broker_rig.h"
#include "tests/support/run_suite.h"

#include <check.h>
#include <string.h>

enum { WORKER = 11, OTHER_WORKER = 12, CLIENT = 21, OTHER_CLIENT = 22, THIRD_CLIENT = 23 };

static struct rig rig;

static void setup(void)
{
    rig_open(&rig, NULL, 0);
}

static void teardown(void)
{
    struct ek_ledger ledger;
    ck_assert(rig_balanced(&rig, &ledger));
    rig_close(&rig);
}

static const struct ek_reply *replied(size_t n)
{
    const struct ek_action *action = rig_action(&rig, EK_ACTION_REPLY, n);
    return action ? &action->reply : NULL;
}

static enum ek_wire_status write_status(ek_broker_peer client, uint16_t shard, uint64_t producer, uint64_t number)
{
    rig_write(&rig, client, shard, producer, number);
    return replied(0) ? replied(0)->status : EK_WIRE_OK;
}

START_TEST(positions_follow_the_number_of_operations)
{
    struct ek_link link = rig_join(&rig, WORKER, 0, NULL);
    (void)link;
    struct ek_job jobs[3];
    for (int i = 0; i < 3; i++) {
        jobs[i] = rig_job(&rig, EK_JOB_WRITE, 3, 0, 0);
        jobs[i].count = (uint32_t)(i + 1);
    }
    rig_jobs(&rig, CLIENT, jobs, 3);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 3);
    ck_assert_uint_eq(rig_sent(&rig, 0)->position, 1);
    ck_assert_uint_eq(rig_sent(&rig, 1)->position, 2);
    ck_assert_uint_eq(rig_sent(&rig, 2)->position, 4);
    ck_assert_uint_eq(rig_sent(&rig, 2)->confirmed, 0);
    ck_assert_uint_ge(rig_sent(&rig, 0)->stamp_unix_ms, 1700000000000);
}
END_TEST

START_TEST(a_reply_reaches_its_client_and_confirms_its_position)
{
    struct ek_link link = rig_join(&rig, WORKER, 0, NULL);
    uint64_t id = rig_write(&rig, CLIENT, 0, 0, 0);
    rig_dispatch(&rig);
    rig_reply(&rig, WORKER, link, rig_sent(&rig, 0)->token, EK_WIRE_OK, 1);
    ck_assert_uint_eq(replied(0)->id, id);
    ck_assert_uint_eq(replied(0)->position, 1);
    ck_assert_uint_eq(rig_action(&rig, EK_ACTION_REPLY, 0)->peer, CLIENT);
    rig_write(&rig, CLIENT, 0, 0, 0);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_sent(&rig, 0)->confirmed, 1);
    struct ek_floor floor;
    ck_assert_uint_eq(ek_broker_take_floors(rig.broker, &floor, 1), 1);
    ck_assert_uint_eq(floor.position, 1);
    ck_assert_uint_eq(ek_broker_take_floors(rig.broker, &floor, 1), 0);
}
END_TEST

START_TEST(credit_in_jobs_and_bytes_is_kept)
{
    struct ek_link link = rig_join(&rig, WORKER, 0, NULL);
    rig_heartbeat(&rig, WORKER, link, 2, EK_MIB, 1);
    for (int i = 0; i < 5; i++)
        rig_write(&rig, CLIENT, (uint16_t)i, 0, 0);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 2);
    rig_heartbeat(&rig, WORKER, link, 100, 1, 1); /* bytes are used up by what is in flight */
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 0);
    rig_heartbeat(&rig, WORKER, link, 100, EK_MIB, 1);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 3);
}
END_TEST

START_TEST(one_large_job_goes_out_when_nothing_is_in_flight)
{
    struct ek_link link = rig_join(&rig, WORKER, 0, NULL);
    rig_heartbeat(&rig, WORKER, link, 100, 1, 1);
    rig_write(&rig, CLIENT, 0, 0, 0);
    rig_write(&rig, CLIENT, 0, 0, 0);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 1);
}
END_TEST

START_TEST(what_was_in_flight_goes_out_again_with_its_positions)
{
    struct ek_link old = rig_join(&rig, WORKER, 0, NULL);
    rig_write(&rig, CLIENT, 2, 0, 0);
    rig_write(&rig, CLIENT, 2, 0, 0);
    rig_dispatch(&rig);
    uint64_t first_token = rig_sent(&rig, 0)->token;
    rig_write(&rig, CLIENT, 2, 0, 0);
    const int shards[] = {2, -1};
    struct ek_link link = rig_join(&rig, WORKER, 0, shards);
    ck_assert_uint_ne(link.link, old.link);
    rig_reply(&rig, WORKER, old, first_token, EK_WIRE_OK, 1);
    ck_assert_ptr_null(replied(0));
    ck_assert_ptr_nonnull(rig_action(&rig, EK_ACTION_WORKER_REFUSED, 0));
    rig_reply(&rig, WORKER, link, first_token, EK_WIRE_OK, 1); /* nor can it know of one that this link has not brought it */
    ck_assert_ptr_null(replied(0));
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 3);
    for (size_t i = 0; i < 3; i++)
        ck_assert_uint_eq(rig_sent(&rig, i)->position, i + 1);
    ck_assert_uint_eq(rig_sent(&rig, 0)->token, first_token);
}
END_TEST

START_TEST(nobody_but_the_holder_answers_a_job)
{
    struct ek_link link = rig_join(&rig, WORKER, 0, NULL);
    rig_write(&rig, CLIENT, 0, 0, 0);
    rig_dispatch(&rig);
    uint64_t token = rig_sent(&rig, 0)->token;
    struct ek_link other = rig_join(&rig, OTHER_WORKER, 0, NULL);
    rig_reply(&rig, OTHER_WORKER, other, token, EK_WIRE_OK, 1);
    ck_assert_ptr_null(replied(0));
    rig_reply(&rig, WORKER, link, token, EK_WIRE_OK, 1);
    ck_assert_ptr_nonnull(replied(0));
}
END_TEST

START_TEST(silence_ends_a_link_and_keeps_the_queue)
{
    struct ek_link link = rig_join(&rig, WORKER, 0, NULL);
    rig_write(&rig, CLIENT, 1, 0, 0);
    rig_dispatch(&rig);
    rig_tick(&rig, 2100000);
    struct ek_ledger ledger;
    ck_assert(rig_balanced(&rig, &ledger));
    ck_assert_uint_eq(ledger.queued, 1);
    ck_assert_uint_eq(ledger.in_flight, 0);
    rig_heartbeat(&rig, WORKER, link, 1, 1, 1);
    ck_assert_int_eq(rig_action(&rig, EK_ACTION_WORKER_REFUSED, 0)->refusal->status, EK_WIRE_STALE);
}
END_TEST

START_TEST(a_storage_thread_that_hangs_ends_the_link)
{
    struct ek_link link = rig_join(&rig, WORKER, 0, NULL);
    struct ek_heartbeat hung = {.link = link, .credit_jobs = 1, .credit_bytes = 1, .stalled_ms = 2001};
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_WORKER_HEARTBEAT, .peer = WORKER, .link = link, .heartbeat = &hung});
    ck_assert_ptr_null(rig_action(&rig, EK_ACTION_WORKER_PULSE, 0));
    ck_assert_ptr_nonnull(rig_action(&rig, EK_ACTION_ALARM, 0));
}
END_TEST

START_TEST(a_full_queue_answers_busy_and_later_numbers_wait_for_the_refused_one)
{
    static uint8_t body[4 * EK_MIB];
    struct ek_job big = rig_job(&rig, EK_JOB_WRITE, 0, 7, 1);
    big.body = ek_slice_of(body, sizeof body);
    uint64_t number = 1;
    do {
        big.route.number = number++;
        rig_jobs(&rig, CLIENT, &big, 1);
    } while (!replied(0));
    ck_assert_int_eq(replied(0)->status, EK_WIRE_BUSY);
    ck_assert_uint_gt(replied(0)->retry_ms, 0);
    uint64_t refused = big.route.number;
    ck_assert_uint_gt(refused, 2); /* one job always has room */
    struct ek_job behind = rig_job(&rig, EK_JOB_WRITE, 0, 7, refused + 1);
    behind.route.lowest = refused;
    rig_jobs(&rig, CLIENT, &behind, 1);
    ck_assert_int_eq(replied(0)->status, EK_WIRE_BUSY);
    ck_assert_int_eq(write_status(CLIENT, 0, 7, refused), EK_WIRE_OK);
    ck_assert_int_eq(write_status(CLIENT, 0, 7, refused + 1), EK_WIRE_OK);
}
END_TEST

START_TEST(a_refused_number_that_was_answered_meanwhile_holds_nobody_back)
{
    static uint8_t body[9 * EK_MIB];
    struct ek_job big = rig_job(&rig, EK_JOB_WRITE, 0, 7, 1);
    big.body = ek_slice_of(body, sizeof body);
    rig_jobs(&rig, CLIENT, &big, 1);
    big.route.number = 2;
    big.route.lowest = 1;
    rig_jobs(&rig, CLIENT, &big, 1);
    ck_assert_int_eq(replied(0)->status, EK_WIRE_BUSY);
    struct ek_job later = rig_job(&rig, EK_JOB_WRITE, 0, 7, 4); /* its lowest says that 1 to 3 are answered */
    rig_jobs(&rig, CLIENT, &later, 1);
    ck_assert_ptr_null(replied(0));
}
END_TEST

START_TEST(shards_that_are_away_leave_room_for_the_others)
{
    static uint8_t body[1 * EK_MIB];
    const int half[] = {0, 1, 2, 3, -1};
    rig_join(&rig, WORKER, 0, NULL);
    rig_join(&rig, OTHER_WORKER, 0, half);
    struct ek_snapshot *snapshot = ek_snapshot_take(rig.broker, rig.now_us);
    int away = snapshot->shards[7].worker;
    uint16_t served = 0;
    while (snapshot->shards[served].worker == away)
        served++;
    ek_snapshot_destroy(&snapshot);
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = away == 0 ? WORKER : OTHER_WORKER});
    for (ek_broker_peer client = 100; client < 104; client++)
        for (int i = 0; i < 40; i++) {
            struct ek_job job = rig_job(&rig, EK_JOB_WRITE, 7, 0, 0);
            job.body = ek_slice_of(body, sizeof body);
            rig_jobs(&rig, client, &job, 1);
        }
    ck_assert_int_eq(replied(0)->status, EK_WIRE_BUSY);
    ck_assert_int_eq(write_status(CLIENT, served, 0, 0), EK_WIRE_OK);
    rig_tick(&rig, 1);
}
END_TEST

/* How many jobs of 1 MiB that client gets in, each into the next of the first `shards`. */
static int let_in(ek_broker_peer client, uint16_t shards)
{
    static uint8_t body[1 * EK_MIB];
    int count = 0;
    for (;; count++) {
        struct ek_job job = rig_job(&rig, EK_JOB_WRITE, (uint16_t)(count % shards), 0, 0);
        job.body = ek_slice_of(body, sizeof body);
        rig_jobs(&rig, client, &job, 1);
        if (replied(0))
            break;
    }
    ck_assert_int_eq(replied(0)->status, EK_WIRE_BUSY);
    return count;
}

/* Each job is somewhat more than its body, so that the last MiB of a limit stays free; the least limit is a job of the largest
 * size. */
START_TEST(all_a_client_and_a_shard_have_their_limits)
{
    rig_close(&rig);
    rig_open_sized(&rig, 64ull * EK_MIB, NULL, 0);
    rig_join(&rig, WORKER, 0, NULL);
    ck_assert_int_eq(let_in(CLIENT, 1), 16);
    ck_assert_int_eq(let_in(CLIENT, 1), 0);
    rig_tick(&rig, 1);
    rig_close(&rig);
    rig_open_sized(&rig, 64ull * EK_MIB, NULL, 0);
    rig_join(&rig, WORKER, 0, NULL);
    ck_assert_int_eq(let_in(CLIENT, RIG_SHARDS), 31);
    ck_assert_int_eq(let_in(OTHER_CLIENT, RIG_SHARDS), 31);
    ck_assert_int_eq(let_in(THIRD_CLIENT, RIG_SHARDS), 1);
}
END_TEST

START_TEST(what_is_away_has_half_of_all_and_of_each_client)
{
    rig_close(&rig);
    rig_open_sized(&rig, 64ull * EK_MIB, NULL, 0);
    ck_assert_int_eq(let_in(CLIENT, RIG_SHARDS), 16);
    ck_assert_int_eq(let_in(OTHER_CLIENT, RIG_SHARDS), 15);
    ck_assert_int_eq(let_in(THIRD_CLIENT, RIG_SHARDS), 0);
}
END_TEST

static enum ek_wire_status cancel_status(uint64_t number, bool repeated)
{
    struct ek_buffer cause = {0};
    struct ek_job job = rig_job(&rig, EK_JOB_CANCEL, 0, 9, number);
    ek_encode_cause(&cause, EK_WIRE_EXPIRED);
    job.body = ek_buffer_slice(&cause);
    job.route.repeated = repeated;
    rig_jobs(&rig, CLIENT, &job, 1);
    ek_buffer_done(&cause);
    return replied(0) ? replied(0)->status : EK_WIRE_OK;
}

START_TEST(cancellations_have_a_small_allotment_beyond_the_limits)
{
    (void)let_in(CLIENT, RIG_SHARDS);
    for (uint64_t number = 1; number <= EK_CANCEL_JOBS_MAX; number++)
        ck_assert_int_eq(cancel_status(number, false), EK_WIRE_OK);
    ck_assert_int_eq(cancel_status(EK_CANCEL_JOBS_MAX + 1, false), EK_WIRE_BUSY);
}
END_TEST

START_TEST(cancellations_in_flight_are_bounded)
{
    size_t sent = 0;
    rig_join(&rig, WORKER, 0, NULL);
    for (uint64_t number = 1; number <= EK_CREDIT_CANCELS_MAX + 10; number++)
        ck_assert_int_eq(cancel_status(number, false), EK_WIRE_OK);
    do {
        rig_dispatch(&rig);
        sent += rig_count(&rig, EK_ACTION_WORKER_JOB);
    } while (rig_count(&rig, EK_ACTION_WORKER_JOB));
    ck_assert_uint_eq(sent, EK_CREDIT_CANCELS_MAX);
}
END_TEST

/* Its position belongs to it: only the worker says what became of it, and in the order of positions. */
START_TEST(what_was_sent_is_not_cancelled_here)
{
    const int shards[] = {0, -1};
    rig_join(&rig, WORKER, 0, NULL);
    rig_write(&rig, CLIENT, 0, 9, 1);
    rig_write(&rig, CLIENT, 0, 9, 2);
    rig_dispatch(&rig);
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = WORKER});
    ck_assert_int_eq(cancel_status(1, true), EK_WIRE_OK);
    rig_join(&rig, WORKER, 0, shards);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 2);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_uint_eq(rig_sent(&rig, i)->position, i + 1);
        ck_assert_int_eq(rig_sent(&rig, i)->kind, EK_JOB_WRITE);
    }
}
END_TEST

START_TEST(a_marked_repetition_joins_the_copy_that_is_here)
{
    struct ek_link link = rig_join(&rig, WORKER, 0, NULL);
    rig_write(&rig, CLIENT, 4, 9, 1);
    rig_dispatch(&rig);
    uint64_t token = rig_sent(&rig, 0)->token;
    struct ek_job again = rig_job(&rig, EK_JOB_WRITE, 4, 9, 1);
    again.route.repeated = true;
    rig_jobs(&rig, OTHER_CLIENT, &again, 1);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 0);
    rig_reply(&rig, WORKER, link, token, EK_WIRE_OK, 1);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_REPLY), 1);
    ck_assert_uint_eq(rig_action(&rig, EK_ACTION_REPLY, 0)->peer, OTHER_CLIENT);
    ck_assert_uint_eq(replied(0)->id, again.id);
}
END_TEST

START_TEST(an_expired_thin_job_is_answered_and_a_numbered_one_becomes_its_cancellation)
{
    struct ek_job jobs[] = {rig_job(&rig, EK_JOB_WRITE, 0, 0, 0), rig_job(&rig, EK_JOB_WRITE, 0, 5, 1)};
    jobs[0].deadline_ms = jobs[1].deadline_ms = 100;
    rig_jobs(&rig, CLIENT, jobs, 2);
    rig_tick(&rig, 99000);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_REPLY), 0);
    rig_tick(&rig, 2000);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_REPLY), 1);
    ck_assert_uint_eq(replied(0)->id, jobs[0].id);
    ck_assert_int_eq(replied(0)->status, EK_WIRE_EXPIRED);
    struct ek_link link = rig_join(&rig, WORKER, 0, NULL);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 1);
    ck_assert_int_eq(rig_sent(&rig, 0)->kind, EK_JOB_CANCEL);
    ck_assert_uint_eq(rig_sent(&rig, 0)->number, 1);
    /* The worker knows better: an earlier copy had been applied. */
    rig_reply(&rig, WORKER, link, rig_sent(&rig, 0)->token, EK_WIRE_OK, 1);
    ck_assert_int_eq(replied(0)->status, EK_WIRE_OK);
}
END_TEST

/* Its caller waits no longer than the grace behind the deadline, others' jobs have time left. */
START_TEST(what_expires_in_the_queue_goes_before_what_does_not)
{
    struct ek_job jobs[] = {rig_job(&rig, EK_JOB_WRITE, 0, 7, 1), rig_job(&rig, EK_JOB_WRITE, 0, 5, 1),
                            rig_job(&rig, EK_JOB_WRITE, 0, 5, 2), rig_job(&rig, EK_JOB_CANCEL, 0, 5, 3)};
    jobs[1].deadline_ms = jobs[2].deadline_ms = 100;
    rig_jobs(&rig, CLIENT, jobs, 4);
    rig_tick(&rig, 101000);
    rig_join(&rig, WORKER, 0, NULL);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 4);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(rig_sent(&rig, i)->kind, EK_JOB_CANCEL);
        ck_assert_uint_eq(rig_sent(&rig, i)->number, i + 1);
    }
    ck_assert_uint_eq(rig_sent(&rig, 3)->producer, 7);
}
END_TEST

START_TEST(what_was_sent_does_not_expire_in_the_broker)
{
    rig_join(&rig, WORKER, 0, NULL);
    struct ek_job job = rig_job(&rig, EK_JOB_WRITE, 0, 5, 1);
    job.deadline_ms = 100;
    rig_jobs(&rig, CLIENT, &job, 1);
    rig_dispatch(&rig);
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = WORKER});
    rig_tick(&rig, 1000000);
    const int shards[] = {0, -1};
    rig_join(&rig, WORKER, 1, shards);
    rig_dispatch(&rig);
    ck_assert_int_eq(rig_sent(&rig, 0)->kind, EK_JOB_WRITE);
    ck_assert_uint_eq(rig_sent(&rig, 0)->position, 1);
}
END_TEST

/* Not a position: its client's write can be refused as a gap there, and the read would be served without it. */
START_TEST(a_read_goes_with_its_number_even_when_the_write_is_in_flight)
{
    rig_join(&rig, WORKER, 0, NULL);
    rig_write(&rig, CLIENT, 6, 5, 1);
    rig_read(&rig, CLIENT, 6, 5, 1);
    rig_read(&rig, THIRD_CLIENT, 6, 0, 0);
    rig_read(&rig, CLIENT, 6, 5, 2);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 4);
    for (size_t i = 1; i < 4; i++)
        ck_assert_uint_eq(rig_sent(&rig, i)->position, 0);
    ck_assert_uint_eq(rig_sent(&rig, 1)->producer, 5);
    ck_assert_uint_eq(rig_sent(&rig, 1)->number, 1);
    ck_assert_uint_eq(rig_sent(&rig, 2)->producer, 0);
    ck_assert_uint_eq(rig_sent(&rig, 3)->producer, 5);
    ck_assert_uint_eq(rig_sent(&rig, 3)->number, 2);
}
END_TEST

START_TEST(a_thin_clients_read_waits_for_its_own_writes)
{
    rig_join(&rig, WORKER, 0, NULL);
    rig_write(&rig, CLIENT, 6, 0, 0);
    rig_read(&rig, CLIENT, 6, 0, 0);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_sent(&rig, 1)->position, 1);
}
END_TEST

START_TEST(without_write_credit_reads_and_deletes_of_others_pass)
{
    struct ek_link link = rig_join(&rig, WORKER, 0, NULL);
    rig_heartbeat(&rig, WORKER, link, 100, 0, 100);
    rig_write(&rig, CLIENT, 1, 5, 1);
    rig_read(&rig, CLIENT, 1, 5, 1); /* its own write stands before it */
    uint64_t read = rig_read(&rig, OTHER_CLIENT, 1, 0, 0);
    struct ek_job deletion = rig_job(&rig, EK_JOB_DELETE, 1, 6, 1);
    rig_jobs(&rig, THIRD_CLIENT, &deletion, 1);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 2);
    ck_assert_int_eq(rig_sent(&rig, 0)->kind, EK_JOB_READ);
    ck_assert_int_eq(rig_sent(&rig, 1)->kind, EK_JOB_DELETE);
    rig_reply(&rig, WORKER, link, rig_sent(&rig, 0)->token, EK_WIRE_OK, 0);
    ck_assert_uint_eq(replied(0)->id, read);
    rig_heartbeat(&rig, WORKER, link, 100, EK_MIB, 100);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 2);
    ck_assert_int_eq(rig_sent(&rig, 0)->kind, EK_JOB_WRITE);
    ck_assert_uint_eq(rig_sent(&rig, 0)->position, 2);
}
END_TEST

START_TEST(a_gap_is_given_back_and_uses_up_its_position)
{
    struct ek_link link = rig_join(&rig, WORKER, 0, NULL);
    rig_write(&rig, CLIENT, 1, 5, 3);
    rig_dispatch(&rig);
    rig_reply(&rig, WORKER, link, rig_sent(&rig, 0)->token, EK_WIRE_GAP, 1);
    ck_assert_int_eq(replied(0)->status, EK_WIRE_GAP);
    ck_assert_uint_eq(replied(0)->position, 1);
    rig_write(&rig, CLIENT, 1, 5, 1);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_sent(&rig, 0)->position, 2);
    struct ek_ledger ledger;
    ck_assert(rig_balanced(&rig, &ledger));
    ck_assert_uint_eq(ledger.given_back, 1);
}
END_TEST

static uint64_t first_producer(uint32_t random)
{
    struct ek_broker_config config = {.generation = 1,
                                      .shards = 1,
                                      .queue_bytes_max = EK_QUEUE_BYTES_MIN,
                                      .started_unix_ms = 5000,
                                      .stats_endpoint = "",
                                      .random = random};
    struct ek_broker *broker;
    size_t count;
    ck_assert_int_eq(ek_broker_new(&config, NULL, 0, &broker), EK_OK);
    struct ek_event hello = {.type = EK_EVENT_CLIENT_HELLO, .peer = CLIENT, .hello = &(struct ek_hello){.wants_producer = true}};
    const struct ek_action *actions = ek_broker_step(broker, &hello, &count);
    ck_assert_uint_eq(count, 1);
    uint64_t producer = actions[0].welcome->producer;
    ek_broker_destroy(&broker);
    return producer;
}

/* A copy of a directory gives times that were given before; ids must not be. */
START_TEST(brokers_that_have_the_same_time_give_other_ids)
{
    uint64_t one = first_producer(1u << 30);
    uint64_t other = first_producer(7u << 28);
    ck_assert_uint_ne(one, other);
    ck_assert_uint_eq(one >> 20, 5000);
    ck_assert_uint_eq(other >> 20, 5000);
    ck_assert_uint_eq(first_producer(UINT32_MAX) >> 20, 5000);
}
END_TEST

START_TEST(forgotten_is_certain_only_behind_a_hello)
{
    struct ek_link link = rig_join(&rig, WORKER, 0, NULL);
    rig_write(&rig, CLIENT, 1, 5, 1);
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_CLIENT_HELLO, .peer = CLIENT, .hello = &(struct ek_hello){.id = 1}});
    rig_write(&rig, CLIENT, 2, 5, 1);
    rig_dispatch(&rig);
    uint64_t before = rig_sent(&rig, 0)->token;
    uint64_t behind = rig_sent(&rig, 1)->token;
    rig_reply(&rig, WORKER, link, before, EK_WIRE_FORGOTTEN, 1);
    ck_assert_int_eq(replied(0)->status, EK_WIRE_UNKNOWN);
    rig_reply(&rig, WORKER, link, behind, EK_WIRE_FORGOTTEN, 1);
    ck_assert_int_eq(replied(0)->status, EK_WIRE_FORGOTTEN);
    struct ek_ledger ledger;
    ck_assert(rig_balanced(&rig, &ledger));
    ck_assert_uint_eq(ledger.given_back, 2);
}
END_TEST

START_TEST(a_worker_that_disagrees_begins_again)
{
    struct ek_link link = rig_join(&rig, WORKER, 0, NULL);
    rig_write(&rig, CLIENT, 1, 0, 0);
    rig_dispatch(&rig);
    rig_reply(&rig, WORKER, link, rig_sent(&rig, 0)->token, EK_WIRE_OUT_OF_ORDER, 7);
    ck_assert_ptr_null(replied(0));
    rig_heartbeat(&rig, WORKER, link, 1, 1, 1);
    ck_assert_ptr_nonnull(rig_action(&rig, EK_ACTION_WORKER_REFUSED, 0));
}
END_TEST

/* Behind a position nobody can be served before it: a worker would refuse the ones that went ahead for ever. */
START_TEST(nothing_that_passes_gets_a_position_ahead_of_one_that_has_it_already)
{
    static const int all[] = {0, 1, 2, 3, 4, 5, 6, 7, -1};
    rig_join(&rig, WORKER, 0, NULL);
    rig_write(&rig, CLIENT, 1, 5, 1);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_sent(&rig, 0)->position, 1);
    struct ek_link link = rig_join(&rig, WORKER, 0, all);
    rig_heartbeat(&rig, WORKER, link, 100, 0, 100); /* its disk is full by now */
    struct ek_job job = rig_job(&rig, EK_JOB_DELETE, 1, 6, 1);
    rig_jobs(&rig, OTHER_CLIENT, &job, 1);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 2);
    ck_assert_uint_eq(rig_sent(&rig, 0)->position, 1);
    ck_assert_int_eq(rig_sent(&rig, 0)->kind, EK_JOB_WRITE);
    ck_assert_uint_eq(rig_sent(&rig, 1)->position, 2);
    link = rig_join(&rig, WORKER, 0, all);
    rig_heartbeat(&rig, WORKER, link, 0, 0, 100); /* only reads */
    rig_read(&rig, THIRD_CLIENT, 1, 0, 0);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 1);
    ck_assert_int_eq(rig_sent(&rig, 0)->kind, EK_JOB_READ);
}
END_TEST

/* A worker that dies twice, the second time before all that it had came to it again. */
START_TEST(a_read_that_is_taken_back_stands_behind_all_positions)
{
    static const int all[] = {0, 1, 2, 3, 4, 5, 6, 7, -1};
    struct ek_floor floor;
    rig_join(&rig, WORKER, 0, NULL);
    rig_write(&rig, CLIENT, 1, 5, 1);
    rig_write(&rig, CLIENT, 1, 5, 2);
    rig_dispatch(&rig);
    struct ek_link link = rig_join(&rig, WORKER, 0, all);
    rig_heartbeat(&rig, WORKER, link, 1, EK_MIB, 1);
    rig_read(&rig, OTHER_CLIENT, 1, 0, 0);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 2); /* the first write and the read */
    link = rig_join(&rig, WORKER, 0, all);
    rig_heartbeat(&rig, WORKER, link, 1, EK_MIB, 0);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_sent(&rig, 0)->position, 1);
    rig_reply(&rig, WORKER, link, rig_sent(&rig, 0)->token, EK_WIRE_OK, 1);
    ck_assert_uint_eq(ek_broker_take_floors(rig.broker, &floor, 1), 1);
    ck_assert_uint_eq(floor.position, 1);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_sent(&rig, 0)->position, 2);
    ck_assert_uint_eq(rig_sent(&rig, 0)->confirmed, 1);
}
END_TEST

START_TEST(a_read_that_goes_out_again_has_a_new_stamp_and_a_write_its_first)
{
    rig_join(&rig, WORKER, 0, NULL);
    rig_write(&rig, CLIENT, 6, 5, 1);
    rig_read(&rig, CLIENT, 6, 5, 1);
    rig_dispatch(&rig);
    uint64_t first = rig_sent(&rig, 0)->stamp_unix_ms;
    ck_assert_uint_eq(rig_sent(&rig, 1)->stamp_unix_ms, first);
    rig.now_us += 1000000;
    static const int all[] = {0, 1, 2, 3, 4, 5, 6, 7, -1};
    rig_join(&rig, WORKER, 0, all);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_sent(&rig, 0)->stamp_unix_ms, first);
    ck_assert_uint_ge(rig_sent(&rig, 1)->stamp_unix_ms, first + 1000);
}
END_TEST

START_TEST(a_thin_job_is_routed_by_its_first_key_and_refused_when_it_has_none)
{
    rig_join(&rig, WORKER, 0, NULL);
    struct ek_job job = rig_job(&rig, EK_JOB_WRITE, 0, 0, 0);
    job.route = (struct ek_route){0};
    rig_jobs(&rig, CLIENT, &job, 1);
    rig_dispatch(&rig);
    ck_assert_uint_lt(rig_sent(&rig, 0)->shard, RIG_SHARDS);
    const uint8_t garbage[] = {0x91, 0xc1};
    job.body = ek_slice_of(garbage, sizeof garbage);
    rig_jobs(&rig, CLIENT, &job, 1);
    ck_assert_int_eq(replied(0)->status, EK_WIRE_USAGE);
    job = rig_job(&rig, EK_JOB_WRITE, RIG_SHARDS, 0, 0);
    rig_jobs(&rig, CLIENT, &job, 1);
    ck_assert_int_eq(replied(0)->status, EK_WIRE_USAGE);
}
END_TEST

START_TEST(a_stopping_broker_refuses_and_finishes)
{
    struct ek_link link = rig_join(&rig, WORKER, 0, NULL);
    rig_write(&rig, CLIENT, 1, 0, 0);
    rig_dispatch(&rig);
    uint64_t token = rig_sent(&rig, 0)->token;
    rig_write(&rig, CLIENT, 1, 0, 0);
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_STOP});
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 0);
    ck_assert_int_eq(write_status(CLIENT, 1, 0, 0), EK_WIRE_BUSY);
    rig_reply(&rig, WORKER, link, token, EK_WIRE_OK, 1);
    ck_assert_int_eq(replied(0)->status, EK_WIRE_OK);
    ck_assert_uint_eq(ek_broker_in_flight(rig.broker), 0);
}
END_TEST

START_TEST(lost_replies_give_a_client_another_connection)
{
    struct ek_hello hello = {.id = 1, .wants_producer = true};
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_CLIENT_HELLO, .peer = CLIENT, .hello = &hello});
    struct ek_welcome first = *rig_action(&rig, EK_ACTION_WELCOME, 0)->welcome;
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_CLIENT_HELLO, .peer = CLIENT, .hello = &hello});
    struct ek_welcome same = *rig_action(&rig, EK_ACTION_WELCOME, 0)->welcome;
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_CLIENT_LOST, .peer = CLIENT});
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_CLIENT_HELLO, .peer = CLIENT, .hello = &hello});
    struct ek_welcome other = *rig_action(&rig, EK_ACTION_WELCOME, 0)->welcome;
    ck_assert_uint_eq(first.connection, same.connection);
    ck_assert_uint_ne(first.connection, other.connection);
    ck_assert_uint_lt(first.producer, same.producer);
}
END_TEST

/* Random events; the ledger must balance after each, and every accepted job must be answered once all is served. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

/* The worker of the random run comes back and knows every position that it was ever sent. */
static struct ek_link rejoin(const uint64_t *positions)
{
    struct ek_link link = rig_hello(&rig, WORKER, 1);
    struct ek_holding holdings[RIG_SHARDS];
    for (uint16_t i = 0; i < RIG_SHARDS; i++)
        holdings[i] = (struct ek_holding){.shard = i, .state = EK_HOLDING_SERVING, .epoch = 1, .position = positions[i]};
    struct ek_event event = {.peer = WORKER, .link = link, .holdings = holdings, .count = RIG_SHARDS};
    event.type = EK_EVENT_WORKER_REPORT;
    rig_step(&rig, event);
    event.type = EK_EVENT_WORKER_ASSIGNED;
    rig_step(&rig, event);
    rig_heartbeat(&rig, WORKER, link, 100, EK_MIB, 100);
    return link;
}

/* Clients that went away and left jobs for a shard without a worker are the longest silent ones for good. */
START_TEST(clients_with_jobs_keep_no_new_ones_out)
{
    enum { STUCK = 200 };
    static const struct ek_hello hello = {.id = 1};
    for (ek_broker_peer i = 0; i < STUCK; i++)
        ck_assert_int_eq(write_status(1000 + i, 0, 0, 0), EK_WIRE_OK);
    uint32_t ignored = 0;
    for (ek_broker_peer i = STUCK; i < 2 * EK_CLIENTS_MAX; i++) {
        rig_step(&rig, (struct ek_event){.type = EK_EVENT_CLIENT_HELLO, .peer = 1000 + i, .hello = &hello});
        ignored += rig_count(&rig, EK_ACTION_WELCOME) == 0;
    }
    ck_assert_uint_le(ignored, 2 * STUCK / 64); /* each was passed over once or twice, many at a time */
}
END_TEST

START_TEST(the_ledger_balances_whatever_happens)
{
    uint64_t positions[RIG_SHARDS] = {0};
    uint64_t random = 88172645463325252ull + (uint64_t)_i * 7919;
    struct ek_link link = rig_join(&rig, WORKER, 0, NULL);
    uint64_t tokens[4096];
    size_t token_count = 0;
    struct ek_ledger ledger;
    for (int i = 0; i < 3000; i++) {
        switch (next_random(&random) % 8) {
        case 0:
        case 1:
        case 2: {
            struct ek_job job = rig_job(&rig, next_random(&random) % 3 ? EK_JOB_WRITE : EK_JOB_READ,
                                        (uint16_t)(next_random(&random) % RIG_SHARDS), 0, 0);
            job.deadline_ms = next_random(&random) % 4 ? 0 : 1;
            rig_jobs(&rig, CLIENT + next_random(&random) % 3, &job, 1);
            break;
        }
        case 3:
        case 4:
            rig_dispatch(&rig);
            for (size_t n = 0; rig_sent(&rig, n) && token_count < 4096; n++) {
                tokens[token_count++] = rig_sent(&rig, n)->token;
                if (rig_sent(&rig, n)->kind == EK_JOB_WRITE && rig_sent(&rig, n)->position > positions[rig_sent(&rig, n)->shard])
                    positions[rig_sent(&rig, n)->shard] = rig_sent(&rig, n)->position;
            }
            break;
        case 5:
        case 6:
            if (token_count)
                rig_reply(&rig, WORKER, link, tokens[--token_count], EK_WIRE_OK, 1);
            break;
        default:
            if (next_random(&random) % 20 == 0) {
                token_count = 0;
                link = rejoin(positions);
            } else
                rig_tick(&rig, 500);
        }
        ck_assert_msg(rig_balanced(&rig, &ledger), "event %d of run %d", i, _i);
    }
    ck_assert_uint_gt(ledger.accepted, 500);
    ck_assert_uint_gt(ledger.done, 100);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("broker core");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, positions_follow_the_number_of_operations);
    tcase_add_test(tests, a_reply_reaches_its_client_and_confirms_its_position);
    tcase_add_test(tests, credit_in_jobs_and_bytes_is_kept);
    tcase_add_test(tests, one_large_job_goes_out_when_nothing_is_in_flight);
    tcase_add_test(tests, what_was_in_flight_goes_out_again_with_its_positions);
    tcase_add_test(tests, nobody_but_the_holder_answers_a_job);
    tcase_add_test(tests, silence_ends_a_link_and_keeps_the_queue);
    tcase_add_test(tests, a_storage_thread_that_hangs_ends_the_link);
    tcase_add_test(tests, a_full_queue_answers_busy_and_later_numbers_wait_for_the_refused_one);
    tcase_add_test(tests, a_refused_number_that_was_answered_meanwhile_holds_nobody_back);
    tcase_add_test(tests, shards_that_are_away_leave_room_for_the_others);
    tcase_add_test(tests, all_a_client_and_a_shard_have_their_limits);
    tcase_add_test(tests, what_is_away_has_half_of_all_and_of_each_client);
    tcase_add_test(tests, cancellations_have_a_small_allotment_beyond_the_limits);
    tcase_add_test(tests, cancellations_in_flight_are_bounded);
    tcase_add_test(tests, what_was_sent_is_not_cancelled_here);
    tcase_add_test(tests, a_marked_repetition_joins_the_copy_that_is_here);
    tcase_add_test(tests, an_expired_thin_job_is_answered_and_a_numbered_one_becomes_its_cancellation);
    tcase_add_test(tests, what_expires_in_the_queue_goes_before_what_does_not);
    tcase_add_test(tests, what_was_sent_does_not_expire_in_the_broker);
    tcase_add_test(tests, a_read_goes_with_its_number_even_when_the_write_is_in_flight);
    tcase_add_test(tests, a_thin_clients_read_waits_for_its_own_writes);
    tcase_add_test(tests, without_write_credit_reads_and_deletes_of_others_pass);
    tcase_add_test(tests, a_gap_is_given_back_and_uses_up_its_position);
    tcase_add_test(tests, brokers_that_have_the_same_time_give_other_ids);
    tcase_add_test(tests, forgotten_is_certain_only_behind_a_hello);
    tcase_add_test(tests, a_worker_that_disagrees_begins_again);
    tcase_add_test(tests, nothing_that_passes_gets_a_position_ahead_of_one_that_has_it_already);
    tcase_add_test(tests, a_read_that_is_taken_back_stands_behind_all_positions);
    tcase_add_test(tests, a_read_that_goes_out_again_has_a_new_stamp_and_a_write_its_first);
    tcase_add_test(tests, a_thin_job_is_routed_by_its_first_key_and_refused_when_it_has_none);
    tcase_add_test(tests, a_stopping_broker_refuses_and_finishes);
    tcase_add_test(tests, lost_replies_give_a_client_another_connection);
    tcase_add_test(tests, clients_with_jobs_keep_no_new_ones_out);
    tcase_add_loop_test(tests, the_ledger_balances_whatever_happens, 0, 8);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
