/*
 * What the producers of a chaos run leave behind for the judge: one file a session, records of a fixed size in the order of events,
 * each written before the call goes out, or after its answer came. A file holds whatever its producer had written when it was
 * killed. Producer and judge are built together; the records are their memory as it is.
 */
#ifndef EK_TESTS_CHAOS_RECORD_H
#define EK_TESTS_CHAOS_RECORD_H

#include "tests/sim/checker.h"

#include <stdio.h>

enum {
    CHAOS_TAG_KEYS = 4, /* 0 and 1 hold texts, 2 a number, 3 what expires */
    CHAOS_STEPS_MAX = 4,
    CHAOS_LIVING_TAGS = 2, /* these are used in all cycles, and nothing expires in them; the others in one cycle */
    CHAOS_KEY_ROOM = 24
};

#define CHAOS_KEY_LETTERS "abne"

enum chaos_event {
    CHAOS_BEGUN = 1,
    CHAOS_ENDED,
    CHAOS_ROW,  /* of a scan of the whole store; step 0 is a get of it */
    CHAOS_WRONG /* an answer that no store gives; `text` says which */
};

struct chaos_record {
    enum chaos_event event;
    unsigned tag;
    uint64_t number;        /* of the call, within its session */
    uint64_t ns;            /* monotonic, of the machine */
    uint64_t unix_ms;       /* wall clock */
    bool never;             /* certain: it did not take effect */
    struct check_call call; /* `steps` and the times are not filled in */
    struct check_step steps[CHAOS_STEPS_MAX];
    char text[64];
};

/* `text` has CHAOS_KEY_ROOM. Borrowed. */
static inline const char *chaos_key(char *text, unsigned tag, unsigned key)
{
    (void)snprintf(text, CHAOS_KEY_ROOM, "{t%u}/%c", tag, CHAOS_KEY_LETTERS[key]);
    return text;
}

#endif
