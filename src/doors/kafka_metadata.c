#include <errno.h>
#include <string.h>

#include "doors/kafka_internal.h"

#define SLICE USEC_PER_SEC /* of waiting for a broker */
/* A password that one broker refuses is tried on the others for so long, and not until the end of all patience. */
#define REFUSED_TIME (2 * USEC_PER_SEC)

static int slice_ms(usec_t deadline)
{
	const usec_t left = deadline - clock_read().mono;
	const usec_t time = left < SLICE ? left : SLICE;
	return time > 0 ? (int)((time + USEC_PER_MSEC - 1) / USEC_PER_MSEC) : 0;
}

int kafka_count_partitions(rd_kafka_t *rk, rd_kafka_topic_t *topic, const char *brokers, struct fault *heard,
			   usec_t deadline, int32_t *ret, struct fault *fault)
{
	const struct rd_kafka_metadata *metadata;
	const usec_t refused = clock_read().mono + REFUSED_TIME;
	rd_kafka_resp_err_t error;
	do {
		error = rd_kafka_metadata(rk, 0, topic, &metadata, slice_ms(deadline));
		rd_kafka_poll(rk, 0); /* `heard` */
	} while (error && clock_read().mono < deadline && (heard->kind != FAULT_AUTH || clock_read().mono < refused));
	if (error && heard->kind == FAULT_AUTH)
		return fault_set(fault, -EPIPE, FAULT_AUTH, "%s", heard->message); /* which names the broker */
	if (error)
		return fault_set(fault, -EPIPE, FAULT_DEPENDENCY_DOWN, "no broker answers (tried %.100s): %.120s",
				 brokers, heard->message[0] ? heard->message : rd_kafka_err2str(error));
	*heard = (struct fault){ 0 }; /* somebody has let us in */
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
