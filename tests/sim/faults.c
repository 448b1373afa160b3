#include "tests/sim/faults.h"

#include "tests/sim/cluster.h"
#include "tests/sim/course.h"
#include "tests/sim/disk.h"
#include "tests/sim/hazard.h"
#include "tests/sim/mover.h"
#include "tests/sim/net.h"
#include "tests/sim/past.h"
#include "tests/sim/poison.h"
#include "tests/sim/tally.h"
#include "tests/sim/workload.h"

enum {
    PLACES_MAX = 1 + SIM_WORKERS_MAX + SIM_CLIENTS_MAX,
    WATCH_US = 20 * 1000,
    LATE_US = 4 * 1000 * 1000,
    SPREE = 4,
    RENEWED_US = 400 * 1000,
    SUSPENDED_US = 6 * 1000 * 1000
};
#define YEAR_MS INT64_C(31557600000)

static struct {
    uint32_t allowed;
    uint64_t usual_us;
    bool over;
    uint64_t up_us[PLACES_MAX]; /* nobody is started again before */
} faults;

/* ---- places: the broker, the workers, the clients ---- */

static unsigned place_count(void)
{
    return 1 + sim_worker_count() + sim_client_count();
}

static struct sim_process *process_at(unsigned place)
{
    if (place == 0)
        return sim_broker();
    return place <= sim_worker_count() ? sim_worker(place - 1) : sim_client(place - 1 - sim_worker_count());
}

static void start_at(unsigned place)
{
    if (place == 0)
        sim_broker_start();
    else if (place <= sim_worker_count())
        sim_worker_start(place - 1);
    else
        sim_client_start(place - 1 - sim_worker_count());
}

static void watch(void *context, uint64_t argument)
{
    (void)context, (void)argument;
    for (unsigned i = 0; i < place_count(); i++)
        if (process_at(i)->state == SIM_ENDED && sim_now_us() >= faults.up_us[i])
            start_at(i);
    sim_at(sim_now_us() + WATCH_US, watch, NULL, 0);
}

static unsigned some_worker(void)
{
    return 1 + (unsigned)sim_draw(sim_worker_count());
}

static unsigned some_client(void)
{
    return 1 + sim_worker_count() + (unsigned)sim_draw(sim_client_count());
}

static uint64_t some_while_us(void)
{
    uint64_t liveness_us = sim_liveness_us();
    return sim_chance(60) ? sim_draw(liveness_us / 2) : sim_draw(liveness_us * 3);
}

/* ---- faults ---- */

/* The machine's: what its disk was told without a sync may be lost. */
static void cut_power_at(unsigned place)
{
    if (place > sim_worker_count() || sim_hazard_protects(process_at(place)))
        return;
    sim_count(SIM_COUNT_POWER_CUT);
    sim_tell("FAULT power cut of %s", process_at(place)->name);
    sim_kill(process_at(place));
    if (place == 0)
        sim_directory_cut_power();
    else
        sim_disk_cut_power(sim_disk_of(place));
}

static void cut_power_now(void *context, uint64_t place)
{
    (void)context;
    if (!faults.over)
        cut_power_at((unsigned)place);
}

/* Some ends are the whole machine's; and some power cuts follow a mere end, when the next program may be reading what it left. */
static void kill_at(unsigned place, uint64_t down_us)
{
    enum { SOON_US = 60 * 1000 };
    if (process_at(place)->state == SIM_ENDED || sim_hazard_protects(process_at(place)))
        return;
    faults.up_us[place] = sim_now_us() + down_us;
    sim_tell("FAULT kill %s", process_at(place)->name);
    if (place > sim_worker_count())
        sim_client_kill(place - 1 - sim_worker_count());
    else if (sim_chance(30))
        cut_power_at(place);
    else {
        sim_kill(process_at(place));
        if (sim_chance(40))
            sim_at(faults.up_us[place] + sim_draw(SOON_US), cut_power_now, NULL, place);
    }
}

static unsigned place_of(const struct sim_process *process)
{
    unsigned place = 0;
    while (process_at(place) != process)
        place++;
    return place;
}

static void kill_now(void *context, uint64_t argument)
{
    struct sim_process *process = context;
    (void)argument;
    if (!faults.over)
        kill_at(place_of(process), some_while_us());
}

bool sim_faults_kill(struct sim_process *process)
{
    if (faults.over || process->state == SIM_ENDED || sim_hazard_protects(process))
        return false;
    kill_at(place_of(process), some_while_us());
    return true;
}

static void break_now(void *context, uint64_t argument)
{
    struct sim_process *process = context;
    (void)argument;
    if (faults.over)
        return;
    sim_tell("FAULT break %s", process->name);
    sim_net_break(process);
}

/* Most ends come at the moments that matter: with a message on its way, or in a sync. */
static void kill_soon(unsigned place)
{
    enum { SOON = 6 };
    unsigned soon = 1 + (unsigned)sim_draw(SOON);
    if (sim_chance(30))
        kill_at(place, some_while_us());
    else if (place >= 1 && place <= sim_worker_count() && sim_chance(60)) {
        sim_disk_of(place)->doomed_in = soon;
        sim_disk_of(place)->doom = kill_now;
    } else
        sim_net_count_down(process_at(place), soon, kill_now, 0);
}

static void break_soon(unsigned place)
{
    enum { SOON = 10 };
    sim_net_count_down(process_at(place), 1 + (unsigned)sim_draw(SOON), break_now, 0);
}

static void go_on(void *context, uint64_t life)
{
    struct sim_process *process = context;
    if (process->life == life)
        sim_continue(process);
}

static void pause_at(unsigned place, uint64_t time_us)
{
    struct sim_process *process = process_at(place);
    sim_tell("FAULT pause %s for %llu ms", process->name, (unsigned long long)(time_us / 1000));
    sim_pause(process);
    sim_at(sim_now_us() + time_us, go_on, process, process->life);
}

static void part(unsigned place)
{
    uint64_t way = sim_draw(3);
    uint64_t until_us = sim_now_us() + some_while_us();
    if (way)
        sim_count(SIM_COUNT_PART_ONE_WAY);
    sim_tell("FAULT part %s (%s)", process_at(place)->name, way == 0 ? "both ways" : way == 1 ? "from it" : "to it");
    sim_net_hold(process_at(place), way != 2, way != 1, until_us);
}

/* Mostly between the two of a move. */
static void cut_workers(void)
{
    struct sim_process *a = sim_worker((unsigned)sim_draw(sim_worker_count()));
    struct sim_process *b = sim_worker((unsigned)sim_draw(sim_worker_count()));
    uint64_t way = sim_draw(4);
    if (sim_chance(80) && sim_course_some(&a, &b))
        sim_count(SIM_COUNT_CUT_IN_MOVE);
    sim_tell("FAULT cut between %s and %s", a->name, b->name);
    sim_net_cut(a, b, way != 1, way != 2, sim_now_us() + some_while_us());
}

/* The broker's, or a worker's. */
static void slow_disk(unsigned place)
{
    uint64_t until_us = sim_now_us() + some_while_us();
    uint64_t slow_us = sim_between(20 * 1000, sim_chance(30) ? sim_liveness_us() * 2 : 300 * 1000);
    sim_tell("FAULT slow disk %u", place);
    if (place == 0) {
        sim_directory()->slow_until_us = until_us;
        sim_directory()->slow_us = slow_us;
    } else {
        sim_disk_of(place)->slow_until_us = until_us;
        sim_disk_of(place)->slow_us = slow_us;
    }
}

void sim_faults_slow(const struct sim_process *worker)
{
    if (!faults.over)
        slow_disk(place_of(worker));
}

static void empty_disk(void *context, uint64_t argument)
{
    (void)argument;
    ((struct sim_disk *)context)->full = false;
}

static void fill_disk(unsigned worker)
{
    sim_disk_of(worker)->full = true;
    sim_tell("FAULT full disk %u", worker);
    sim_at(sim_now_us() + some_while_us(), empty_disk, sim_disk_of(worker), 0);
}

/* One of the two workers of a move where there is one, mostly the one that learns; else any. */
static unsigned some_mover(void)
{
    struct sim_process *source;
    struct sim_process *target;
    if (sim_chance(30) || !sim_course_some(&source, &target))
        return some_worker();
    return place_of(sim_chance(70) ? target : source);
}

/* Where a move is under way, mostly that of one of its two sides. */
static void fill_some_disk(void)
{
    struct sim_process *source;
    struct sim_process *target;
    bool at_target = sim_chance(60);
    if (sim_chance(30) || !sim_course_some(&source, &target)) {
        fill_disk(some_worker());
        return;
    }
    sim_count(at_target ? SIM_COUNT_FULL_TARGET : SIM_COUNT_FULL_SOURCE);
    fill_disk(place_of(at_target ? target : source));
}

static void step_wall_clock(void)
{
    struct sim_process *process = process_at((unsigned)sim_draw(1 + sim_worker_count()));
    int64_t span_ms = sim_chance(50) ? YEAR_MS : 20 * 1000;
    process->wall_ahead_ms = (int64_t)sim_draw((uint64_t)span_ms * 2) - span_ms;
    sim_tell("FAULT wall clock of %s %+lld ms", process->name, (long long)process->wall_ahead_ms);
}

static void kill_all(void)
{
    for (unsigned i = 0; i < place_count(); i++)
        if (i <= sim_worker_count() || sim_chance(30))
            kill_at(i, sim_draw(sim_liveness_us()));
}

static void kill_client_now(void *context, uint64_t number)
{
    (void)context;
    if (!faults.over)
        kill_at((unsigned)number, sim_draw(RENEWED_US));
}

/* Each client that begins anew is another producer. */
static void suspend_client(void)
{
    unsigned suspended = some_client();
    uint64_t time_us = sim_between(SUSPENDED_US / 2, SUSPENDED_US);
    for (unsigned client = 1 + sim_worker_count(); client < place_count(); client++)
        for (uint64_t at_us = RENEWED_US; client != suspended && at_us < time_us; at_us += sim_between(RENEWED_US, 4 * RENEWED_US))
            sim_at(sim_now_us() + at_us, kill_client_now, NULL, client);
    pause_at(suspended, time_us);
}

static void send_past(unsigned worker)
{
    sim_tell("FAULT messages of the past for %s", process_at(worker)->name);
    if (sim_chance(50))
        sim_past_repeat_replies(process_at(worker));
    else
        sim_past_send_job(process_at(worker), sim_disk_of(worker));
}

static void strike(enum sim_fault fault)
{
    unsigned anybody = (unsigned)sim_draw(place_count());
    switch (fault) {
    case SIM_KILL_WORKER:
        kill_soon(some_worker());
        break;
    case SIM_KILL_BROKER:
        kill_soon(0);
        break;
    case SIM_KILL_CLIENT:
        kill_soon(some_client());
        break;
    case SIM_KILL_ALL:
        kill_all();
        break;
    case SIM_BREAK:
        break_soon(anybody);
        break;
    case SIM_PART:
        part(anybody);
        break;
    case SIM_PAUSE:
        pause_at(anybody, some_while_us());
        break;
    case SIM_SLOW_DISK:
        slow_disk(sim_chance(20) ? 0 : some_mover());
        break;
    case SIM_STOP:
        anybody %= 1 + sim_worker_count();
        if (sim_hazard_protects(process_at(anybody)))
            break;
        faults.up_us[anybody] = sim_now_us() + some_while_us();
        sim_tell("FAULT stop %s", process_at(anybody)->name);
        sim_stop(process_at(anybody));
        break;
    case SIM_WALL_CLOCK:
        step_wall_clock();
        break;
    case SIM_COMPACT:
        sim_disk_compact(sim_disk_of(some_mover()));
        break;
    case SIM_FULL_DISK:
        fill_some_disk();
        break;
    case SIM_SUSPEND:
        suspend_client();
        break;
    case SIM_PAST:
        send_past(some_worker());
        break;
    case SIM_CUT:
        cut_workers();
        break;
    case SIM_FAULTS:
        break;
    }
}

static void strike_on(void *context, uint64_t argument)
{
    (void)context, (void)argument;
    if (faults.over)
        return;
    enum sim_fault fault = (enum sim_fault)sim_draw(SIM_FAULTS);
    if ((fault == SIM_KILL_ALL || fault == SIM_KILL_CLIENT || fault == SIM_WALL_CLOCK || fault == SIM_COMPACT ||
         fault == SIM_FULL_DISK || fault == SIM_SUSPEND) &&
        sim_chance(70))
        fault = SIM_BREAK;
    if (faults.allowed >> fault & 1) {
        strike(fault);
        sim_count((enum sim_count)fault); /* both count from 0 in the same order */
    }
    /* Some come in close succession: the second one while the first is being dealt with. */
    sim_at(sim_now_us() + (sim_chance(25) ? sim_draw(5000) : sim_draw(faults.usual_us * 2)), strike_on, NULL, 0);
}

void sim_faults_open(uint32_t allowed, uint64_t usual_us, unsigned late)
{
    faults.allowed = allowed;
    faults.usual_us = usual_us;
    for (unsigned i = 0; i < late && i + 1 < sim_worker_count(); i++) {
        faults.up_us[sim_worker_count() - i] = sim_now_us() + sim_draw(LATE_US);
        sim_count(SIM_COUNT_JOINED_LATE);
    }
    watch(NULL, 0);
    if (allowed)
        sim_at(sim_now_us() + sim_draw(usual_us * SPREE), strike_on, NULL, 0);
}

void sim_faults_heal(void)
{
    sim_tell("healed");
    faults.over = true;
    sim_poison_cure();
    sim_hazard_heal();
    sim_mover_heal();
    sim_course_heal();
    sim_directory()->slow_until_us = 0;
    for (unsigned i = 0; i < place_count(); i++) {
        faults.up_us[i] = 0;
        sim_continue(process_at(i));
    }
    for (unsigned i = 1; i <= sim_worker_count(); i++) {
        sim_disk_of(i)->slow_until_us = 0;
        sim_disk_of(i)->full = false;
        sim_disk_of(i)->doomed_in = 0;
    }
    sim_net_heal();
}
