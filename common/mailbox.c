#include "common/mailbox.h"

#include "common/bytes.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct ek_mailbox {
    pthread_mutex_t lock;
    int fd;
    void **letters; /* a ring */
    size_t capacity;
    size_t first;
    size_t count;
};

enum { FIRST_CAPACITY = 16 };

struct ek_mailbox *ek_mailbox_new(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
        return NULL;
    struct ek_mailbox *mailbox = ek_alloc_zero(1, sizeof *mailbox);
    (void)pthread_mutex_init(&mailbox->lock, NULL);
    mailbox->fd = fd;
    mailbox->capacity = FIRST_CAPACITY;
    mailbox->letters = ek_alloc_zero(mailbox->capacity, sizeof *mailbox->letters);
    return mailbox;
}

void ek_mailbox_destroy(struct ek_mailbox **mailbox)
{
    if (!*mailbox)
        return;
    (void)close((*mailbox)->fd);
    (void)pthread_mutex_destroy(&(*mailbox)->lock);
    free((*mailbox)->letters);
    free(*mailbox);
    *mailbox = NULL;
}

static void grow(struct ek_mailbox *mailbox)
{
    void **larger = ek_alloc_zero(mailbox->capacity * 2, sizeof *larger);
    for (size_t i = 0; i < mailbox->count; i++)
        larger[i] = mailbox->letters[(mailbox->first + i) % mailbox->capacity];
    free(mailbox->letters);
    mailbox->letters = larger;
    mailbox->capacity *= 2;
    mailbox->first = 0;
}

void ek_mailbox_put(struct ek_mailbox *mailbox, void *letter)
{
    (void)pthread_mutex_lock(&mailbox->lock);
    if (mailbox->count == mailbox->capacity)
        grow(mailbox);
    mailbox->letters[(mailbox->first + mailbox->count++) % mailbox->capacity] = letter;
    if (mailbox->count == 1)
        (void)eventfd_write(mailbox->fd, 1);
    (void)pthread_mutex_unlock(&mailbox->lock);
}

void *ek_mailbox_take(struct ek_mailbox *mailbox)
{
    void *letter = NULL;
    (void)pthread_mutex_lock(&mailbox->lock);
    if (mailbox->count) {
        letter = mailbox->letters[mailbox->first];
        mailbox->first = (mailbox->first + 1) % mailbox->capacity;
        mailbox->count--;
    }
    if (mailbox->count == 0) {
        eventfd_t ignored;
        (void)eventfd_read(mailbox->fd, &ignored);
    }
    (void)pthread_mutex_unlock(&mailbox->lock);
    return letter;
}

int ek_mailbox_fd(const struct ek_mailbox *mailbox)
{
    return mailbox->fd;
}
