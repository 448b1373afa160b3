#include "tests/planner/tables.h"

#include "tests/planner/figures.h"
#include "tests/planner/trials.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 14, FIGURES_MAX = 40 };

/* Who is measured. */
struct column {
    const char *name;
    enum ps_kind kind;
    struct ek_plan_rules rules;
    uint64_t broken;
    double values[FIGURES_MAX][PS_SEEDS_MAX]; /* by figure and seed; sorted when all are there */
};

static struct column columns[COLUMNS_MAX];

static int by_value(const void *a, const void *b)
{
    double one = *(const double *)a;
    double other = *(const double *)b;
    if (isnan(one) || isnan(other))
        return isnan(one) - isnan(other);
    return one < other ? -1 : one > other;
}

static bool has(const struct column *column, const struct ps_figure *figure)
{
    return !figure->planned || column->kind == PS_PLANNER;
}

/* A scenario yields some figures, and is run once for all of them. */
static bool is_first_of_its_scenario(size_t figure)
{
    for (size_t i = 0; i < figure; i++)
        if (ps_figures[i].scenario == ps_figures[figure].scenario)
            return false;
    return true;
}

static void measure(struct column *column, uint64_t seeds, uint64_t first)
{
    for (size_t f = 0; f < ps_figure_count; f++) {
        if (!is_first_of_its_scenario(f) || !has(column, &ps_figures[f]))
            continue;
        for (uint64_t s = 0; s < seeds; s++) {
            double found[PS_VALUES_MAX] = {0};
            column->broken += ps_figures[f].scenario(column->kind, &column->rules, first + s, found);
            for (size_t other = f; other < ps_figure_count; other++)
                if (ps_figures[other].scenario == ps_figures[f].scenario)
                    column->values[other][s] = found[ps_figures[other].value];
        }
    }
    for (size_t f = 0; f < ps_figure_count; f++)
        qsort(column->values[f], seeds, sizeof(double), by_value);
}

static void print_value(double value)
{
    if (isnan(value))
        (void)printf("  never");
    else
        (void)printf(fabs(value) >= 100 ? " %6.0f" : fabs(value) >= 10 ? " %6.1f" : " %6.3f", value);
}

static void print_row(const struct ps_figure *figure, size_t number, size_t count, uint64_t seeds)
{
    (void)printf("| %-4s | %-39s | %6.4g |", figure->name, figure->text, figure->target);
    for (size_t c = 0; c < count; c++) {
        if (!has(&columns[c], figure)) {
            (void)printf(" %14s |", "-");
            continue;
        }
        print_value(columns[c].values[number][(seeds - 1) / 2]);
        print_value(columns[c].values[number][seeds - 1]);
        (void)printf("  |");
    }
}

static void print_head(const char *title, size_t count, const char *last, const char *rule)
{
    (void)printf("| %-4s | %-39s | %6s |", "", title, "reach");
    for (size_t c = 0; c < count; c++)
        (void)printf(" %14s |", columns[c].name);
    (void)printf("%s\n| ---- | --------------------------------------- | -----: |", last);
    for (size_t c = 0; c < count; c++)
        (void)printf(" -------------: |");
    (void)printf("%s\n", rule);
}

size_t ps_print_figures(uint64_t seeds, uint64_t first)
{
    for (size_t k = 0; k < PS_KINDS; k++) {
        columns[k] = (struct column){.name = ps_policy_name((enum ps_kind)k), .kind = (enum ps_kind)k, .rules = ek_plan_rules};
        measure(&columns[k], seeds, first);
    }
    (void)printf("%" PRIu64 " seeds from %" PRIu64 " on; two numbers are the median and the worst of them.\n\n", seeds, first);
    print_head("figure", PS_KINDS, " verdict      |", " ------------ |");
    size_t counts[4] = {0};
    for (size_t f = 0; f < ps_figure_count; f++) {
        static const char *const words[] = {"reached", "MISSED", "out of reach", "not judged"};
        print_row(&ps_figures[f], f, PS_KINDS, seeds);
        bool reached = columns[PS_PLANNER].values[f][seeds - 1] <= ps_figures[f].target;
        bool can_be = ps_figures[f].planned || columns[PS_ORACLE].values[f][0] <= ps_figures[f].target;
        size_t word = !ps_figures[f].judged ? 3 : reached ? 0 : can_be ? 1 : 2;
        counts[word]++;
        (void)printf(" %-12s |\n", words[word]);
    }
    (void)printf("\n%zu figures reached, %zu missed, %zu out of anybody's reach; the planner broke %" PRIu64 " rules\n\n",
                 counts[0], counts[1], counts[2], columns[PS_PLANNER].broken);
    return counts[1] + (size_t)columns[PS_PLANNER].broken;
}

/* ---- trials ---- */

static size_t print_trial(size_t trial, uint64_t seeds, uint64_t first)
{
    double settled[PS_SEEDS_MAX];
    double mean = 0;
    double moved = 0;
    double returns = 0;
    size_t broken = 0;
    struct ps_verdict worst = {.settled = -1};
    for (uint64_t s = 0; s < seeds; s++) {
        size_t size = (trial + first + s) * 5 % PS_TRIAL_SIZES; /* 5: neighbours in the table differ in both numbers */
        struct ps_verdict verdict = ps_trial_run(trial, size, first + s, &ek_plan_rules, s == 0);
        if (s == 0 && ps_trial_run(trial, size, first, &ek_plan_rules, false).hash != verdict.hash) {
            (void)printf("seed %" PRIu64 " does not repeat itself\n", first);
            broken++;
        }
        settled[s] = verdict.settled;
        mean += verdict.mean / (double)seeds;
        moved += verdict.moved / (double)seeds;
        returns = fmax(returns, verdict.returns);
        broken += verdict.broken;
        if (verdict.settled > worst.settled)
            worst = verdict;
    }
    qsort(settled, seeds, sizeof(double), by_value);
    (void)printf("| %-34s |", ps_trial_names[trial]);
    if (worst.settled < 0)
        (void)printf(" %7s | %7s | %9s |", "-", "-", "-");
    else
        (void)printf(" %7.3f | %7.3f | %2u x %4u |", settled[(seeds - 1) / 2], worst.settled, worst.workers, worst.shards);
    (void)printf(" %6.3f | %6.2f | %6.2f | %6zu |\n", mean, 100 * moved, 100 * returns, broken);
    return broken;
}

size_t ps_print_trials(uint64_t seeds, uint64_t first)
{
    size_t broken = 0;
    (void)printf("| %-34s | %7s | %7s | %-9s | %6s | %6s | %6s | %6s |\n", "settled max/mean over bound", "median", "worst",
                 "there", "mean", "moved%", "A-B-A%", "broken");
    (void)printf("| ---------------------------------- | ------: | ------: | --------: | -----: | -----: | -----: | -----: |\n");
    for (size_t t = 0; t < ps_trial_count; t++)
        broken += print_trial(t, seeds, first);
    (void)printf("\n%zu rules broken\n", broken);
    return broken;
}

/* ---- ablations ---- */

static size_t ablation(size_t at, const char *name, struct ek_plan_rules rules)
{
    columns[at] = (struct column){.name = name, .kind = PS_PLANNER, .rules = rules};
    return at + 1;
}

int ps_print_ablations(uint64_t seeds, uint64_t first)
{
    struct ek_plan_rules rules = ek_plan_rules;
    size_t count = ablation(0, "as it is", rules);
    rules.cooldown_us = rules.no_return_us = 0;
    rules.return_worth = 1;
    count = ablation(count, "no cooldown", rules);
    rules = ek_plan_rules;
    rules.wait_us = 0;
    rules.start_ratio = rules.end_ratio = 1;
    count = ablation(count, "no hysteresis", rules);
    rules = ek_plan_rules;
    rules.noise_sigmas = 0;
    count = ablation(count, "no noise test", rules);
    rules.wait_us = 0;
    rules.start_ratio = rules.end_ratio = 1;
    rules.cooldown_us = rules.no_return_us = 0;
    rules.return_worth = 1;
    count = ablation(count, "none of these", rules);
    rules = ek_plan_rules;
    rules.weight[EK_PLAN_WRITES] = rules.weight[EK_PLAN_NET] = rules.weight[EK_PLAN_STORED] = 0;
    count = ablation(count, "busy alone", rules);
    rules = ek_plan_rules;
    for (size_t r = 0; r < EK_PLAN_RESOURCES; r++)
        rules.weight[r] = 1;
    count = ablation(count, "equal weights", rules);
    rules = ek_plan_rules;
    rules.move_fixed_bytes = UINT64_C(1) << 50;
    count = ablation(count, "bytes for free", rules);
    rules = ek_plan_rules;
    rules.shift_sigmas = 1e9;
    count = ablation(count, "no shift test", rules);
    rules = ek_plan_rules;
    rules.alert_us = 0;
    count = ablation(count, "no alert", rules);
    rules = ek_plan_rules;
    rules.waver_known_s = INFINITY;
    count = ablation(count, "no trimming", rules);
    rules = ek_plan_rules;
    rules.inversion_share = 0;
    count = ablation(count, "strict order", rules);
    rules = ek_plan_rules;
    rules.exchange_least = 0;
    count = ablation(count, "any exchange", rules);
    rules = ek_plan_rules;
    rules.drift_sigmas = INFINITY;
    count = ablation(count, "no drift", rules);
    for (size_t c = 0; c < count; c++)
        measure(&columns[c], seeds, first);
    (void)printf("%" PRIu64 " seeds from %" PRIu64 " on; two numbers are the median and the worst of them.\n\n", seeds, first);
    print_head("figure", count, "", "");
    for (size_t f = 0; f < ps_figure_count; f++) {
        print_row(&ps_figures[f], f, count, seeds);
        (void)putchar('\n');
    }
    return 0;
}

/* ---- series ---- */

static void print_series(const char *name, enum ps_kind kind, void (*happen)(struct ps_run *), uint64_t seconds)
{
    struct ps_options options = {.workers = 8, .shards = 512, .seed = 1, .utilisation = 0.55, .shard_bytes = 16.0 * EK_MIB};
    struct ps_run run;
    ps_run_open(&run, &options, kind, &ek_plan_rules, false);
    ps_run_shape(&run, PS_UNIFORM, 0, 0);
    ps_run_seconds(&run, 60);
    happen(&run);
    ps_run_seconds(&run, seconds);
    for (uint64_t t = 1; t <= run.world.tick; t++)
        (void)printf("%s %s %" PRIu64 " %.4f\n", name, ps_policy_name(kind), t, run.world.ratios[t]);
    (void)ps_run_close(&run);
}

static void become_zipf(struct ps_run *run)
{
    ps_run_shape(run, PS_ZIPF, 0.99, 0);
}

static void jump(struct ps_run *run)
{
    ps_run_shape(run, PS_JUMP, 0.2, 300);
}

static void swing(struct ps_run *run)
{
    ps_run_shape(run, PS_SINE, 0.7, 3600);
}

static void add(struct ps_run *run)
{
    (void)ps_world_add(&run->world, 1);
}

static void drain(struct ps_run *run)
{
    ps_world_drain(&run->world, 3);
}

static void kill_one(struct ps_run *run)
{
    ps_world_stop(&run->world, 3, true);
}

int ps_print_series(void)
{
    for (enum ps_kind k = 0; k < PS_KINDS; k++) {
        print_series("zipf", k, become_zipf, 300);
        print_series("jump", k, jump, 900);
        print_series("sine", k, swing, 3600);
        print_series("add", k, add, 300);
        print_series("drain", k, drain, 300);
        print_series("kill", k, kill_one, 300);
    }
    return 0;
}
