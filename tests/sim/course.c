#include "tests/sim/course.h"

#include "broker/moves.h"
#include "common/codec.h"
#include "tests/sim/cluster.h"
#include "tests/sim/disk.h"
#include "tests/sim/faults.h"
#include "tests/sim/hazard.h"
#include "tests/sim/holders.h"
#include "tests/sim/net.h"
#include "tests/sim/tally.h"

#include <inttypes.h>
#include <string.h>

enum victim { BROKER, SOURCE, TARGET, VICTIMS };

enum {
    SEEN_MAX = 512,
    WITHIN_STEP_US = 300,
    GRACE_US = 10 * 1000 * 1000,
    LAG_PERCENT = 40,
    COMPACT_PERCENT = 30,
    LOSE_PERCENT = 15
};

struct course {
    enum sim_course_step step;
    unsigned serial; /* of the steps: another one than a kill was meant for */
    struct sim_process *source;
    struct sim_process *target;
    bool begun;
    uint64_t epoch; /* of the switch */
};

/* What a move was when the broker's step before had ended. */
struct seen {
    uint64_t number;
    enum ek_move_phase phase;
    uint64_t attempt;
};

static struct {
    unsigned kill_percent;
    bool healed;
    struct course courses[EK_SHARDS_MAX];
    struct sim_process *former[EK_SHARDS_MAX]; /* who gave the shard away last, at */
    uint64_t given_us[EK_SHARDS_MAX];
    struct seen seen[SEEN_MAX]; /* by number */
    uint64_t life;              /* of the broker that they are of */
} all;

void sim_course_open(unsigned kill_percent)
{
    all.kill_percent = kill_percent;
}

void sim_course_heal(void)
{
    all.healed = true;
}

static struct sim_process *process_called(const char *name)
{
    for (unsigned i = 0; i < sim_worker_count(); i++)
        if (strcmp(sim_worker(i)->name, name) == 0)
            return sim_worker(i);
    return NULL;
}

static const struct sim_disk *disk_of(const struct sim_process *worker)
{
    return worker ? sim_disk_of((unsigned)worker->number) : NULL;
}

/* ---- ends between two steps ---- */

/* The shard, the victim and the serial of the step in one number. */
static uint64_t pack(uint16_t shard, enum victim victim, unsigned serial)
{
    return (uint64_t)serial << 32 | (uint64_t)victim << 16 | shard;
}

static struct sim_process *process_of(const struct course *course, enum victim victim)
{
    return victim == BROKER ? sim_broker() : victim == SOURCE ? course->source : course->target;
}

static void kill_now(void *context, uint64_t packed)
{
    const struct course *course = &all.courses[packed & 0xffff];
    enum victim victim = (enum victim)(packed >> 16 & 0xff);
    struct sim_process *process = process_of(course, victim);
    (void)context;
    if (course->serial != packed >> 32 || !process || !sim_faults_kill(process))
        return;
    sim_tell("behind step %d of shard %u's move", (int)course->step, (unsigned)(packed & 0xffff));
    sim_count((enum sim_count)(SIM_COUNT_STEP_KILLED + (course->step - 1) * VICTIMS + victim));
}

static uint64_t until_kill_us(enum sim_course_step step)
{
    if (sim_chance(50))
        return 0; /* before whoever has done the step goes on */
    return sim_draw(step == SIM_COURSE_RELEASE && sim_chance(60) ? GRACE_US : WITHIN_STEP_US);
}

/* A learner that does not keep up has to be waited for; and what it drops in the end must be what its source may drop. */
static void trouble(const struct course *course)
{
    if (all.kill_percent && !all.healed && course->step == SIM_COURSE_INGEST && sim_chance(LAG_PERCENT))
        sim_faults_slow(course->target);
    if ((course->step == SIM_COURSE_HOLD || course->step == SIM_COURSE_SWITCH) && sim_chance(COMPACT_PERCENT))
        sim_disk_compact(sim_disk_of((unsigned)course->target->number));
}

static void take_step(uint16_t shard, enum sim_course_step step)
{
    struct course *course = &all.courses[shard];
    course->step = step;
    course->serial++;
    trouble(course);
    if (all.healed || step == SIM_COURSE_ORDERED || step == SIM_COURSE_DELETE || !sim_chance(all.kill_percent))
        return;
    sim_at(sim_now_us() + until_kill_us(step), kill_now, NULL, pack(shard, (enum victim)sim_draw(VICTIMS), course->serial));
}

static void go_on(uint16_t shard, enum sim_course_step from, enum sim_course_step to)
{
    if (all.courses[shard].begun && all.courses[shard].step == from)
        take_step(shard, to);
}

/* ---- what is on the wire ---- */

static void begin(uint16_t shard, struct sim_process *target)
{
    const struct ek_broker *core = sim_broker_core();
    struct course *course = &all.courses[shard];
    int holder = core ? core->shards[shard].holder : EK_NOBODY;
    course->begun = holder != EK_NOBODY && target;
    course->source = holder == EK_NOBODY ? NULL : process_called(core->workers[holder].name);
    course->target = target;
    take_step(shard, SIM_COURSE_ORDERED);
}

void sim_course_ordered(const struct sim_process *to, struct ek_reader fields)
{
    struct ek_move_order order;
    if (to && ek_decode_move_order(&fields, &order) == EK_OK && order.step == EK_MOVE_FILL)
        begin(order.attempt.shard, process_called(to->name));
}

void sim_course_reported(const struct sim_process *from, struct ek_reader fields)
{
    struct ek_move_report report;
    if (ek_decode_move_report(&fields, &report) != EK_OK)
        return;
    uint16_t shard = report.attempt.shard;
    const struct course *course = &all.courses[shard];
    if (report.step == EK_MOVED_EMPTIED && from == course->target)
        go_on(shard, SIM_COURSE_EMPTY, SIM_COURSE_FLUSH);
    else if (report.step == EK_MOVED_FETCHED && from == course->target)
        go_on(shard, SIM_COURSE_FLUSH, SIM_COURSE_INGEST);
    else if (report.step == EK_MOVED_CLEANED && from == course->source)
        go_on(shard, SIM_COURSE_RELEASE, SIM_COURSE_DELETE);
}

void sim_course_assigned(const struct sim_process *to, struct ek_reader fields)
{
    uint32_t count;
    struct ek_link link;
    struct ek_holding holding;
    if (!to || ek_decode_link(&fields, &link) != EK_OK || ek_decode_count(&fields, EK_SHARDS_MAX, &count) != EK_OK)
        return;
    for (uint32_t i = 0; i < count && ek_decode_holding(&fields, &holding) == EK_OK; i++)
        if (holding.state == EK_HOLDING_SERVING && to == all.courses[holding.shard].target)
            go_on(holding.shard, SIM_COURSE_SWITCH, SIM_COURSE_ANNOUNCE);
}

static bool is_feed(struct ek_slice message)
{
    enum ek_message_type type;
    struct ek_reader fields;
    return ek_decode_type(message, &type, &fields) == EK_OK && type == EK_MESSAGE_WORKER_FEED;
}

static void lose_now(void *context, uint64_t argument)
{
    (void)argument;
    if (!all.healed)
        sim_net_lose(context, is_feed);
}

void sim_course_fed(const struct sim_process *to)
{
    if (to && all.kill_percent && sim_chance(LOSE_PERCENT))
        sim_at(sim_now_us(), lose_now, process_called(to->name), 0);
}

/* ---- what is on disk ---- */

void sim_course_adopted(const struct sim_disk *disk, const struct ek_holding *role)
{
    const struct course *course = &all.courses[role->shard];
    if (role->state == EK_HOLDING_FILLING && disk == disk_of(course->target)) {
        if (sim_holders_has_rows(disk, role->shard))
            sim_count(SIM_COUNT_MOVE_REFILLED);
        go_on(role->shard, SIM_COURSE_ORDERED, SIM_COURSE_EMPTY);
    } else if (role->state == EK_HOLDING_LEARNER && disk == disk_of(course->target))
        go_on(role->shard, SIM_COURSE_INGEST, SIM_COURSE_RECORD);
    else if (role->state == EK_HOLDING_RELEASED && disk == disk_of(course->source)) {
        go_on(role->shard, SIM_COURSE_SWITCH, SIM_COURSE_RELEASE); /* it may have been told first */
        go_on(role->shard, SIM_COURSE_ANNOUNCE, SIM_COURSE_RELEASE);
    }
}

static void count_switch(uint16_t shard, const struct course *course)
{
    if (all.former[shard] == course->target && sim_now_us() - all.given_us[shard] < GRACE_US)
        sim_count(SIM_COUNT_MOVED_BACK);
    all.former[shard] = course->source;
    all.given_us[shard] = sim_now_us();
}

void sim_course_durable(const struct ek_record *record)
{
    if (record->type != EK_RECORD_ASSIGNMENT)
        return;
    const struct course *course = &all.courses[record->shard];
    const struct sim_disk *disk = sim_hazard_disk_of(&record->worker);
    if (!course->begun || course->step != SIM_COURSE_HOLD || !disk || disk != disk_of(course->target))
        return;
    count_switch(record->shard, course);
    take_step(record->shard, SIM_COURSE_SWITCH);
}

/* ---- what the broker thinks ---- */

static void count_change(const struct seen *before, const struct ek_move *move)
{
    if (move->phase == EK_MOVE_CANCELLED)
        sim_count((enum sim_count)(SIM_COUNT_CANCELLED_IN + before->phase));
    else if (move->phase == EK_MOVE_FAILED)
        sim_count(SIM_COUNT_MOVE_FAILED);
    if (before->phase == EK_MOVE_HOLDING && move->phase == EK_MOVE_CATCHING_UP)
        sim_count(SIM_COUNT_HOLD_UNDONE);
    if (before->attempt && move->attempt != before->attempt)
        sim_count(SIM_COUNT_MOVE_TRIED_AGAIN);
}

static void look_at(const struct ek_move *move)
{
    struct seen *seen = &all.seen[move->number % SEEN_MAX];
    if (seen->number != move->number)
        *seen = (struct seen){.number = move->number};
    if (seen->phase == move->phase && seen->attempt == move->attempt)
        return;
    if (move->phase == EK_MOVE_HOLDING || (move->phase == EK_MOVE_RELEASING && seen->phase < EK_MOVE_HOLDING))
        go_on(move->shard, SIM_COURSE_RECORD, SIM_COURSE_HOLD);
    else if (seen->phase == EK_MOVE_HOLDING && move->phase == EK_MOVE_CATCHING_UP)
        go_on(move->shard, SIM_COURSE_HOLD, SIM_COURSE_RECORD);
    count_change(seen, move);
    *seen = (struct seen){.number = move->number, .phase = move->phase, .attempt = move->attempt};
}

const struct ek_action *__real_ek_broker_step(struct ek_broker *broker, const struct ek_event *event, size_t *ret_count);
const struct ek_action *__wrap_ek_broker_step(struct ek_broker *broker, const struct ek_event *event, size_t *ret_count);

const struct ek_action *__wrap_ek_broker_step(struct ek_broker *broker, const struct ek_event *event, size_t *ret_count)
{
    const struct ek_action *actions = __real_ek_broker_step(broker, event, ret_count);
    if (all.life != sim_broker()->life)
        memset(all.seen, 0, sizeof all.seen); /* moves begin at 1 again */
    all.life = sim_broker()->life;
    for (const struct ek_move *move = broker->moves; move; move = move->next)
        look_at(move);
    return actions;
}

/* ---- what others ask ---- */

static bool is_under_way(const struct course *course)
{
    return course->begun && course->source && course->step < SIM_COURSE_SWITCH;
}

bool sim_course_any(void)
{
    for (uint32_t shard = 0; shard < sim_shard_count(); shard++)
        if (is_under_way(&all.courses[shard]))
            return true;
    return false;
}

bool sim_course_some(struct sim_process **ret_source, struct sim_process **ret_target)
{
    uint64_t seen = 0;
    for (uint32_t shard = 0; shard < sim_shard_count(); shard++) {
        const struct course *course = &all.courses[shard];
        if (!is_under_way(course) || sim_draw(++seen) != 0)
            continue;
        *ret_source = course->source;
        *ret_target = course->target;
    }
    return seen > 0;
}

void sim_course_filtered(const struct sim_disk *disk, uint16_t shard)
{
    const struct course *course = &all.courses[shard];
    if (!course->begun || course->step < SIM_COURSE_FLUSH || course->step > SIM_COURSE_SWITCH)
        return;
    if (disk == disk_of(course->source))
        sim_count(SIM_COUNT_FILTERED_AT_SOURCE);
    if (disk == disk_of(course->target))
        sim_count(SIM_COUNT_FILTERED_AT_TARGET);
}
