/*
 * A thread beside the loop (a czmq actor) that carries out errands one after the other and hands each back. It does not know what
 * an errand is; whoever gives one bounds how many are under way and owns them again when they come back.
 */
#ifndef EK_BROKER_BESIDE_H
#define EK_BROKER_BESIDE_H

struct ek_beside;

/* `run` is called in the thread, for each errand in order. NULL when the system refuses a thread. */
struct ek_beside *ek_beside_new(void (*run)(void *context, void *errand), void *context);
/* Waits for the errand that is being carried out. The others, done or not, are lost to whoever has not taken them. */
void ek_beside_destroy(struct ek_beside **beside);
void ek_beside_give(struct ek_beside *beside, void *errand);
/* The next errand that was carried out, or NULL. */
void *ek_beside_take(struct ek_beside *beside);
/* Readable while there are such. */
int ek_beside_fd(const struct ek_beside *beside);

#endif
