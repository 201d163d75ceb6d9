#include <errno.h>
#include <string.h>

#include "doors/kafka_internal.h"

#define SCRAM_MENDED 0x020601ff   /* the version of librdkafka */
#define SLICE        USEC_PER_SEC /* of waiting for a broker */

/* Before 2.6.1 the library sends a nonce that brokers take for a forgery since Apache Kafka 4.0; they call that
 * "invalid credentials", which sends people looking for a typing mistake. */
static bool is_old_scram(rd_kafka_resp_err_t error, const char *reason)
{
	return error == RD_KAFKA_RESP_ERR__AUTHENTICATION && rd_kafka_version() < SCRAM_MENDED &&
	       strstr(reason, "SCRAM") != NULL;
}

void kafka_hear(struct fault *heard, rd_kafka_resp_err_t error, const char *reason)
{
	/* "all brokers are down" says less than what was heard of any one of them. */
	if (is_old_scram(error, reason))
		fault_set(heard, 0, FAULT_AUTH,
			  "SCRAM refused: wrong password, or a Kafka 4 broker: librdkafka before 2.6.1 must use PLAIN "
			  "or a "
			  "certificate");
	else if (error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || heard->message[0] == '\0')
		fault_set(heard, 0, kafka_fault_class(error), "%s", reason);
}

static void on_error(rd_kafka_t *rk, int error, const char *reason, void *opaque)
{
	(void)rk;
	kafka_hear(opaque, (rd_kafka_resp_err_t)error, reason);
}

void kafka_conf_hear(rd_kafka_conf_t *conf, struct fault *heard)
{
	rd_kafka_conf_set_opaque(conf, heard);
	rd_kafka_conf_set_error_cb(conf, on_error);
}

static int slice_ms(usec_t deadline)
{
	const usec_t left = deadline - clock_read().mono;
	const usec_t time = left < SLICE ? left : SLICE;
	return time > 0 ? (int)((time + USEC_PER_MSEC - 1) / USEC_PER_MSEC) : 0;
}

int kafka_count_partitions(rd_kafka_t *rk, rd_kafka_topic_t *topic, const char *brokers, const struct fault *heard,
			   usec_t deadline, int32_t *ret, struct fault *fault)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t error;
	do {
		error = rd_kafka_metadata(rk, 0, topic, &metadata, slice_ms(deadline));
		rd_kafka_poll(rk, 0); /* `heard` */
	} while (error && clock_read().mono < deadline);
	if (error)
		return fault_set(fault, -EPIPE, heard->kind == FAULT_AUTH ? FAULT_AUTH : FAULT_DEPENDENCY_DOWN,
				 "no broker answers (tried %.100s): %.120s", brokers,
				 heard->message[0] ? heard->message : rd_kafka_err2str(error));
	const struct rd_kafka_metadata_topic *seen = metadata->topic_cnt > 0 ? &metadata->topics[0] : NULL;
	error = seen ? seen->err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	*ret = seen ? seen->partition_cnt : 0;
	rd_kafka_metadata_destroy(metadata);
	if (!error && *ret > 0)
		return 0;
	if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
		return fault_set(fault, -EPIPE, FAULT_PERMANENT,
				 "there is no topic %s: create it (scripts/create-topics), or name the right one",
				 rd_kafka_topic_name(topic));
	return fault_set(fault, -EPIPE, error ? kafka_fault_class(error) : FAULT_PERMANENT, "topic %s: %s",
			 rd_kafka_topic_name(topic), error ? rd_kafka_err2str(error) : "it has no partitions");
}
