#include "tests/sim/holders.h"

#include "common/hash.h"
#include "tests/sim/answers.h"
#include "tests/sim/cluster.h"
#include "tests/sim/disk.h"
#include "tests/sim/hazard.h"
#include "tests/sim/tally.h"
#include "worker/copy.h"
#include "worker/rows.h"

#include <inttypes.h>
#include <string.h>

enum { COPIES_KEPT = 16 };

/* A shard as it lies on a disk: its rows and its dead letters, as parts of the disk's arrays, or on their own. */
struct part {
    struct sim_rows spaces[2];
    uint64_t position;
};

static struct part copies[EK_SHARDS_MAX][COPIES_KEPT]; /* what sources had when they made copies, the latest ones */
static unsigned copy_count[EK_SHARDS_MAX];

/* ---- parts ---- */

static struct ek_slice key_of(const struct sim_row *row)
{
    return ek_slice_of(row->key, row->key_size);
}

static struct ek_slice value_of(const struct sim_row *row)
{
    return ek_slice_of(row->value, row->value_size);
}

/* The rows from `first` on, before `end`; borrowed. */
static struct sim_rows range_of(const struct sim_rows *rows, struct ek_slice first, struct ek_slice end)
{
    size_t from = 0;
    while (from < rows->count && ek_slice_compare(key_of(&rows->rows[from]), first) < 0)
        from++;
    size_t to = from;
    while (to < rows->count && (end.size == 0 || ek_slice_compare(key_of(&rows->rows[to]), end) < 0))
        to++;
    return (struct sim_rows){.rows = rows->rows + from, .count = to - from};
}

static struct part part_of(const struct sim_disk *disk, uint16_t shard)
{
    struct ek_copy_range range = ek_copy_range_of(shard, sim_shard_count());
    struct part part = {.position = sim_holders_position(disk, shard)};
    for (int space = 0; space < 2; space++)
        part.spaces[space] = range_of(&disk->spaces[space], ek_copy_first(&range, (enum ek_store_space)space),
                                      ek_copy_end(&range, (enum ek_store_space)space));
    return part;
}

static uint64_t position_of_snapshot(struct ek_slice bytes)
{
    struct ek_producers memory = {0};
    if (ek_book_decode_snapshot(bytes, &memory) != EK_OK)
        sim_fail("a snapshot on disk cannot be read");
    uint64_t position = memory.position;
    ek_producers_done(&memory);
    return position;
}

static uint64_t position_of_record(struct ek_slice bytes, uint16_t wanted)
{
    struct ek_book_record record;
    struct ek_verdict verdict;
    uint16_t shard;
    uint64_t position = 0;
    if (ek_book_record_open(bytes, &record) != EK_OK)
        return 0; /* the ledger complains */
    while (ek_book_record_next(&record, &shard, &verdict) == EK_OK)
        if (shard == wanted)
            position = verdict.position + verdict.count - 1;
    return position;
}

uint64_t sim_holders_position(const struct sim_disk *disk, uint16_t shard)
{
    const struct sim_rows *book = &disk->spaces[EK_STORE_BOOK];
    uint64_t highest = 0;
    for (size_t i = 0; i < book->count; i++) {
        enum ek_book_kind kind;
        uint64_t number;
        uint64_t position = 0;
        if (ek_book_parse_key(key_of(&book->rows[i]), &kind, &number) != EK_OK)
            continue;
        if (kind == EK_BOOK_SNAPSHOT && number == shard)
            position = position_of_snapshot(value_of(&book->rows[i]));
        else if (kind == EK_BOOK_RECORD)
            position = position_of_record(value_of(&book->rows[i]), shard);
        highest = position > highest ? position : highest;
    }
    return highest;
}

bool sim_holders_has_rows(const struct sim_disk *disk, uint16_t shard)
{
    return part_of(disk, shard).spaces[EK_STORE_ROWS].count > 0;
}

bool sim_holders_remembers(const struct sim_disk *disk, uint16_t shard)
{
    const struct sim_rows *book = &disk->spaces[EK_STORE_BOOK];
    bool found = part_of(disk, shard).spaces[EK_STORE_BOOK].count > 0;
    for (size_t i = 0; i < book->count; i++) {
        enum ek_book_kind kind;
        uint64_t number;
        struct ek_producers memory = {0};
        if (ek_book_parse_key(key_of(&book->rows[i]), &kind, &number) != EK_OK || kind != EK_BOOK_SNAPSHOT || number != shard)
            continue;
        if (ek_book_decode_snapshot(value_of(&book->rows[i]), &memory) == EK_OK)
            found = found || memory.table.count || memory.thin.count;
        ek_producers_done(&memory);
    }
    return found;
}

/* ---- comparing ---- */

/* Its time is over by the broker's time, which is at most this. */
static bool is_gone(int space, const struct sim_row *row)
{
    struct ek_row decoded;
    return space == EK_STORE_ROWS && ek_row_decode(value_of(row), &decoded) == EK_OK &&
           ek_row_expired(decoded.expiry_unix_ms, sim_stamp_now());
}

static bool is_there(int space, const struct sim_row *row, const struct sim_rows *other)
{
    for (size_t i = 0; i < other->count; i++)
        if (ek_slice_equal(key_of(row), key_of(&other->rows[i])))
            return ek_slice_equal(value_of(row), value_of(&other->rows[i])) || is_gone(space, row);
    return is_gone(space, row);
}

/* A row of `a` that is not the same in `b`, or NULL. */
static const struct sim_row *odd_row(int space, const struct part *a, const struct part *b)
{
    for (size_t i = 0; i < a->spaces[space].count; i++)
        if (!is_there(space, &a->spaces[space].rows[i], &b->spaces[space]))
            return &a->spaces[space].rows[i];
    return NULL;
}

static void compare(const struct part *a, const struct part *b, uint16_t shard, const char *what)
{
    sim_count(SIM_COUNT_COMPARED);
    for (int space = 0; space < 2; space++) {
        const struct sim_row *row = odd_row(space, a, b);
        bool left = row != NULL;
        if (!row)
            row = odd_row(space, b, a);
        if (row && space == EK_STORE_ROWS)
            sim_fail("shard %u at %" PRIu64 ", %s: %.*s is on %s disk and not the same on the other", shard, a->position, what,
                     (int)(row->key_size - EK_ROW_PREFIX_BYTES), (const char *)row->key + EK_ROW_PREFIX_BYTES,
                     left ? "the former's" : "the latter's");
        else if (row)
            sim_fail("shard %u at %" PRIu64 ", %s: a dead letter is on %s disk and not on the other", shard, a->position, what,
                     left ? "the former's" : "the latter's");
        for (size_t i = 0; i < a->spaces[space].count; i++)
            sim_count(SIM_COUNT_COMPARED_ROWS);
    }
}

/* ---- learners ---- */

struct ek_copy *__real_ek_copy_open(const struct ek_engine *engine, struct ek_attempt attempt);
struct ek_copy *__wrap_ek_copy_open(const struct ek_engine *engine, struct ek_attempt attempt);

struct ek_copy *__wrap_ek_copy_open(const struct ek_engine *engine, struct ek_attempt attempt)
{
    struct part part = part_of(sim_disk_of((unsigned)sim_self()->number), attempt.shard);
    struct part *kept = &copies[attempt.shard][copy_count[attempt.shard]++ % COPIES_KEPT];
    for (int space = 0; space < 2; space++)
        sim_rows_copy(&part.spaces[space], &kept->spaces[space]);
    kept->position = part.position;
    return __real_ek_copy_open(engine, attempt);
}

/* Copies at the same position are the same: the one that was made last is looked at. */
static void compare_with_copy(const struct sim_disk *disk, uint16_t shard)
{
    struct part learned = part_of(disk, shard);
    unsigned count = copy_count[shard];
    for (unsigned back = 1; back <= count && back <= COPIES_KEPT; back++) {
        const struct part *copy = &copies[shard][(count - back) % COPIES_KEPT];
        if (copy->position != learned.position)
            continue;
        compare(copy, &learned, shard, "the copy, and a learner that is complete");
        return;
    }
    sim_fail("shard %u: a learner says that it is complete at %" PRIu64 ", where no copy was made", shard, learned.position);
}

static const struct sim_disk *holder_of(uint16_t shard)
{
    const struct sim_records *present = &sim_directory()->present;
    for (size_t i = 0; i < present->record_count; i++)
        if (present->records[i].type == EK_RECORD_ASSIGNMENT && present->records[i].shard == shard)
            return sim_hazard_disk_of(&present->records[i].worker);
    return NULL;
}

static void compare_with_source(const struct sim_disk *disk, uint16_t shard)
{
    const struct sim_disk *source = holder_of(shard);
    if (!source || source == disk)
        return;
    struct part learned = part_of(disk, shard);
    struct part held = part_of(source, shard);
    if (learned.position > held.position)
        sim_fail("shard %u: a learner is at %" PRIu64 ", its source has come to %" PRIu64 " only", shard, learned.position,
                 held.position);
    if (learned.position == held.position)
        compare(&held, &learned, shard, "the source, and its learner at the same position");
}

/* What a hazard does to a disk is the operator's business: histories part there. */
void sim_holders_written(const struct sim_disk *disk, uint32_t roles, uint32_t positions)
{
    for (uint16_t shard = 0; !sim_hazard_has_struck() && (roles | positions) >> shard; shard++) {
        if (sim_disk_role(disk, shard).state != EK_HOLDING_LEARNER)
            continue;
        if (roles >> shard & 1)
            compare_with_copy(disk, shard);
        if (positions >> shard & 1)
            compare_with_source(disk, shard);
    }
}

/* ---- owners ---- */

void sim_holders_assigned(const struct ek_record *before, const struct ek_record *after)
{
    if (after->type != EK_RECORD_ASSIGNMENT || !before || sim_hazard_has_struck())
        return;
    const struct sim_disk *former = sim_hazard_disk_of(&before->worker);
    const struct sim_disk *latter = sim_hazard_disk_of(&after->worker);
    if (!former || !latter || former == latter)
        return;
    struct part left = part_of(former, (uint16_t)after->shard);
    struct part taken = part_of(latter, (uint16_t)after->shard);
    bool learned = sim_disk_role(latter, (uint16_t)after->shard).state == EK_HOLDING_LEARNER;
    if (!learned && left.position == 0)
        return; /* nothing was ever done there */
    if (!learned || left.position != taken.position)
        sim_fail("shard %u goes to a worker that %s %" PRIu64 ", the former one is at %" PRIu64, after->shard,
                 learned ? "has learned it up to" : "has no copy of it, at", taken.position, left.position);
    compare(&left, &taken, (uint16_t)after->shard, "its former owner, and the new one");
}

/* ---- the end ---- */

static const struct sim_row *find_key(const struct sim_rows *rows, const char *key)
{
    for (size_t i = 0; i < rows->count; i++)
        if (rows->rows[i].key_size == EK_ROW_PREFIX_BYTES + strlen(key) &&
            memcmp(rows->rows[i].key + EK_ROW_PREFIX_BYTES, key, strlen(key)) == 0)
            return &rows->rows[i];
    return NULL;
}

static bool is_same(const struct check_step *got, const struct ek_row *row)
{
    struct check_step stored = {0};
    answers_value(&stored, row->value);
    return got->answer == CHECK_OK && got->version == row->version && got->is_number == stored.is_number &&
           got->value == stored.value;
}

bool sim_holders_agree(const char *key, const struct check_step *got)
{
    uint16_t shard = ek_shard_of(ek_hash_prefix(ek_slice_text(key)), sim_shard_count());
    const struct sim_disk *holder = holder_of(shard);
    const struct sim_row *stored = holder ? find_key(&holder->spaces[EK_STORE_ROWS], key) : NULL;
    struct ek_row row;
    if (!stored)
        return got->answer != CHECK_OK;
    sim_count(SIM_COUNT_ROW_READ_AND_STORED);
    if (ek_row_decode(value_of(stored), &row) != EK_OK)
        return false;
    return is_same(got, &row) || (got->answer != CHECK_OK && ek_row_expired(row.expiry_unix_ms, sim_stamp_now()));
}
