/*
 * A first-in first-out queue of pointers from any thread to one, with a file descriptor that a poll can wait for. Its users bound
 * what is under way (by credit, or by one request at a time); it does not own what the pointers point to.
 */
#ifndef EK_COMMON_MAILBOX_H
#define EK_COMMON_MAILBOX_H

#include <stddef.h>

struct ek_mailbox;

/* NULL when the system has no file descriptor left. */
struct ek_mailbox *ek_mailbox_new(void);
/* It must be empty, and nobody may wait for it. */
void ek_mailbox_destroy(struct ek_mailbox **mailbox);
/* Any thread. */
void ek_mailbox_put(struct ek_mailbox *mailbox, void *letter);
/* The oldest letter, or NULL. */
void *ek_mailbox_take(struct ek_mailbox *mailbox);
/* Readable while letters are there. */
int ek_mailbox_fd(const struct ek_mailbox *mailbox);

#endif
