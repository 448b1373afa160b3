/*
 * Runs the simulation, seed by seed: broker, workers and clients on one virtual clock, with faults; then everything heals, every
 * call ends, every client writes again, and the history is judged.
 *
 *     sim [-v | -x] [SEEDS [FIRST]]
 *
 * -v tells the story of each seed, -x ends with the first that fails. Each seed has a process of its own, whose memory goes with
 * it. What happened in all of them together is counted at the end; the last line says how many passed, failed, and were left
 * undecided by the search for an order, which is no success either. Nor is it one when something that is counted never happened in
 * ENOUGH_SEEDS seeds or more: what is not reached is not tested.
 */
#include "tests/sim/auditor.h"
#include "tests/sim/cluster.h"
#include "tests/sim/course.h"
#include "tests/sim/disk.h"
#include "tests/sim/faults.h"
#include "tests/sim/hazard.h"
#include "tests/sim/history.h"
#include "tests/sim/ledger.h"
#include "tests/sim/mover.h"
#include "tests/sim/net.h"
#include "tests/sim/seeds.h"
#include "tests/sim/tally.h"
#include "tests/sim/wire.h"
#include "tests/sim/workload.h"
#include "tests/support/seed_arguments.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND_US   UINT64_C(1000000)
#define PATIENCE_US (180 * SECOND_US) /* everything must have ended so long after the healing */

enum { DEFAULT_SEEDS = 200, SEEDS_MAX = 1000000, SAME_SEEDS = 3, EXIT_SKIPPED = 77 };
enum { ENOUGH_SEEDS = 500 }; /* for everything that is counted to have happened */

enum verdict { PASSED, FAILED, UNDECIDED, VERDICTS };

/* ---- one seed ---- */

static uint64_t one_of(const uint64_t *values, size_t count)
{
    return values[sim_draw(count)];
}

#define ONE_OF(...) one_of((const uint64_t[]){__VA_ARGS__}, sizeof(const uint64_t[]){__VA_ARGS__} / sizeof(uint64_t))

static void open_all(uint64_t span_us)
{
    bool hazards = sim_chance(20);
    bool moves = sim_chance(50);
    struct sim_net_options net = {.delay_us = ONE_OF(50, 300, 2000, 10000),
                                  .messages_max = (unsigned)ONE_OF(3, 16, 256),
                                  .repeat_percent = (unsigned)ONE_OF(0, 0, 20, 70)};
    struct sim_cluster_options cluster = {.workers = (unsigned)sim_between(moves ? 2 : 1, 3),
                                          .shards = (uint32_t)ONE_OF(1, 3, 8),
                                          .liveness_ms = ONE_OF(400, 2000),
                                          .queue_bytes_max = ONE_OF(0, 0, 1 << 20), /* 0: room for one job of the largest size */
                                          .live_bytes_max = ONE_OF(300, 3000, 1 << 20),
                                          .sync_us = ONE_OF(100, 1000, 8000)};
    struct sim_workload_options workload = {.clients = (unsigned)sim_between(2, 4),
                                            .thin_clients = (unsigned)sim_draw(3),
                                            .calls = (unsigned)ONE_OF(100, 200, 300),
                                            .span_us = span_us,
                                            .eager = moves && sim_chance(60),
                                            .large = sim_chance(30),
                                            .poison = !hazards && sim_chance(30),
                                            .close_percent = (unsigned)ONE_OF(0, 0, 2, 6, 15),
                                            .delete_percent = (unsigned)ONE_OF(0, 0, 0, 0, 90)};
    workload.thin_clients = net.repeat_percent ? 0 : workload.thin_clients; /* their jobs have no number */
    sim_net_open(&net, sim_wire_see);
    sim_disk_watch(sim_ledger_recorded, sim_ledger_lost);
    sim_cluster_open(&cluster);
    sim_workload_open(&workload);
    if (hazards)
        sim_hazard_open();
    if (moves) {
        sim_mover_open();
        if (sim_chance(50))
            sim_auditor_open();
        sim_course_open((unsigned)ONE_OF(0, 3, 10, 25));
    }
    sim_tell("%u workers, %u shards, liveness %" PRIu64 " ms, %u clients, %u thin ones, %u calls each", cluster.workers,
             cluster.shards, cluster.liveness_ms, workload.clients, workload.thin_clients, workload.calls);
}

/* A seed allows all faults, or few, or one kind only: what is rare among others is frequent there. */
static uint32_t some_faults(void)
{
    uint32_t all = (UINT32_C(1) << SIM_FAULTS) - 1;
    uint64_t choice = sim_draw(10);
    if (choice < 4)
        return all;
    if (choice < 9)
        return (uint32_t)sim_random() & all;
    return UINT32_C(1) << sim_draw(SIM_FAULTS);
}

static void run_until(bool (*done)(void), const char *what)
{
    uint64_t until_us = sim_now_us() + PATIENCE_US;
    while (!sim_failed() && !done())
        if (sim_now_us() >= until_us)
            sim_fail("%" PRIu64 " s after the healing %s", PATIENCE_US / SECOND_US, what);
        else
            (void)sim_run_one();
}

static void run_seed(uint64_t seed, FILE *report, bool verbose)
{
    sim_world_open(seed, report, verbose);
    uint64_t span_us = sim_between(6, 20) * SECOND_US;
    open_all(span_us);
    sim_faults_open(some_faults(), ONE_OF(150, 400, 1200) * 1000, (unsigned)sim_draw(3));
    sim_run(sim_now_us() + span_us);
    sim_faults_heal();
    sim_workload_calm();
    run_until(sim_mover_is_over, "some move has not ended, or left rows behind");
    if (sim_failed())
        sim_mover_tell();
    run_until(sim_hazard_is_over, "the operator has not done his work");
    run_until(sim_workload_is_idle, "some calls have not ended");
    sim_workload_finish();
    run_until(sim_workload_is_finished, "some client cannot write or read");
    run_until(sim_mover_is_over, "some move has not ended, or left rows behind"); /* one that was asked for late */
    if (!sim_failed())
        sim_mover_count();
    if (!sim_failed())
        sim_history_judge();
    (void)fprintf(report, "seed %" PRIu64 ": %zu calls, %zu acknowledged writes, hash %016" PRIx64 "\n", seed, sim_history_calls(),
                  sim_history_acknowledged(), sim_hash());
}

/* ---- seeds ---- */

static struct sim_tally *tally; /* shared with the seeds' processes, of which one runs at a time */

struct result {
    enum verdict verdict;
    char *text; /* what it reported */
};

static char *read_all(FILE *file)
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    char buffer[4096];
    size_t got;
    rewind(file);
    while ((got = fread(buffer, 1, sizeof buffer, file)) > 0)
        (void)fwrite(buffer, 1, got, memory);
    (void)fclose(memory);
    return text;
}

static struct result try_seed(uint64_t seed, bool verbose)
{
    FILE *report = tmpfile();
    if (!report)
        abort();
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stdout)) /* programs say that they are ready */
            abort();
        run_seed(seed, report, verbose);
        (void)fflush(report);
        sim_tally_add(tally);
        quick_exit(sim_failed() ? FAILED : sim_history_is_undecided() ? UNDECIDED : PASSED);
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child)
        abort();
    bool ended = WIFEXITED(status) && WEXITSTATUS(status) < VERDICTS;
    struct result result = {.verdict = ended ? (enum verdict)WEXITSTATUS(status) : FAILED, .text = read_all(report)};
    if (!WIFEXITED(status))
        (void)printf("seed %" PRIu64 ": killed by signal %d\n", seed, WTERMSIG(status));
    (void)fclose(report);
    return result;
}

static enum verdict judge_seed(uint64_t seed, bool verbose, bool twice)
{
    static const char *const words[VERDICTS] = {[FAILED] = "FAILED", [UNDECIDED] = "UNDECIDED"};
    struct result result = try_seed(seed, verbose);
    if (result.verdict != PASSED || verbose)
        (void)printf("%s", result.text);
    if (result.verdict != PASSED)
        (void)printf("%s seed %" PRIu64 "; repeat it with: make sim SEEDS=1 SEED=%" PRIu64 "\n", words[result.verdict], seed, seed);
    if (twice && result.verdict == PASSED) {
        struct result again = try_seed(seed, verbose);
        if (again.verdict != PASSED || strcmp(again.text, result.text) != 0) {
            (void)printf("FAILED seed %" PRIu64 " does not repeat itself:\n%s%s", seed, result.text, again.text);
            result.verdict = FAILED;
        }
        free(again.text);
    }
    free(result.text);
    (void)fflush(stdout);
    return result.verdict;
}

int main(int argc, char **argv)
{
#ifdef __SANITIZE_THREAD__
    (void)puts("the simulation has one thread, and switches stacks without ThreadSanitizer's knowledge");
    return EXIT_SKIPPED;
#endif
    bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
    bool first_only = argc > 1 && strcmp(argv[1], "-x") == 0;
    int flags = verbose || first_only;
    struct ek_seed_arguments wanted = ek_seed_arguments(argc - 1 - flags, argv + 1 + flags, DEFAULT_SEEDS, SEEDS_MAX);
    uint64_t seeds = wanted.seeds;
    uint64_t first = wanted.first;
    tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED)
        abort();
    size_t counts[VERDICTS] = {0};
    for (uint64_t i = 0; i < seeds && !(first_only && counts[FAILED]); i++)
        counts[judge_seed(first + i, verbose, i < SAME_SEEDS)]++;
    for (size_t i = 0; i < sim_regression_count && first == 1 && !first_only; i++) {
        enum verdict verdict = judge_seed(sim_regressions[i].seed, verbose, false);
        if (verdict != PASSED)
            (void)printf("that seed once found: %s\n", sim_regressions[i].found);
        counts[verdict]++;
    }
    sim_tally_print(tally, stdout);
    size_t lacking = seeds >= ENOUGH_SEEDS && counts[FAILED] == 0 ? sim_tally_lacks(tally, stdout) : 0;
    (void)printf("%zu passed, %zu failed, %zu undecided\n", counts[PASSED], counts[FAILED], counts[UNDECIDED]);
    return counts[FAILED] + counts[UNDECIDED] + lacking > 0;
}
