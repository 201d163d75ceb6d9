#include "doors/kafka_trial.h"

#include <stdio.h>
#include <string.h>

#include "doors/kafka_internal.h"

#define SLICE_MS   200
#define REASON_MAX 150
/* No topic has it, and the brokers know no such number of acknowledgements. */
#define NO_PARTITION 2000000000
#define NO_ACKS      "2"

/* What a client said last, its code, and what to do. */
struct heard {
	struct fault fault;
	rd_kafka_resp_err_t code;
	const char *advice;
};

static const char *advice(rd_kafka_resp_err_t error, const char *reason)
{
	if (kafka_is_certificate_refused(reason))
		return "check ssl.certificate.location and ssl.key.location in kafka.properties";
	if (kafka_is_token_missing(reason))
		return "check sasl.oauthbearer.config in kafka.properties, and what renews the file";
	switch (error) {
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
		return "check sasl.mechanism, sasl.username and sasl.password, or the token, in kafka.properties";
	case RD_KAFKA_RESP_ERR__SSL:
		return "check ssl.ca.location in kafka.properties, the certificate's names and dates, and that this "
		       "listener "
		       "speaks TLS";
	case RD_KAFKA_RESP_ERR__RESOLVE:
		return "check the name";
	default:
		return "check the address, the network between, and security.protocol in kafka.properties";
	}
}

static void on_error(rd_kafka_t *rk, int error, const char *reason, void *opaque)
{
	struct heard *heard = opaque;
	(void)rk;
	if (error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
		heard->code = (rd_kafka_resp_err_t)error;
		heard->advice = advice(heard->code, reason);
	}
	kafka_hear(&heard->fault, (rd_kafka_resp_err_t)error, reason);
}

static rd_kafka_t *open_client(rd_kafka_conf_t *conf, enum kafka_client client, struct heard *heard)
{
	if (!conf)
		return NULL;
	rd_kafka_conf_set_opaque(conf, heard);
	rd_kafka_conf_set_error_cb(conf, on_error);
	return kafka_client_new(conf, client, &heard->fault);
}

static int slice_ms(usec_t deadline)
{
	const usec_t left = deadline - clock_read().mono;
	return left < SLICE_MS * USEC_PER_MSEC ? (left > 0 ? (int)(left / USEC_PER_MSEC) + 1 : 0) : SLICE_MS;
}

/* --- brokers --- */

/* The library's sentence without the address, which is said already, and without its own guesses and measurements, so
 * that what is to be done has its place. */
static void say_broker(struct kafka_trial_broker *broker, const struct heard *heard)
{
	static const char *const endings[] = { " (after ", " (connecting ", ", verify ", " (install " };
	static const char head[] = "/bootstrap: ";
	const char *reason = heard->fault.message[0] ? heard->fault.message : "no answer in time";
	const char *start = strstr(reason, head);
	if (start)
		reason = start + sizeof(head) - 1;
	size_t n = strlen(reason) < REASON_MAX ? strlen(reason) : REASON_MAX;
	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		const char *end = strstr(reason, endings[i]);
		if (end && (size_t)(end - reason) < n)
			n = (size_t)(end - reason);
	}
	fault_set(&broker->fault, 0, heard->fault.kind, "%.*s: %s", (int)n, reason,
		  heard->advice ? heard->advice : advice(heard->code, ""));
}

static struct kafka_trial_broker *add_broker(struct kafka_trial_brokers *brokers, const char *address, size_t n)
{
	struct kafka_trial_broker *broker;
	for (size_t i = 0; i < brokers->count; i++)
		if (strlen(brokers->items[i].address) == n && !memcmp(brokers->items[i].address, address, n))
			return &brokers->items[i];
	if (brokers->count == KAFKA_TRIAL_BROKERS || n == 0 || n >= sizeof(broker->address))
		return NULL;
	broker = &brokers->items[brokers->count++];
	memcpy(broker->address, address, n);
	return broker;
}

static void add_listed(struct kafka_trial_brokers *brokers, const char *list)
{
	while (*list) {
		list += strspn(list, ", ");
		const size_t n = strcspn(list, ", ");
		add_broker(brokers, list, n);
		list += n;
	}
}

static void add_advertised(struct kafka_trial_brokers *brokers, const struct rd_kafka_metadata *metadata)
{
	for (int i = 0; i < metadata->broker_cnt; i++) {
		char address[sizeof(brokers->items[0].address)];
		const int n = snprintf(address, sizeof(address), "%s:%d", metadata->brokers[i].host,
				       metadata->brokers[i].port);
		struct kafka_trial_broker *broker =
			n < (int)sizeof(address) ? add_broker(brokers, address, (size_t)n) : NULL;
		if (broker)
			broker->advertised = true;
	}
}

static void try_broker(const struct kafka_options *options, struct kafka_trial_brokers *brokers, size_t index,
		       usec_t deadline)
{
	struct kafka_trial_broker *broker = &brokers->items[index];
	struct kafka_options alone = *options;
	struct heard heard = { 0 };
	const struct rd_kafka_metadata *metadata;
	alone.brokers = broker->address;
	rd_kafka_t *rk =
		open_client(kafka_conf_new(&alone, KAFKA_CLIENT_ADMIN, &heard.fault), KAFKA_CLIENT_ADMIN, &heard);
	/* A refused password or certificate stays refused; all else may be one of a name's several addresses. */
	while (rk && !broker->answers && heard.fault.kind != FAULT_AUTH && clock_read().mono < deadline) {
		if (!rd_kafka_metadata(rk, 0, NULL, &metadata, slice_ms(deadline))) {
			broker->answers = true;
			add_advertised(brokers, metadata);
			rd_kafka_metadata_destroy(metadata);
		}
		rd_kafka_poll(rk, 0); /* heard */
	}
	kafka_client_destroy(rk);
	if (!broker->answers)
		say_broker(broker, &heard);
}

void kafka_trial_brokers(const struct kafka_options *options, usec_t each, usec_t all, struct kafka_trial_brokers *ret)
{
	const usec_t end = clock_read().mono + all;
	*ret = (struct kafka_trial_brokers){ 0 };
	add_listed(ret, options->brokers);
	for (size_t i = 0; i < ret->count; i++) { /* which grows by what they name */
		const usec_t own = clock_read().mono + each;
		try_broker(options, ret, i, own < end ? own : end);
	}
}

/* --- rights --- */

static void judge(struct kafka_trial_right *right, rd_kafka_resp_err_t error, rd_kafka_resp_err_t allowed)
{
	const bool is_allowed = !error || error == allowed;
	right->verdict = is_allowed                               ? KAFKA_TRIAL_ALLOWED
			 : kafka_fault_class(error) == FAULT_AUTH ? KAFKA_TRIAL_REFUSED
								  : KAFKA_TRIAL_UNCLEAR;
	if (!is_allowed)
		fault_set(&right->fault, 0, kafka_fault_class(error), "%s", rd_kafka_err2str(error));
}

static void judge_all(struct kafka_trial_right *rights, size_t count, rd_kafka_resp_err_t error)
{
	for (size_t i = 0; i < count; i++)
		judge(&rights[i], error, RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* The library tells consumers that a coordinator may not even be looked for as if that were a message. */
static void hear_consumer(rd_kafka_t *rk, struct heard *heard)
{
	rd_kafka_message_t *message;
	rd_kafka_poll(rk, 0);
	while ((message = rd_kafka_consumer_poll(rk, 0))) {
		if (message->err)
			on_error(rk, message->err, rd_kafka_message_errstr(message), heard);
		rd_kafka_message_destroy(message);
	}
}

/* The answer to a commit that nothing can come of; errors of single topics are in `places`. */
static rd_kafka_resp_err_t commit_nothing(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *places, struct heard *heard,
					  usec_t deadline)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_resp_err_t error = rd_kafka_commit_queue(rk, places, queue, NULL, NULL);
	bool answered = error != RD_KAFKA_RESP_ERR_NO_ERROR;
	while (!answered && heard->fault.kind != FAULT_AUTH && clock_read().mono < deadline) {
		rd_kafka_event_t *event = rd_kafka_queue_poll(queue, slice_ms(deadline));
		hear_consumer(rk, heard);
		if (event && rd_kafka_event_type(event) == RD_KAFKA_EVENT_OFFSET_COMMIT) {
			const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
			error = rd_kafka_event_error(event);
			for (int i = 0; list && i < list->cnt && i < places->cnt; i++)
				places->elems[i].err = list->elems[i].err;
			answered = true;
		}
		rd_kafka_event_destroy(event);
	}
	rd_kafka_queue_destroy(queue);
	if (answered)
		return error;
	return heard->fault.kind == FAULT_AUTH ? heard->code : RD_KAFKA_RESP_ERR__TIMED_OUT;
}

void kafka_trial_read(const struct kafka_options *options, const char *const *topics, size_t count, usec_t timeout,
		      struct kafka_trial_right *ret_group, struct kafka_trial_right *ret_topics)
{
	const usec_t deadline = clock_read().mono + timeout;
	const rd_kafka_resp_err_t allowed = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	struct kafka_options alone = *options;
	struct heard heard = { 0 };
	alone.static_membership = false;
	rd_kafka_t *rk =
		open_client(kafka_conf_new(&alone, KAFKA_CLIENT_CONSUMER, &heard.fault), KAFKA_CLIENT_CONSUMER, &heard);
	rd_kafka_topic_partition_list_t *places = rd_kafka_topic_partition_list_new((int)count);
	for (size_t i = 0; i < count; i++)
		rd_kafka_topic_partition_list_add(places, topics[i], NO_PARTITION)->offset = 0;
	rd_kafka_resp_err_t error = rk ? commit_nothing(rk, places, &heard, deadline) : RD_KAFKA_RESP_ERR__INVALID_ARG;
	/* An error of one topic is told as the whole's, too. */
	if (error == allowed || error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
		error = RD_KAFKA_RESP_ERR_NO_ERROR;
	judge(ret_group, error, RD_KAFKA_RESP_ERR_NO_ERROR);
	for (size_t i = 0; i < count; i++)
		judge(&ret_topics[i], error ? RD_KAFKA_RESP_ERR__WAIT_COORD : places->elems[i].err, allowed);
	rd_kafka_topic_partition_list_destroy(places);
	kafka_client_destroy(rk);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	(void)rk;
	(void)opaque;
	judge(message->_private, message->err, RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS);
}

static rd_kafka_t *open_writer(const struct kafka_options *options, usec_t timeout, struct heard *heard)
{
	char time[24], reason[8];
	/* Told as an admin client, it is not idempotent: that would insist on the acknowledgements of all. */
	rd_kafka_conf_t *conf = kafka_conf_new(options, KAFKA_CLIENT_ADMIN, &heard->fault);
	if (!conf)
		return NULL;
	snprintf(time, sizeof(time), "%lld", (long long)(timeout / USEC_PER_MSEC));
	rd_kafka_conf_set(conf, "acks", NO_ACKS, reason, sizeof(reason));
	rd_kafka_conf_set(conf, "message.timeout.ms", time, reason, sizeof(reason));
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	return open_client(conf, KAFKA_CLIENT_PRODUCER, heard);
}

static rd_kafka_error_t *produce_nothing(rd_kafka_t *rk, const char *topic, struct kafka_trial_right *told)
{
	const rd_kafka_vu_t parts[] = { { .vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic },
					{ .vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = 0 },
					{ .vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = told } };
	return rd_kafka_produceva(rk, parts, ARRAY_SIZE(parts));
}

void kafka_trial_write(const struct kafka_options *options, const char *const *topics, size_t count, usec_t timeout,
		       struct kafka_trial_right *ret_topics)
{
	struct heard heard = { 0 };
	rd_kafka_t *rk = open_writer(options, timeout, &heard);
	judge_all(ret_topics, count, RD_KAFKA_RESP_ERR__TIMED_OUT);
	for (size_t i = 0; rk && i < count; i++) {
		rd_kafka_error_t *error = produce_nothing(rk, topics[i], &ret_topics[i]);
		if (error)
			judge(&ret_topics[i], rd_kafka_error_code(error), RD_KAFKA_RESP_ERR_NO_ERROR);
		rd_kafka_error_destroy(error);
	}
	if (rk) {
		rd_kafka_flush(rk, (int)(timeout / USEC_PER_MSEC) + SLICE_MS);
		rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
	}
	kafka_client_destroy(rk);
}

void kafka_trial_transaction(const struct kafka_options *options, usec_t timeout, struct kafka_trial_right *ret)
{
	char instance[512];
	struct kafka_options alone = *options;
	struct heard heard = { 0 };
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__INVALID_ARG;
	snprintf(instance, sizeof(instance), "%.400s-check", options->instance);
	alone.instance = instance;
	rd_kafka_t *rk =
		open_client(kafka_conf_new(&alone, KAFKA_CLIENT_PRODUCER, &heard.fault), KAFKA_CLIENT_PRODUCER, &heard);
	if (rk) {
		rd_kafka_error_t *error = rd_kafka_init_transactions(rk, (int)(timeout / USEC_PER_MSEC));
		code = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
		rd_kafka_error_destroy(error);
	}
	judge(ret, code, RD_KAFKA_RESP_ERR_NO_ERROR);
	kafka_client_destroy(rk);
}
