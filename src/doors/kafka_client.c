#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "doors/kafka_internal.h"

#define DESTROY_WAIT_SEC 5

/* The library would write to stderr by itself; what matters comes as an error event or callback. */
static void drop_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk;
	(void)level;
	(void)facility;
	(void)text;
}

rd_kafka_t *kafka_client_new(rd_kafka_conf_t *conf, enum kafka_client client, struct fault *fault)
{
	char reason[200] = "";
	rd_kafka_conf_set_log_cb(conf, drop_log);
	rd_kafka_t *rk = rd_kafka_new(client == KAFKA_CLIENT_PRODUCER ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf,
				      reason, sizeof(reason));
	if (rk) {
		kafka_token_serve(rk);
		return rk;
	}
	rd_kafka_conf_destroy(conf);
	fault_set(fault, 0, FAULT_PERMANENT, "kafka client: %s", reason);
	return NULL;
}

static void *destroy(void *arg)
{
	/* Leaving the group, if wanted, was done before; to abandon everything is what is left. */
	rd_kafka_destroy_flags(arg, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	return NULL;
}

void kafka_client_destroy(rd_kafka_t *rk)
{
	pthread_t thread;
	struct timespec until;
	if (!rk)
		return;
	if (pthread_create(&thread, NULL, destroy, rk) != 0) {
		destroy(rk);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += DESTROY_WAIT_SEC;
	if (pthread_timedjoin_np(thread, NULL, &until) != 0)
		pthread_detach(thread);
}
