/*
 * Figures for people, written out beside the loop: one snapshot a second on the stats socket while somebody subscribes, and answers
 * to QUERY. A thread of its own, so that no job waits for JSON. It does not take the snapshots.
 */
#ifndef EK_BROKER_STATS_H
#define EK_BROKER_STATS_H

#include "broker/metrics.h"
#include "common/transport.h"

struct ek_stats;

struct ek_stats_answer {
    ek_peer peer;
    struct ek_owned message;
};

/* Takes the bound PUB socket over. NULL when the system refuses a thread. */
struct ek_stats *ek_stats_new(struct ek_socket *publisher);
/* Closes the socket. */
void ek_stats_destroy(struct ek_stats **stats);
/* At most so many errands are under way: beyond it asking and publishing are skipped and a query is refused (false). */
enum { EK_STATS_WAITING_MAX = 64 };
/* Finds out whether somebody subscribes. */
void ek_stats_ask(struct ek_stats *stats);
/* True once behind an ek_stats_ask, after ek_stats_take_answer has run, when somebody does: a snapshot is to be published. */
bool ek_stats_take_wanted(struct ek_stats *stats);
/* Both take the snapshot over. */
void ek_stats_publish(struct ek_stats *stats, struct ek_snapshot *snapshot);
bool ek_stats_query(struct ek_stats *stats, struct ek_snapshot *snapshot, ek_peer peer, const struct ek_query *query);
/* Readable when an answer is there. */
int ek_stats_fd(const struct ek_stats *stats);
/* The next answer, whose message the caller sends or frees. */
bool ek_stats_take_answer(struct ek_stats *stats, struct ek_stats_answer *ret);

#endif
