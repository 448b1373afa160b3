/*
 * One instruction under way: what was submitted for it, until its whole answer stands as text in `out`. A delete of many keys and a
 * scan of many pages are one errand. It prints nothing until ek_errand_finish. One thread; an errand stays where it is while
 * something of it is under way.
 */
#ifndef EK_CLI_ERRAND_H
#define EK_CLI_ERRAND_H

#include "client/cli/cli.h"
#include "client/cli/operation.h"

/* A scan inside `run` ends, with its cursor, when its answer has this size. */
#define EK_ERRAND_BYTES_MAX (64u * EK_MIB)

enum ek_errand_format {
    EK_ERRAND_PLAIN, /* a single command's text; failures go to standard error */
    EK_ERRAND_RAW,   /* the same, values as they are */
    EK_ERRAND_LINE,  /* one readable line of `run` */
    EK_ERRAND_JSON
};

/* What errands have in common. */
struct ek_errands {
    const struct ek_cli *cli;
    struct ek_client *client;
    uint32_t timeout_ms;
    enum ek_errand_format format;
};

/* All zero is unused. */
struct ek_errand {
    const struct ek_errands *of;
    uint64_t line; /* in the input; 0 = none */
    enum ek_operation_kind kind;
    const char *verb;
    struct ek_buffer key; /* scan: the prefix */
    struct ek_buffer out; /* the answer */
    size_t under_way;     /* operations without their completion */
    bool submitted;       /* all of them */
    bool answered;        /* `out` is whole */
    enum ek_outcome outcome;
    struct ek_error error;
    uint64_t count; /* delete, exists: of keys that were there; scan: of entries */
    struct ek_buffer cursor;
    uint64_t left; /* scan: entries still wanted */
    bool values;
    bool more;      /* scan: there is another page to fetch */
    unsigned *gate; /* counted down when the answer is there; may be NULL */
};

/* Submits; the answer may be there at once. The instruction is not kept. `gate` (which may be NULL) is counted up until the answer
 * is there. */
void ek_errand_start(struct ek_errand *errand, const struct ek_errands *of, uint64_t line, const struct ek_instruction *instruction,
                     unsigned *gate);
/* Answers an input that is no instruction; `verb` may be NULL. */
void ek_errand_refuse(struct ek_errand *errand, const struct ek_errands *of, uint64_t line, const char *verb,
                      enum ek_outcome outcome, const char *text);
/* Fetches a scan's next page, when the last one is there. */
void ek_errand_continue(struct ek_errand *errand);
/* Polls until the answer is there; with `streaming`, pages of a scan are written out as they come. */
void ek_errand_await(struct ek_errand *errand, bool streaming);
/* Writes the answer (or, without JSON, the failure) and returns the exit code. */
int ek_errand_finish(struct ek_errand *errand);
void ek_errand_done(struct ek_errand *errand);

/* ek_submit that polls as long as too many bytes are under way. */
enum ek_outcome ek_submit_patiently(struct ek_client *client, const struct ek_request *request, uint32_t timeout_ms,
                                    ek_callback callback, void *context);
/* What there is to say of an operation that was refused at once with `outcome`, else "". Static. */
const char *ek_why_not_taken(enum ek_outcome outcome);

#endif
