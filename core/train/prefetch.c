// prefetch.c - one thread, one request at a time: IDLE -> ASKED -> READ -> IDLE, each step under the lock, reading outside it.
#include "core/train/prefetch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "core/base/arena.h"

enum state { IDLE, ASKED, READ, CLOSING };

struct request {
    int64_t first;
    int n, T;
    int32_t *inputs, *targets;
};

struct prefetch {
    struct row_source rows;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum state state;
    struct request request;
    struct error *error; // of the reading, where the state is READ
};

static struct error *read_now(const struct row_source *rows, const struct request *r)
{
    return rows->read(rows->self, r->first, r->n, r->T, r->inputs, r->targets);
}

static void *reader(void *self)
{
    struct prefetch *p = self;
    pthread_mutex_lock(&p->lock);
    while (p->state != CLOSING) {
        if (p->state != ASKED) {
            pthread_cond_wait(&p->changed, &p->lock);
            continue;
        }
        struct request request = p->request;
        pthread_mutex_unlock(&p->lock);
        struct error *e = read_now(&p->rows, &request);
        pthread_mutex_lock(&p->lock);
        p->error = e;
        if (p->state == ASKED)
            p->state = READ;
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

struct error *prefetch_open(struct prefetch **prefetch, struct row_source rows)
{
    struct prefetch *p = block_alloc(sizeof *p);
    if (!p)
        return error_memory();
    *p = (struct prefetch){.rows = rows};
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    // Signals that ask to stop are the main thread's; those of a page that cannot be read come to whoever reads it.
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGSEGV);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&p->thread, NULL, reader, p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err) {
        block_free(p);
        return error_system(ERROR_MACHINE, err, "cannot start a thread");
    }
    *prefetch = p;
    return NULL;
}

// Until the thread has nothing to do; what it read last is dropped unless it is taken over by *e.
static bool wait_idle(struct prefetch *p, const struct request *wanted, struct error **e)
{
    const struct request *r = &p->request;
    while (p->state == ASKED)
        pthread_cond_wait(&p->changed, &p->lock);
    bool is_it = wanted && p->state == READ && r->first == wanted->first && r->n == wanted->n && r->T == wanted->T &&
                 r->inputs == wanted->inputs && r->targets == wanted->targets;
    if (is_it)
        *e = p->error;
    else
        error_free(p->error);
    p->error = NULL;
    p->state = IDLE;
    return is_it;
}

void prefetch_ask(struct prefetch *p, int64_t first, int n, int T, int32_t *inputs, int32_t *targets)
{
    pthread_mutex_lock(&p->lock);
    wait_idle(p, NULL, NULL);
    p->request = (struct request){first, n, T, inputs, targets};
    p->state = ASKED;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

struct error *prefetch_take(struct prefetch *p, int64_t first, int n, int T, int32_t *inputs, int32_t *targets)
{
    struct request wanted = {first, n, T, inputs, targets};
    struct error *e = NULL;
    pthread_mutex_lock(&p->lock);
    bool is_there = wait_idle(p, &wanted, &e);
    pthread_mutex_unlock(&p->lock);
    return is_there ? e : read_now(&p->rows, &wanted);
}

void prefetch_close(struct prefetch *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    wait_idle(p, NULL, NULL);
    p->state = CLOSING;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    block_free(p);
}
