/*
 * Is a history of calls linearizable? For one object, the keys of one hash tag, whose calls may each do several steps at once. The
 * search is Wing and Gong's ("Testing and Verifying Concurrent Objects", 1993) with the memory of visited states that Lowe added
 * ("Testing for linearizability", 2017). On top it asks for session order: a session's writes take effect in the order of their
 * calls, and its reads see its writes before them, even when they overlap in time.
 *
 * A call without an answer may have taken effect at any time after it began, once, or never; but never behind a later call of its
 * session. Versions, where they are known, rise with every write; and where more is known of the order of writes, they follow it.
 * Rows with a time to live may not be found when the broker's time, which is known within bounds, may have reached their end; and
 * must not be found when it surely has.
 *
 * Pure; it knows nothing of messages or simulations.
 */
#ifndef EK_TESTS_SIM_CHECKER_H
#define EK_TESTS_SIM_CHECKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { CHECK_KEYS_MAX = 8, CHECK_CALLS_MAX = 1024 };
#define CHECK_NEVER UINT64_MAX

enum check_kind { CHECK_PUT, CHECK_DELETE, CHECK_EXISTS, CHECK_INCREMENT, CHECK_GET };

enum check_condition { CHECK_ALWAYS, CHECK_IF_ABSENT, CHECK_IF_VERSION };

/* How a step was answered. */
enum check_answer {
    CHECK_UNSEEN, /* not at all */
    CHECK_OK,
    CHECK_NOT_FOUND, /* get, delete, exists */
    CHECK_REFUSED,   /* the condition of a put did not hold; `version` is the one that stood against it */
    CHECK_FAILED     /* an increment of what is no number */
};

struct check_step {
    enum check_kind kind;
    unsigned key;
    enum check_answer answer;
    bool is_number;  /* get: what was read is a number; puts write texts */
    int64_t value;   /* put: its text's own number; increment: by how much; get: what was read */
    int64_t result;  /* increment: the new value */
    uint64_t ttl_ms; /* put; 0 = for ever */
    enum check_condition condition;
    uint64_t if_version;
    uint64_t version; /* of what was written or read; 0 = not known */
};

struct check_call {
    unsigned session;
    uint64_t order;      /* of the writes whose order is known: in which they took effect, or were refused; 0 = not known */
    uint64_t called;     /* these two by one clock that no two events share */
    uint64_t returned;   /* CHECK_NEVER: not known */
    uint64_t stamp_low;  /* the broker's time was this at least when the call was carried out, */
    uint64_t stamp_high; /* and this at most; CHECK_NEVER = any */
    bool maybe;          /* it may never have taken effect */
    bool writes;
    bool refused; /* a transaction that was refused because of step `refused_at`: none of it took effect */
    unsigned refused_at;
    struct check_step *steps;
    size_t step_count;
};

enum check_verdict { CHECK_LINEARIZABLE, CHECK_VIOLATION, CHECK_UNDECIDED };

struct check_report {
    size_t states;   /* visited */
    size_t furthest; /* most calls in one order */
    size_t stuck_at; /* the call that returned first of those that could not follow there; a violation only */
};

/* `calls` in the order of `called`, at most CHECK_CALLS_MAX. UNDECIDED after `states_max` states. */
enum check_verdict check_run(const struct check_call *calls, size_t count, size_t states_max, struct check_report *ret_report);

/* A call as a line of text. */
void check_print(FILE *out, const struct check_call *call);

#endif
