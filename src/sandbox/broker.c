#include "sandbox/broker.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <stdlib.h>

#include "handoff/contract.h"
#include "handoff/macros.h"

/* Fewer partitions are enough for what nobody works off by session. */
enum { RESULT_PARTITIONS = 4 };

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk, (void)level, (void)facility, (void)text; /* clients that come and go are no news */
}

/* The client that the mock lives in; it connects to nobody. NULL with the reason in `reason`. */
static rd_kafka_t *client_new(char *reason, size_t size)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_conf_set_log_cb(conf, on_log);
	/* Nagle against the client's delayed ACK would cost 40 ms a commit. */
	rd_kafka_t *rk = NULL;
	if (rd_kafka_conf_set(conf, "socket.nagle.disable", "true", reason, size) == RD_KAFKA_CONF_OK)
		rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, size);
	if (!rk)
		rd_kafka_conf_destroy(conf);
	return rk;
}

static rd_kafka_resp_err_t create_topics(rd_kafka_mock_cluster_t *cluster, int partitions)
{
	const struct {
		const char *name;
		int partitions;
	} topics[] = {
		{ TOPIC_REQUESTS, partitions },
		{ TOPIC_RETRY, partitions },
		{ TOPIC_OUTCOMES, RESULT_PARTITIONS },
		{ TOPIC_DEAD_LETTERS, RESULT_PARTITIONS },
	};
	rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
	for (size_t i = 0; i < ARRAY_SIZE(topics) && !error; i++)
		error = rd_kafka_mock_topic_create(cluster, topics[i].name, topics[i].partitions, 1);
	return error;
}

static void wait_for_stop(struct child_side *parent)
{
	struct pollfd fd = { .fd = child_side_fd(parent), .events = POLLIN };
	while (poll(&fd, 1, -1) <= 0)
		;
}

int broker_run(int partitions, struct child_side *parent)
{
	char reason[256] = "";
	int code = EXIT_FAILURE;
	rd_kafka_mock_cluster_t *cluster = NULL;
	rd_kafka_t *rk = client_new(reason, sizeof(reason));
	if (rk)
		cluster = rd_kafka_mock_cluster_new(rk, 1);
	const rd_kafka_resp_err_t error = cluster ? create_topics(cluster, partitions) : RD_KAFKA_RESP_ERR__FAIL;
	if (!error) {
		child_side_ready(parent, "bootstrap.servers=%s", rd_kafka_mock_cluster_bootstraps(cluster));
		wait_for_stop(parent);
		code = EXIT_SUCCESS;
	} else {
		child_side_failed(parent, "the broker cannot start: %s", *reason ? reason : rd_kafka_err2str(error));
	}
	if (cluster)
		rd_kafka_mock_cluster_destroy(cluster);
	if (rk)
		rd_kafka_destroy(rk);
	return code;
}
