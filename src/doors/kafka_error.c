#include <string.h>

#include "doors/kafka_internal.h"

#define SCRAM_MENDED 0x020601ff                                   /* the version of librdkafka */
#define NO_TOKEN     "Failed to acquire SASL OAUTHBEARER token: " /* so begins what kafka_token.c says */

enum fault_class kafka_fault_class(rd_kafka_resp_err_t error)
{
	switch (error) {
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR__SSL:
	case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
		return FAULT_AUTH;
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
	case RD_KAFKA_RESP_ERR__RESOLVE:
		return FAULT_DEPENDENCY_DOWN;
	default:
		return kafka_is_transient(error) ? FAULT_DEPENDENCY_DOWN : FAULT_PERMANENT;
	}
}

bool kafka_is_transient(rd_kafka_resp_err_t error)
{
	switch (error) {
	case RD_KAFKA_RESP_ERR__TRANSPORT:
	case RD_KAFKA_RESP_ERR__TIMED_OUT:
	case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
	case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
	case RD_KAFKA_RESP_ERR__WAIT_COORD:
	case RD_KAFKA_RESP_ERR__WAIT_CACHE:
	case RD_KAFKA_RESP_ERR__IN_PROGRESS:
	case RD_KAFKA_RESP_ERR__RETRY:
	case RD_KAFKA_RESP_ERR__INTR:
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
	case RD_KAFKA_RESP_ERR__RESOLVE:
	case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
	case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
	case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
	case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
	case RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT:
	case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
	case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
	case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
	case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
	case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
	case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
		return true;
	default:
		return false;
	}
}

/* Before 2.6.1 the library sends a nonce that brokers take for a forgery since Apache Kafka 4.0; they call that
 * "invalid credentials", which sends people looking for a typing mistake. */
static bool is_old_scram(rd_kafka_resp_err_t error, const char *reason)
{
	return error == RD_KAFKA_RESP_ERR__AUTHENTICATION && rd_kafka_version() < SCRAM_MENDED &&
	       strstr(reason, "SCRAM") != NULL;
}

/* The library calls it a broken connection. The alerts (RFC 8446, 6.2) come from the broker, so they speak of ours. */
bool kafka_is_certificate_refused(const char *reason)
{
	static const char *const alerts[] = { "alert bad certificate",     "alert unsupported certificate",
					      "alert certificate revoked", "alert certificate expired",
					      "alert certificate unknown", "alert unknown ca",
					      "alert certificate required" };
	for (size_t i = 0; i < ARRAY_SIZE(alerts); i++)
		if (strstr(reason, alerts[i]))
			return true;
	return false;
}

bool kafka_is_token_missing(const char *reason)
{
	return strncmp(reason, NO_TOKEN, strlen(NO_TOKEN)) == 0;
}

void kafka_hear(struct fault *heard, rd_kafka_resp_err_t error, const char *reason)
{
	/* "all brokers are down" says less than what was heard of any one of them. */
	if (is_old_scram(error, reason))
		fault_set(heard, 0, FAULT_AUTH,
			  "SCRAM refused: wrong password, or a Kafka 4 broker: librdkafka before 2.6.1 must use PLAIN "
			  "or a "
			  "certificate");
	else if (kafka_is_certificate_refused(reason))
		fault_set(heard, 0, FAULT_AUTH, "%.*s: the broker refuses our client certificate, or wants one",
			  (int)strcspn(reason, " ") - 1, reason);
	else if (kafka_is_token_missing(reason))
		fault_set(heard, 0, FAULT_AUTH, "no token to log in with: %s", reason + strlen(NO_TOKEN));
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
