#include "doors/settings_check.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "doors/file.h"

/* The origin of a setting, and whether anybody gave it. */
static struct settings_origin origin_of(const struct settings_scope *scope, const char *section, const char *key)
{
	return scope->origins[settings_index(section, key)];
}

static bool was_given(const struct settings_scope *scope, const char *section, const char *key)
{
	return origin_of(scope, section, key).layer != SETTINGS_DEFAULT;
}

#define REFUSE(reader, scope, section, key, ...)                                                                       \
	settings_refuse(reader, scope, settings_index(section, key), origin_of(scope, section, key), __VA_ARGS__)

/* --- kafka --- */

static int check_topics(struct settings_reader *reader)
{
	const struct settings_kafka *kafka = &reader->settings->kafka;
	const struct settings_scope *all = &reader->sections;
	static const char *const KEYS[] = { "retry", "outcomes", "dead_letters" };
	const char *const names[] = { kafka->retry, kafka->outcomes, kafka->dead_letters };
	for (size_t i = 0; i < ARRAY_SIZE(KEYS); i++) {
		for (size_t k = 0; k < kafka->requests.count; k++)
			if (!strcmp(names[i], kafka->requests.items[k]))
				return REFUSE(reader, all, "kafka",
					      was_given(all, "kafka", KEYS[i]) ? KEYS[i] : "requests",
					      "\"%s\" must not be both kafka.requests and kafka.%s: give each a topic "
					      "of its own",
					      names[i], KEYS[i]);
		for (size_t k = 0; k < i; k++)
			if (!strcmp(names[i], names[k]))
				return REFUSE(
					reader, all, "kafka", was_given(all, "kafka", KEYS[i]) ? KEYS[i] : KEYS[k],
					"\"%s\" must not be both kafka.%s and kafka.%s: give each a topic of its own",
					names[i], KEYS[k], KEYS[i]);
	}
	return 0;
}

/* The value of a librdkafka property: the last that sets it, else `fallback`. */
static int64_t property_number(const struct settings_list *properties, const char *name, int64_t fallback)
{
	const size_t n = strlen(name);
	for (size_t i = 0; i < properties->count; i++) {
		const char *item = properties->items[i];
		int64_t value;
		if (!strncmp(item, name, n) && item[n] == '=' && text_parse_int64(span_of(item + n + 1), &value) == 0)
			fallback = value;
	}
	return fallback;
}

static int check_properties(struct settings_reader *reader)
{
	const struct settings_list *list = &reader->settings->kafka.properties;
	for (size_t i = 0; i < list->count; i++) {
		const size_t n = strcspn(list->items[i], "=");
		for (size_t k = 0; k < i; k++)
			if (!strncmp(list->items[i], list->items[k], n + 1))
				return REFUSE(reader, &reader->sections, "kafka", "properties",
					      "%.*s is set twice: leave one of them", (int)n, list->items[i]);
	}
	struct fault fault;
	if (kafka_check_login(list->items, list->count, &fault) < 0)
		return REFUSE(reader, &reader->sections, "kafka", "properties", "%s", fault.message);
	return 0;
}

/* What the doors tell librdkafka where no property says otherwise (kafka_options.c). */
#define SESSION_TIMEOUT_MS     INT64_C(15000)
#define TRANSACTION_TIMEOUT_MS INT64_C(20000)

int64_t settings_session_timeout_ms(const struct settings_kafka *kafka)
{
	return property_number(&kafka->properties, "session.timeout.ms", SESSION_TIMEOUT_MS);
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int check_session(struct settings_reader *reader)
{
	const struct settings_scope *all = &reader->sections;
	const struct settings_list *list = &reader->settings->kafka.properties;
	const int64_t session = settings_session_timeout_ms(&reader->settings->kafka);
	const int64_t poll = property_number(list, "max.poll.interval.ms", session > 60000 ? session : 60000);
	const int64_t heartbeat = property_number(list, "heartbeat.interval.ms", least(1000, session / 3));
	const int64_t revoke = reader->settings->worker.revoke_ms;
	if (poll < session)
		return REFUSE(reader, all, "kafka", "properties",
			      "max.poll.interval.ms (%" PRId64 ") must not be below session.timeout.ms (%" PRId64 ")",
			      poll, session);
	if (heartbeat >= session)
		return REFUSE(reader, all, "kafka", "properties",
			      "heartbeat.interval.ms (%" PRId64 ") must be below session.timeout.ms (%" PRId64 ")",
			      heartbeat, session);
	if (was_given(all, "worker", "revoke_ms") && revoke >= session)
		return REFUSE(reader, all, "worker", "revoke_ms",
			      "must be below session.timeout.ms (%" PRId64 "), not %" PRId64
			      ": the whole group waits for it",
			      session, revoke);
	if (revoke >= poll)
		return REFUSE(reader, all, "kafka", "properties",
			      "max.poll.interval.ms (%" PRId64 ") must be above worker.revoke_ms (%" PRId64 ")", poll,
			      revoke);
	return 0;
}

static int check_kafka(struct settings_reader *reader)
{
	const struct settings_kafka *kafka = &reader->settings->kafka;
	const struct settings_scope *all = &reader->sections;
	const int64_t transaction =
		property_number(&kafka->properties, "transaction.timeout.ms", TRANSACTION_TIMEOUT_MS);
	if (kafka->static_membership && !*kafka->instance)
		return REFUSE(reader, all, "kafka", "static_membership",
			      "needs kafka.instance: a name that comes back after a restart");
	if (kafka->exactly_once && kafka->commit_interval_ms >= transaction)
		return REFUSE(reader, all, "kafka",
			      was_given(all, "kafka", "commit_interval_ms") ? "commit_interval_ms" : "properties",
			      "kafka.commit_interval_ms (%" PRId64 ") must be below transaction.timeout.ms (%" PRId64
			      ")",
			      kafka->commit_interval_ms, transaction);
	return 0;
}

/* --- retry and worker --- */

static int check_retry(struct settings_reader *reader)
{
	const struct settings_retry *retry = &reader->settings->retry;
	const struct settings_scope *all = &reader->sections;
	const char *key = was_given(all, "retry", "base_delay_ms") ? "base_delay_ms" : "max_delay_ms";
	if (retry->base_delay_ms > retry->max_delay_ms)
		return REFUSE(reader, all, "retry", key,
			      "retry.base_delay_ms (%" PRId64 ") must not be above retry.max_delay_ms (%" PRId64 ")",
			      retry->base_delay_ms, retry->max_delay_ms);
	return 0;
}

static int check_worker(struct settings_reader *reader)
{
	const struct settings_worker *worker = &reader->settings->worker;
	const struct settings_scope *all = &reader->sections;
	const char *key = was_given(all, "worker", "max_record_bytes") ? "max_record_bytes" : "memory_mb";
	if (worker->max_record_bytes > worker->memory_mb * 1024 * 1024 / 4)
		return REFUSE(reader, all, "worker", key,
			      "worker.max_record_bytes (%" PRId64
			      ") must not be above a quarter of worker.memory_mb (%" PRId64 " MiB)",
			      worker->max_record_bytes, worker->memory_mb);
	return 0;
}

/* --- tenants --- */

static int check_limits(struct settings_reader *reader, const struct settings_scope *scope)
{
	if (scope->tenant->burst > 0 && scope->tenant->requests_per_second <= 0)
		return REFUSE(reader, scope, "limits", "burst",
			      "needs limits.requests_per_second: set it, or leave burst out");
	return 0;
}

static int check_readable(struct settings_reader *reader, const struct settings_scope *scope, const char *key,
			  const char *file)
{
	struct buf ignored;
	buf_init(&ignored, (size_t)4 << 20);
	const int r = *file ? file_read(file, false, &ignored) : 0;
	buf_wipe(&ignored);
	return r < 0 ? REFUSE(reader, scope, "cognigy", key, "%s cannot be read: %s", file, file_fault(r)) : 0;
}

static int check_tls(struct settings_reader *reader, const struct settings_scope *scope)
{
	const struct settings_tenant *tenant = scope->tenant;
	if (*tenant->client_cert && !*tenant->client_key)
		return REFUSE(reader, scope, "cognigy", "client_cert", "needs client_key: the two go together");
	if (*tenant->client_key && !*tenant->client_cert)
		return REFUSE(reader, scope, "cognigy", "client_key", "needs client_cert: the two go together");
	if (!reader->need_cognigy)
		return 0;
	int r = check_readable(reader, scope, "ca_file", tenant->ca_file);
	if (r == 0)
		r = check_readable(reader, scope, "client_cert", tenant->client_cert);
	if (r == 0)
		r = check_readable(reader, scope, "client_key", tenant->client_key);
	return r;
}

static int check_secret(struct settings_reader *reader, const struct settings_scope *scope)
{
	const struct settings_tenant *tenant = scope->tenant;
	if (*tenant->client_secret && *tenant->client_secret_file)
		return REFUSE(reader, scope, "cognigy", "client_secret_file",
			      "must not stand beside client_secret: give one of them");
	if (!reader->need_cognigy)
		return 0;
	if (!*tenant->client_secret && !*tenant->client_secret_file)
		return REFUSE(reader, scope, "cognigy", "client_secret",
			      "is missing: give it, or client_secret_file, or COGNIGY_CLIENT_SECRET or "
			      "COGNIGY_CLIENT_SECRET_FILE in the environment");
	struct buf secret;
	struct buf why;
	buf_init(&secret, SETTINGS_SECRET_MAX);
	buf_init(&why, 8192);
	int r = settings_secret(tenant, &secret, &why);
	if (r < 0)
		r = REFUSE(reader, scope, "cognigy", "client_secret_file", "%s", buf_text(&why));
	buf_wipe(&secret);
	buf_fini(&why);
	return r;
}

static int check_required(struct settings_reader *reader, const struct settings_scope *scope)
{
	if (!reader->need_cognigy)
		return 0;
	if (!*scope->tenant->base_url)
		return REFUSE(reader, scope, "cognigy", "base_url",
			      "is missing: give it, or HANDOFFD_COGNIGY_BASE_URL in the environment");
	if (!*scope->tenant->client_id && credential_has_name(scope->tenant->auth))
		return REFUSE(reader, scope, "cognigy", "client_id",
			      "is missing: give it, or COGNIGY_CLIENT_ID in the environment");
	return 0;
}

static int check_profile(struct settings_reader *reader, const struct settings_scope *scope)
{
	const struct settings_tenant *tenant = scope->tenant;
	const bool is_oauth2 = tenant->auth == CREDENTIAL_OAUTH2 || tenant->auth == CREDENTIAL_OAUTH2_BASIC;
	if (!reader->need_cognigy)
		return 0;
	if (is_oauth2 && !*tenant->token_url)
		return REFUSE(reader, scope, "cognigy", "token_url", "is missing: cognigy.auth needs it");
	if (tenant->profile == PROFILE_COGNIGY_AI && !*tenant->endpoint_url && strstr(tenant->flow_path, "{urlToken}"))
		return REFUSE(reader, scope, "cognigy", "endpoint_url",
			      "is missing: give the host of the tenant's endpoints, or flow_path = "
			      "\"/v2.0/endpoint/inject\" for the API's own call, which is deprecated");
	if (tenant->retrigger_keyed && !profile_is_keyed(tenant->profile))
		return REFUSE(reader, scope, "cognigy", "retrigger",
			      "must be \"never\" for a tenant of this profile, whose calls carry no Idempotency-Key: a "
			      "second "
			      "trigger could ring a second agent");
	return 0;
}

static int check_tenant(struct settings_reader *reader, const struct settings_scope *scope)
{
	int r = check_required(reader, scope);
	if (r == 0)
		r = check_profile(reader, scope);
	if (r == 0)
		r = check_secret(reader, scope);
	if (r == 0)
		r = check_tls(reader, scope);
	if (r == 0)
		r = check_limits(reader, scope);
	return r;
}

static int check_name(struct settings_reader *reader, size_t i)
{
	const struct settings_scope *scope = &reader->entries[i];
	if (!was_given(scope, "tenants", "name"))
		return REFUSE(reader, scope, "tenants", "name", "is missing: give each tenant one");
	for (size_t k = 0; k < i; k++)
		if (!strcmp(reader->entries[k].tenant->name, scope->tenant->name))
			return REFUSE(reader, scope, "tenants", "name",
				      "\"%s\" is the name of tenants[%zu] already: give each its own",
				      scope->tenant->name, k);
	return 0;
}

static int check_tenants(struct settings_reader *reader)
{
	int r = reader->entry_count == 0 ? check_tenant(reader, &reader->sections) : 0;
	for (size_t i = 0; r == 0 && i < reader->entry_count; i++) {
		r = check_name(reader, i);
		if (r == 0)
			r = check_tenant(reader, &reader->entries[i]);
	}
	return r;
}

int settings_check(struct settings_reader *reader)
{
	static int (*const CHECKS[])(struct settings_reader *) = { check_topics, check_properties, check_session,
								   check_kafka,  check_retry,      check_worker,
								   check_tenants };
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(CHECKS); i++)
		r = CHECKS[i](reader);
	return r;
}
