#include "tests/sim/checker.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = CHECK_CALLS_MAX / 64 };

struct row {
    bool present;
    bool is_number;
    int64_t value;
    uint64_t version; /* 0 = not known, */
    uint64_t after;   /* but above this one */
    uint64_t expiry_low;
    uint64_t expiry_high; /* 0 = does not expire */
};

struct object {
    struct row rows[CHECK_KEYS_MAX];
    uint64_t version; /* the highest known */
};

/* A set of required calls that are done with the rows that came of them, and which of the others were used up on the way there. The
 * same with fewer used up leaves every choice that this one leaves, so that this one need not be looked at. */
struct visit {
    uint64_t hash;
    uint32_t next; /* of the same place in the table; 0 = none */
    uint64_t used[WORDS];
};

struct search {
    const struct check_call *calls;
    size_t count;
    size_t states_max;
    uint64_t done[WORDS];   /* linearized, or given up */
    uint64_t maybe[WORDS];  /* calls that may never have taken effect */
    uint64_t done_hash;     /* of those that must have */
    size_t required;        /* calls that must still be linearized */
    const size_t *in_order; /* required writes whose order is known, rising */
    size_t ordered;
    struct visit *visits; /* from 1 on */
    uint32_t *places;     /* a hash table of them */
    size_t place_count;
    struct check_report *report;
    bool exhausted;
};

/* ---- what the calls do ---- */

static uint64_t mix(uint64_t value)
{
    value += 0x9e3779b97f4a7c15ull;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ value >> 27) * 0x94d049bb133111ebull;
    return value ^ value >> 31;
}

static uint64_t hash_of(const struct object *object)
{
    uint64_t hash = mix(object->version);
    for (size_t i = 0; i < CHECK_KEYS_MAX; i++) {
        const struct row *row = &object->rows[i];
        if (!row->present)
            continue;
        const uint64_t parts[] = {i * 2 + row->is_number,        (uint64_t)row->value, row->version,
                                  row->version ? 0 : row->after, row->expiry_low,      row->expiry_high};
        for (size_t k = 0; k < sizeof parts / sizeof *parts;
             k++) /* one after the other: equal ones must not cancel each other out */
            hash = mix(hash ^ parts[k]);
    }
    return hash;
}

static bool may_be_expired(const struct row *row, const struct check_call *call)
{
    return row->present && row->expiry_high && call->stamp_high >= row->expiry_low;
}

static bool may_be_there(const struct row *row, const struct check_call *call)
{
    return row->present && (!row->expiry_high || call->stamp_low < row->expiry_high);
}

/* The version that was seen fits, and is known from now on. */
static bool see_version(struct row *row, uint64_t version)
{
    if (version == 0)
        return true;
    if (row->version == 0 && version > row->after)
        row->version = version;
    return row->version == version;
}

/* A write's version, which must be above all before it. */
static bool take_version(struct object *object, uint64_t version)
{
    if (version == 0)
        return true;
    if (version <= object->version)
        return false;
    object->version = version;
    return true;
}

static bool write_row(struct object *object, const struct check_step *step, struct row row)
{
    row.after = object->version;
    if (!take_version(object, step->version))
        return false;
    row.version = step->version;
    object->rows[step->key] = row;
    return true;
}

static bool condition_holds(const struct check_step *step, struct row *row)
{
    if (step->condition == CHECK_IF_ABSENT)
        return !row->present;
    if (step->condition == CHECK_IF_VERSION)
        return row->present && see_version(row, step->if_version);
    return true;
}

/* A step of which nothing was seen may have been refused by itself; not in a transaction, which would have been refused with it. */
static bool is_without_effect(const struct check_call *call, const struct check_step *step)
{
    return step->answer == CHECK_UNSEEN && call->step_count == 1;
}

static bool put(struct object *object, const struct check_call *call, const struct check_step *step, struct row *row)
{
    if (step->answer == CHECK_REFUSED) {
        bool stands = step->version == 0 ? !row->present : row->present && see_version(row, step->version);
        return stands && !(step->condition == CHECK_IF_ABSENT && !row->present) &&
               !(step->condition == CHECK_IF_VERSION && step->if_version == step->version);
    }
    if (!condition_holds(step, row))
        return is_without_effect(call, step);
    struct row next = {.present = true, .value = step->value};
    if (step->ttl_ms) {
        next.expiry_low = call->stamp_low + step->ttl_ms;
        next.expiry_high = call->stamp_high == CHECK_NEVER ? CHECK_NEVER : call->stamp_high + step->ttl_ms;
    }
    return write_row(object, step, next);
}

static bool increment(struct object *object, const struct check_call *call, const struct check_step *step, const struct row *row)
{
    bool numeric = !row->present || row->is_number;
    if (step->answer == CHECK_FAILED)
        return !numeric;
    if (!numeric)
        return is_without_effect(call, step);
    struct row next = *row;
    if (!row->present)
        next = (struct row){.present = true};
    next.is_number = true;
    next.value = (row->present ? row->value : 0) + step->value;
    if (step->answer == CHECK_OK && next.value != step->result)
        return false;
    return write_row(object, step, next);
}

static bool get(const struct check_step *step, struct row *row)
{
    if (step->answer == CHECK_UNSEEN)
        return true;
    if (step->answer == CHECK_NOT_FOUND)
        return !row->present;
    return row->present && row->is_number == step->is_number && row->value == step->value && see_version(row, step->version);
}

/* One step on the row as it stands; false when that contradicts the answer. */
static bool do_step(struct object *object, const struct check_call *call, const struct check_step *step)
{
    struct row *row = &object->rows[step->key];
    switch (step->kind) {
    case CHECK_PUT:
        return put(object, call, step, row);
    case CHECK_INCREMENT:
        return increment(object, call, step, row);
    case CHECK_GET:
        return get(step, row);
    case CHECK_EXISTS:
        return step->answer == CHECK_UNSEEN || row->present == (step->answer == CHECK_OK);
    case CHECK_DELETE:
        if (step->answer != CHECK_UNSEEN && row->present != (step->answer == CHECK_OK))
            return false;
        *row = (struct row){0};
        return true;
    }
    return false;
}

/*
 * With the row as it is, or expired, whatever the bounds allow and the answer says; `expire` is tried first when nothing is said.
 * That a write finds a row expired is part of the order of writes. What a read finds is not: it has a time of its own, up to its
 * answer, and a scan that is slow may show an old row beside a new one.
 */
static bool try_step(struct object *object, const struct check_call *call, const struct check_step *step, bool expire)
{
    const struct row row = object->rows[step->key];
    if (!row.present || !row.expiry_high)
        return do_step(object, call, step);
    for (int attempt = 0; attempt < 2; attempt++) {
        bool expired = (attempt == 0) == expire;
        if (expired ? !may_be_expired(&row, call) : !may_be_there(&row, call))
            continue;
        struct object copy = *object;
        if (expired)
            copy.rows[step->key] = (struct row){0};
        if (!do_step(&copy, call, step))
            continue;
        if (call->writes || !expired)
            *object = copy;
        return true;
    }
    return false;
}

/* What a refused transaction wrote goes; what it showed of the versions of rows that it left alone stays known. */
static void keep_versions(struct object *before, const struct object *after)
{
    for (size_t i = 0; i < CHECK_KEYS_MAX; i++) {
        struct row *row = &before->rows[i];
        const struct row *seen = &after->rows[i];
        if (row->present && row->version == 0 && seen->present && seen->value == row->value && seen->is_number == row->is_number)
            row->version = seen->version;
    }
}

static bool apply(struct object *object, const struct check_call *call, bool expire)
{
    struct object before = *object;
    for (size_t i = 0; i < call->step_count; i++) {
        if (call->refused && i > call->refused_at)
            break;
        if (!try_step(object, call, &call->steps[i], expire))
            return false;
    }
    if (call->refused) {
        keep_versions(&before, object);
        *object = before;
    }
    return true;
}

/* ---- the search ---- */

static bool is_done(const struct search *search, size_t call)
{
    return search->done[call / 64] >> call % 64 & 1;
}

static void set_done(struct search *search, size_t call)
{
    search->done[call / 64] |= (uint64_t)1 << call % 64;
    if (search->calls[call].maybe)
        return;
    search->done_hash ^= mix(call + 1000);
    search->required--;
}

static bool is_covered(const struct search *search, const struct visit *visit)
{
    for (size_t i = 0; i < WORDS; i++)
        if (visit->used[i] & ~(search->done[i] & search->maybe[i]))
            return false;
    return true;
}

/* False when an earlier visit makes this one pointless. */
static bool is_new(struct search *search, const struct object *object)
{
    uint64_t hash = mix(search->done_hash ^ hash_of(object));
    uint32_t *place = &search->places[hash & (search->place_count - 1)];
    for (uint32_t at = *place; at; at = search->visits[at].next)
        if (search->visits[at].hash == hash && is_covered(search, &search->visits[at]))
            return false;
    struct visit *visit = &search->visits[++search->report->states];
    *visit = (struct visit){.hash = hash, .next = *place};
    for (size_t i = 0; i < WORDS; i++)
        visit->used[i] = search->done[i] & search->maybe[i];
    *place = (uint32_t)search->report->states;
    return true;
}

static uint64_t first_return(const struct search *search, size_t *ret_call)
{
    uint64_t first = CHECK_NEVER;
    for (size_t i = 0; i < search->count; i++) {
        if (is_done(search, i) || search->calls[i].maybe)
            continue;
        if (search->calls[i].called > first)
            break;
        if (search->calls[i].returned < first) {
            first = search->calls[i].returned;
            *ret_call = i;
        }
    }
    return first;
}

/* An earlier write of its session has to come first. */
static bool waits_for_session(const struct search *search, size_t call)
{
    for (size_t i = 0; i < call; i++)
        if (search->calls[i].session == search->calls[call].session && search->calls[i].writes && !search->calls[i].maybe &&
            !is_done(search, i))
            return true;
    return false;
}

/* Where nothing else says it, versions do: they are given in order, too. */
static uint64_t order_of(const struct check_call *call)
{
    if (call->order)
        return call->order;
    for (size_t i = 0; call->writes && !call->refused && i < call->step_count; i++) {
        enum check_kind kind = call->steps[i].kind;
        if ((kind == CHECK_PUT || kind == CHECK_INCREMENT) && call->steps[i].answer != CHECK_REFUSED && call->steps[i].version)
            return call->steps[i].version;
    }
    return 0;
}

static bool waits_for_order(const struct search *search, size_t call)
{
    uint64_t order = order_of(&search->calls[call]);
    if (order == 0)
        return false;
    for (size_t i = 0; i < search->ordered; i++)
        if (!is_done(search, search->in_order[i]))
            return order_of(&search->calls[search->in_order[i]]) < order;
    return false;
}

static bool explore(struct search *search, const struct object *object);

/* Puts `call` next, and goes on from there. */
static bool linearize(struct search *search, const struct object *object, size_t call, bool expire)
{
    struct object next = *object;
    if (!apply(&next, &search->calls[call], expire))
        return false;
    uint64_t kept[WORDS];
    uint64_t kept_hash = search->done_hash;
    size_t kept_required = search->required;
    memcpy(kept, search->done, sizeof kept);
    set_done(search, call);
    for (size_t i = 0; i < call; i++) /* what its session did not see applied by now never is */
        if (search->calls[i].session == search->calls[call].session && search->calls[i].writes && search->calls[i].maybe &&
            !is_done(search, i))
            set_done(search, i);
    bool found = explore(search, &next);
    memcpy(search->done, kept, sizeof kept);
    search->done_hash = kept_hash;
    search->required = kept_required;
    return found;
}

static void note_furthest(struct search *search, size_t required, size_t stuck_at)
{
    size_t reached = required - search->required;
    if (reached < search->report->furthest)
        return;
    search->report->furthest = reached;
    search->report->stuck_at = stuck_at;
}

static bool is_ready(const struct search *search, size_t call)
{
    return !is_done(search, call) && !waits_for_session(search, call) && !waits_for_order(search, call);
}

static bool same_object(const struct object *a, const struct object *b)
{
    for (size_t i = 0; i < CHECK_KEYS_MAX; i++) {
        const struct row *x = &a->rows[i];
        const struct row *y = &b->rows[i];
        if (x->present != y->present || x->is_number != y->is_number || x->value != y->value || x->version != y->version ||
            x->expiry_high != y->expiry_high)
            return false;
    }
    return a->version == b->version;
}

static bool has_doubts_before(const struct search *search, size_t call)
{
    for (size_t i = 0; i < call; i++)
        if (search->calls[i].session == search->calls[call].session && search->calls[i].writes && search->calls[i].maybe &&
            !is_done(search, i))
            return true;
    return false;
}

/* Its answer says what it did, if anything. */
static bool is_seen(const struct check_call *call)
{
    return !call->writes || call->refused || call->steps[0].answer != CHECK_UNSEEN;
}

/* What fits here and changes nothing may as well be here: whatever order there is with it later, there is one with it now. */
static bool changes_nothing(const struct search *search, const struct object *object, size_t call)
{
    if (!is_seen(&search->calls[call]))
        return false;
    struct object next = *object;
    return !search->calls[call].maybe && is_ready(search, call) && apply(&next, &search->calls[call], false) &&
           same_object(object, &next) && !has_doubts_before(search, call);
}

static bool explore(struct search *search, const struct object *object)
{
    if (search->required == 0)
        return true;
    if (search->report->states >= search->states_max) {
        search->exhausted = true;
        return false;
    }
    if (!is_new(search, object))
        return false;
    size_t stuck_at = 0;
    uint64_t until = first_return(search, &stuck_at);
    note_furthest(search, search->count, stuck_at);
    for (size_t i = 0; i < search->count && search->calls[i].called < until; i++)
        if (changes_nothing(search, object, i))
            return linearize(search, object, i, false);
    /* Calls that have their answer first: what is not known is put in only where it is needed. */
    for (int maybe = 0; maybe < 2; maybe++)
        for (size_t i = 0; i < search->count && search->calls[i].called < until; i++) {
            const struct check_call *call = &search->calls[i];
            if (call->maybe != maybe || !is_ready(search, i))
                continue;
            if (linearize(search, object, i, false) || (!is_seen(call) && linearize(search, object, i, true)))
                return true;
            if (search->exhausted)
                return false;
        }
    return false;
}

static const struct check_call *sorted_calls; /* for qsort */

static int compare_orders(const void *left, const void *right)
{
    uint64_t a = order_of(&sorted_calls[*(const size_t *)left]);
    uint64_t b = order_of(&sorted_calls[*(const size_t *)right]);
    return a < b ? -1 : a > b;
}

enum check_verdict check_run(const struct check_call *calls, size_t count, size_t states_max, struct check_report *ret_report)
{
    *ret_report = (struct check_report){0};
    if (count > CHECK_CALLS_MAX)
        return CHECK_UNDECIDED;
    struct search search = {.calls = calls, .count = count, .states_max = states_max, .report = ret_report, .place_count = 1024};
    while (search.place_count < states_max)
        search.place_count *= 2;
    search.places = calloc(search.place_count, sizeof *search.places);
    search.visits = calloc(states_max + 2, sizeof *search.visits);
    size_t *in_order = calloc(count + 1, sizeof *in_order);
    if (!search.places || !search.visits || !in_order)
        abort();
    for (size_t i = 0; i < count; i++) {
        search.required += !calls[i].maybe;
        search.maybe[i / 64] |= (uint64_t)calls[i].maybe << i % 64;
        if (!calls[i].maybe && order_of(&calls[i]))
            in_order[search.ordered++] = i;
    }
    sorted_calls = calls;
    qsort(in_order, search.ordered, sizeof *in_order, compare_orders);
    search.in_order = in_order;
    const struct object empty = {0};
    bool found = explore(&search, &empty);
    free(search.places);
    free(search.visits);
    free(in_order);
    return found ? CHECK_LINEARIZABLE : search.exhausted ? CHECK_UNDECIDED : CHECK_VIOLATION;
}

/* ---- for people ---- */

static void print_step(FILE *out, const struct check_step *step)
{
    static const char *const kinds[] = {"put", "delete", "exists", "increment", "get"};
    static const char *const answers[] = {"?", "ok", "not_found", "condition_failed", "failed"};
    (void)fprintf(out, " %s k%u", kinds[step->kind], step->key);
    if (step->kind == CHECK_PUT)
        (void)fprintf(out, " v%" PRId64, step->value);
    if (step->kind == CHECK_INCREMENT)
        (void)fprintf(out, " by %" PRId64, step->value);
    if (step->condition == CHECK_IF_ABSENT)
        (void)fputs(" if absent", out);
    if (step->condition == CHECK_IF_VERSION)
        (void)fprintf(out, " if @%" PRIu64, step->if_version);
    if (step->ttl_ms)
        (void)fprintf(out, " ttl %" PRIu64, step->ttl_ms);
    (void)fprintf(out, " = %s", answers[step->answer]);
    if (step->kind == CHECK_INCREMENT && step->answer == CHECK_OK)
        (void)fprintf(out, " %" PRId64, step->result);
    if (step->kind == CHECK_GET && step->answer == CHECK_OK)
        (void)fprintf(out, step->is_number ? " %" PRId64 : " v%" PRId64, step->value);
    if (step->version)
        (void)fprintf(out, " @%" PRIu64, step->version);
    (void)fputc(';', out);
}

void check_print(FILE *out, const struct check_call *call)
{
    (void)fprintf(out, "s%-3u %6" PRIu64 " ", call->session, call->called);
    if (call->returned == CHECK_NEVER)
        (void)fputs("  never", out);
    else
        (void)fprintf(out, "%7" PRIu64, call->returned);
    (void)fprintf(out, "%s%s", call->maybe ? " maybe" : "", call->refused ? " refused" : "");
    for (size_t i = 0; i < call->step_count; i++)
        print_step(out, &call->steps[i]);
    (void)fputc('\n', out);
}
