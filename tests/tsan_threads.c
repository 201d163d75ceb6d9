/*
 * C11 threads as ThreadSanitizer wants them
 *
 * gcc's ThreadSanitizer knows pthreads only. A thread that librdkafka starts with thrd_create() is a stranger to it and
 * crashes in the first function that it watches; a mutex of mtx_lock() orders nothing. So, in a build with
 * -fsanitize=thread, every program gets these, which librdkafka then uses instead of the C library's own. There, too,
 * thrd_t, mtx_t and cnd_t are the pthread types in all but name.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "a mtx_t holds a mutex");
static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t), "a cnd_t holds a condition");

struct start {
	thrd_start_t function;
	void *arg;
};

static void *run(void *arg)
{
	const struct start start = *(struct start *)arg;
	free(arg);
	return (void *)(intptr_t)start.function(start.arg);
}

int thrd_create(thrd_t *thread, thrd_start_t function, void *arg)
{
	struct start *start = malloc(sizeof(*start));
	if (!start)
		return thrd_nomem;
	*start = (struct start){ function, arg };
	if (pthread_create(thread, NULL, run, start) == 0)
		return thrd_success;
	free(start);
	return thrd_error;
}

int thrd_join(thrd_t thread, int *result)
{
	void *value;
	if (pthread_join(thread, &value) != 0)
		return thrd_error;
	if (result)
		*result = (int)(intptr_t)value;
	return thrd_success;
}

static int result_of(int error)
{
	return error == 0 ? thrd_success : error == ETIMEDOUT ? thrd_timedout : error == EBUSY ? thrd_busy : thrd_error;
}

int mtx_init(mtx_t *mutex, int type)
{
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	if (type & mtx_recursive)
		pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	const int error = pthread_mutex_init((pthread_mutex_t *)mutex, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return result_of(error);
}

void mtx_destroy(mtx_t *mutex)
{
	pthread_mutex_destroy((pthread_mutex_t *)mutex);
}

int mtx_lock(mtx_t *mutex)
{
	return result_of(pthread_mutex_lock((pthread_mutex_t *)mutex));
}

int mtx_unlock(mtx_t *mutex)
{
	return result_of(pthread_mutex_unlock((pthread_mutex_t *)mutex));
}

int cnd_init(cnd_t *condition)
{
	return result_of(pthread_cond_init((pthread_cond_t *)condition, NULL));
}

void cnd_destroy(cnd_t *condition)
{
	pthread_cond_destroy((pthread_cond_t *)condition);
}

int cnd_signal(cnd_t *condition)
{
	return result_of(pthread_cond_signal((pthread_cond_t *)condition));
}

int cnd_broadcast(cnd_t *condition)
{
	return result_of(pthread_cond_broadcast((pthread_cond_t *)condition));
}

int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
	return result_of(pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex));
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until)
{
	return result_of(pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until));
}
