// queue.c - a ring of written files; each thread takes the first that nobody has, and waits for the disk without the lock.
#include "core/store/queue.h"

#include <pthread.h>
#include <stdbool.h>

#include "core/store/store_inside.h"

// A journal takes the fsyncs of all that wait into one turn, so that more of them cost little.
enum { SYNCERS = 8, WAITING = 16 };

struct store_queue {
    pthread_t threads[SYNCERS];
    int n_threads;

    pthread_mutex_t lock; // of what follows
    pthread_cond_t changed;
    struct store_written waiting[WAITING]; // n from `first` on, in a ring
    int first, n, n_busy;
    bool is_closing;
    struct error *error; // the first
};

static void *sync_files(void *self)
{
    struct store_queue *q = self;
    pthread_mutex_lock(&q->lock);
    while (q->n || !q->is_closing) {
        if (!q->n) {
            pthread_cond_wait(&q->changed, &q->lock);
            continue;
        }
        struct store_written w = q->waiting[q->first];
        q->first = (q->first + 1) % WAITING;
        q->n--;
        q->n_busy++;
        pthread_mutex_unlock(&q->lock);
        struct error *e = store_publish(&w);
        pthread_mutex_lock(&q->lock);
        q->n_busy--;
        q->error = error_first(q->error, e);
        pthread_cond_broadcast(&q->changed);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

struct error *store_queue_open(struct store_queue **queue)
{
    struct store_queue *q = block_alloc(sizeof *q);
    if (!q)
        return error_memory();
    *q = (struct store_queue){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    while (q->n_threads < SYNCERS && !pthread_create(&q->threads[q->n_threads], NULL, sync_files, q))
        q->n_threads++;
    *queue = q;
    return NULL;
}

struct error *store_queue_save(struct store_queue *q, const char *path, const struct store_attribute *attributes,
                               int n_attributes, const struct store_set *sets, int n_sets)
{
    struct store_written w;
    struct error *e = store_write(&w, path, attributes, n_attributes, sets, n_sets);
    if (e || !q->n_threads) // there was none to be had
        return e ? e : store_publish(&w);
    pthread_mutex_lock(&q->lock);
    while (q->n == WAITING)
        pthread_cond_wait(&q->changed, &q->lock);
    q->waiting[(q->first + q->n++) % WAITING] = w;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

static struct error *take_error(struct store_queue *q, bool waits)
{
    pthread_mutex_lock(&q->lock);
    while (waits && (q->n || q->n_busy))
        pthread_cond_wait(&q->changed, &q->lock);
    struct error *e = q->error;
    q->error = NULL;
    pthread_mutex_unlock(&q->lock);
    return e;
}

struct error *store_queue_look(struct store_queue *q)
{
    return take_error(q, false);
}

struct error *store_queue_wait(struct store_queue *q)
{
    return take_error(q, true);
}

void store_queue_close(struct store_queue *q)
{
    if (!q)
        return;
    pthread_mutex_lock(&q->lock);
    q->is_closing = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
    for (int i = 0; i < q->n_threads; i++)
        pthread_join(q->threads[i], NULL);
    error_free(q->error);
    block_free(q);
}
