#include "worker/survey.h"

#include "common/codec.h"
#include "common/hash.h"
#include "worker/copy.h"
#include "worker/letters.h"
#include "worker/rows.h"

#include <stdlib.h>

enum { PART_ENTRIES = 2048, PART_BYTES = 512 * 1024, PART_LISTS = 64 };

/* What is walked through, in this order: a shard is told once its rows are done, which come last. */
enum walk { ROLES, LETTERS, ROWS, WALKS };

struct shard {
    struct ek_checked found; /* role and position are those that the worker goes by */
    uint64_t stamp_unix_ms;
    uint32_t letters; /* that ought to be there */
    uint32_t letters_found;
    bool role_found;
};

struct ek_survey {
    struct ek_link link;
    uint64_t check;
    uint32_t shard_count;
    struct shard *shards;
    struct ek_checked *told; /* of one part */
    uint8_t edges[WALKS][2]; /* where walks through the book-keeping begin and end; borrowed by the cursors */
    struct ek_store_cursor *cursors[WALKS];
    enum walk walk;
    uint32_t next;    /* the first shard that was not told */
    uint32_t present; /* the one whose rows are being looked at: those before are done */
};

/* ---- opening ---- */

static struct ek_store_cursor *walk_book(struct ek_survey *survey, struct ek_store *store, enum walk walk, enum ek_book_kind kind)
{
    uint8_t *edges = survey->edges[walk];
    edges[0] = (uint8_t)kind;
    edges[1] = (uint8_t)(kind + 1);
    return ek_store_walk_once(store, EK_STORE_BOOK, ek_slice_of(edges, 1), ek_slice_of(edges + 1, 1));
}

static struct shard shard_of(const struct ek_judge_shard *judged, uint16_t number)
{
    return (struct shard){.found = {.shard = number,
                                    .state = judged->epoch ? (uint32_t)judged->state : 0,
                                    .epoch = judged->epoch,
                                    .position = judged->memory.position},
                          .stamp_unix_ms = judged->memory.stamp_unix_ms,
                          .letters = judged->letters};
}

struct ek_survey *ek_survey_open(const struct ek_engine *engine, struct ek_link link, uint64_t check)
{
    if (!ek_judge_has_link(&engine->judge, link))
        return NULL;
    struct ek_survey *survey = ek_alloc_zero(1, sizeof *survey);
    *survey = (struct ek_survey){.link = link, .check = check, .shard_count = engine->judge.shard_count};
    survey->shards = ek_alloc_zero(survey->shard_count, sizeof *survey->shards);
    survey->told = ek_alloc_zero(survey->shard_count, sizeof *survey->told);
    for (uint32_t i = 0; i < survey->shard_count; i++)
        survey->shards[i] = shard_of(&engine->judge.shards[i], (uint16_t)i);
    survey->cursors[ROLES] = walk_book(survey, engine->store, ROLES, EK_BOOK_ROLE);
    survey->cursors[LETTERS] = walk_book(survey, engine->store, LETTERS, EK_BOOK_DEAD);
    survey->cursors[ROWS] = ek_store_walk_once(engine->store, EK_STORE_ROWS, ek_slice_of(NULL, 0), ek_slice_of(NULL, 0));
    return survey;
}

void ek_survey_destroy(struct ek_survey **reference)
{
    struct ek_survey *survey = *reference;
    if (!survey)
        return;
    for (int i = 0; i < WALKS; i++)
        if (survey->cursors[i])
            (void)!ek_store_cursor_close(&survey->cursors[i], NULL);
    free(survey->shards);
    free(survey->told);
    free(survey);
    *reference = NULL;
}

struct ek_link ek_survey_link(const struct ek_survey *survey)
{
    return survey->link;
}

/* ---- looking ---- */

/* The shard whose book-keeping the entry is; NULL: of none. */
static struct shard *owner_of(const struct ek_survey *survey, struct ek_slice key)
{
    enum ek_book_kind kind;
    uint64_t number;
    if (ek_book_parse_key(key, &kind, &number) != EK_OK || number >= survey->shard_count)
        return NULL;
    return &survey->shards[number];
}

static void look_at_role(struct ek_survey *survey, const struct ek_copy_entry *entry)
{
    struct shard *shard = owner_of(survey, entry->key);
    struct ek_holding role;
    if (shard)
        shard->role_found = ek_book_decode_role(entry->value, &role) == EK_OK && role.epoch == shard->found.epoch &&
                            (uint32_t)role.state == shard->found.state;
}

static void look_at_letter(struct ek_survey *survey, const struct ek_copy_entry *entry)
{
    struct shard *shard = owner_of(survey, entry->key);
    struct ek_letter letter;
    if (!shard)
        return;
    shard->letters_found++;
    if (ek_letter_read(entry->value, &letter) != EK_OK || ek_book_dead_position(entry->key) > shard->found.position)
        shard->found.bad_entries++;
}

/* A key without a whole prefix sorts before those that begin with it and a zero. */
static uint16_t prefix_of(struct ek_slice key)
{
    const uint8_t padded[EK_ROW_PREFIX_BYTES] = {key.data[0], key.size < EK_ROW_PREFIX_BYTES ? 0 : key.data[1]};
    return ek_get_u16(padded);
}

static bool is_right(struct ek_slice key, const struct ek_row *row, uint64_t position)
{
    if (key.size <= EK_ROW_PREFIX_BYTES || key.size > EK_ROW_KEY_BYTES_MAX || row->version == 0 || row->version > position)
        return false;
    return ek_hash_prefix(ek_slice_of(key.data + EK_ROW_PREFIX_BYTES, key.size - EK_ROW_PREFIX_BYTES)) == ek_get_u16(key.data);
}

static void look_at_row(struct ek_survey *survey, const struct ek_copy_entry *entry)
{
    survey->present = ek_shard_of(prefix_of(entry->key), survey->shard_count);
    struct shard *shard = &survey->shards[survey->present];
    struct ek_row row;
    bool readable = ek_row_decode(entry->value, &row) == EK_OK;
    shard->found.rows++;
    if (!readable || !is_right(entry->key, &row, shard->found.position))
        shard->found.bad_rows++;
    if (readable && ek_row_expired(row.expiry_unix_ms, shard->stamp_unix_ms))
        shard->found.expired_rows++;
    else
        shard->found.hash = ek_copy_hash(shard->found.hash, entry);
}

/* ---- telling ---- */

/* Of a shard that is looked at to the end. */
static void judge_book(struct shard *shard)
{
    if (shard->found.state != EK_HOLDING_SERVING) {
        shard->found.bad_entries = 0; /* a copy that comes or goes has letters that nobody counts */
        return;
    }
    shard->found.bad_entries += !shard->role_found;
    shard->found.bad_entries += shard->letters_found != shard->letters;
}

static void tell(struct ek_survey *survey, struct ek_buffer *out)
{
    bool last = survey->walk == WALKS;
    struct ek_check_report report = {.link = survey->link, .check = survey->check, .last = last, .shards = survey->told};
    for (uint32_t end = last ? survey->shard_count : survey->present; survey->next < end; survey->next++) {
        struct shard *shard = &survey->shards[survey->next];
        judge_book(shard);
        if (shard->found.state || shard->found.rows)
            survey->told[report.count++] = shard->found;
    }
    ek_encode_check_report(out, &report);
}

enum ek_status ek_survey_run(struct ek_survey *survey, struct ek_buffer *out, bool *ret_last, struct ek_error *error)
{
    static void (*const look_at[WALKS])(struct ek_survey * survey,
                                        const struct ek_copy_entry *entry) = {look_at_role, look_at_letter, look_at_row};
    size_t entries = 0;
    size_t bytes = 0;
    uint32_t lists_left = PART_LISTS;
    while (survey->walk != WALKS && entries < PART_ENTRIES && bytes < PART_BYTES &&
           ek_store_cursor_find(survey->cursors[survey->walk], &lists_left)) {
        struct ek_store_cursor **cursor = &survey->cursors[survey->walk];
        struct ek_copy_entry entry = {.space = survey->walk == ROWS ? EK_STORE_ROWS : EK_STORE_BOOK};
        if (!ek_store_cursor_entry(*cursor, &entry.key, &entry.value)) {
            enum ek_status status = ek_store_cursor_close(cursor, error);
            if (status != EK_OK)
                return status;
            survey->walk = (enum walk)(survey->walk + 1);
            continue;
        }
        look_at[survey->walk](survey, &entry);
        entries++;
        bytes += entry.key.size + entry.value.size;
        ek_store_cursor_step(*cursor);
    }
    tell(survey, out);
    *ret_last = survey->walk == WALKS;
    return EK_OK;
}
