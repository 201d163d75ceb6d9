#include "doors/settings_table.h"

#include <string.h>
#include <strings.h>

#include "doors/settings.h"
#include "doors/settings_form.h"
#include "handoff/contract.h"
#include "handoff/macros.h"

#define ONE_HOUR_MS    INT64_C(3600000)
#define ONE_WEEK_MS    (INT64_C(168) * ONE_HOUR_MS)
#define KAFKA_NAME_MAX 249 /* Kafka's limit on the names of topics and members */

const char *const settings_sections[] = { "kafka",  "cognigy", "tenants", "limits", "retry",
					  "worker", "admin",   "log",     NULL };

/* In the order of the values they stand for. */
static const char *const DELIVERIES[] = { "at-least-once", "exactly-once", NULL };
static const char *const RETRIGGERS[] = { "never", "keyed", NULL };
static const char *const PROFILES[] = { "seed-v1", "cognigy-ai", NULL };
static const char *const AUTHS[] = { "login", "oauth2", "oauth2-basic", "api-key", "bearer", NULL };
static const char *const LEVELS[] = { "error", "warn", "info", "debug", NULL };
static const char *const FORMATS[] = { "json", "text", NULL };

/* section and key, type, default, bounds, unit. */
#define ROW(s, k, t, f, lo, hi, u)                                                                                     \
	.section = (s), .key = (k), .type = (t), .fallback = (f), .min = (lo), .max = (hi), .unit = (u)
#define TEXT(s, k, f, lo, hi)   ROW(s, k, SETTING_TEXT, f, lo, hi, "")
#define WHOLE(s, k, f, lo, hi)  ROW(s, k, SETTING_INT, f, lo, hi, "")
#define MILLIS(s, k, f, lo, hi) ROW(s, k, SETTING_INT, f, lo, hi, "ms")
#define BYTES(s, k, f, lo, hi)  ROW(s, k, SETTING_INT, f, lo, hi, "bytes")
#define TRUTH(s, k, f)          ROW(s, k, SETTING_BOOL, f, 0, 1, "")
#define CHOICE(s, k, f, words)  ROW(s, k, SETTING_CHOICE, f, 0, 0, ""), .choices = (words)
#define LIST(s, k, f, lo, hi)   ROW(s, k, SETTING_LIST, f, lo, hi, "")
/* Where the value lives. */
#define AT(struct_name, member)                                                                                        \
	.offset = offsetof(struct struct_name, member), .size = sizeof(((struct struct_name *)NULL)->member)
#define IN(member)     AT(settings, member)
#define TENANT(member) AT(settings_tenant, member)

const struct setting settings_table[] = {
	{ TEXT("kafka", "brokers", "localhost:9092", 1, 4096), IN(kafka.brokers), .form = form_brokers,
	  .sentence = "The brokers to ask first, HOST:PORT, comma-separated; the others are learned from them." },
	{ TEXT("kafka", "group", "handoffd", 1, KAFKA_NAME_MAX), IN(kafka.group), .form = form_group,
	  .sentence = "The consumer group: workers of one group share the requests." },
	{ TEXT("kafka", "instance", "", 0, 200), IN(kafka.instance), .form = form_instance,
	  .sentence = "This worker's name, unique in the group: the transactional id is GROUP-INSTANCE; "
		      "empty: the host's name and a random part." },
	{ TRUTH("kafka", "static_membership", "false"), IN(kafka.static_membership),
	  .sentence =
		  "Keep the partitions over a restart of this instance; a clean stop then leaves them unowned for the "
		  "session time-out." },
	{ LIST("kafka", "requests", TOPIC_REQUESTS, 1, 16), IN(kafka.requests), .form = form_topic,
	  .sentence = "The topics of the requests, highest priority first." },
	{ TEXT("kafka", "retry", TOPIC_RETRY, 1, KAFKA_NAME_MAX), IN(kafka.retry), .form = form_topic,
	  .sentence = "The topic of delayed retries; it must have as many partitions as each topic of requests." },
	{ TEXT("kafka", "outcomes", TOPIC_OUTCOMES, 1, KAFKA_NAME_MAX), IN(kafka.outcomes), .form = form_topic,
	  .sentence = "The topic of the outcomes, one per request." },
	{ TEXT("kafka", "dead_letters", TOPIC_DEAD_LETTERS, 1, KAFKA_NAME_MAX), IN(kafka.dead_letters),
	  .form = form_topic, .sentence = "The topic of what cannot be handled." },
	{ CHOICE("kafka", "delivery", "exactly-once", DELIVERIES), IN(kafka.exactly_once),
	  .sentence = "How sure a reader with read_committed may be that each request has one outcome." },
	{ TRUTH("kafka", "create_topics", "false"), IN(kafka.create_topics),
	  .sentence = "Create missing topics; otherwise a missing topic ends the worker with its name." },
	{ WHOLE("kafka", "partitions", "12", 1, 10000), IN(kafka.partitions),
	  .sentence = "How many partitions a created topic gets." },
	{ MILLIS("kafka", "commit_interval_ms", "50", 1, 10000), IN(kafka.commit_interval_ms),
	  .sentence = "How long outcomes are collected before they are written together." },
	{ LIST("kafka", "properties", "", 0, 256), IN(kafka.properties), .form = kafka_check_property,
	  .sentence =
		  "Any librdkafka property, as \"key=value\". With sasl.mechanism=OAUTHBEARER the token is that of the "
		  "file in sasl.oauthbearer.config=token_file=PATH, which something else renews." },

	{ CHOICE("cognigy", "profile", "seed-v1", PROFILES), TENANT(profile),
	  .sentence =
		  "Which API the tenant speaks: session and flow calls, or those that Cognigy.AI documents today." },
	{ TEXT("cognigy", "base_url", "", 0, 2048), TENANT(base_url), .form = form_base_url,
	  .sentence = "The API of the tenant, http or https; required." },
	{ TEXT("cognigy", "endpoint_url", "", 0, 2048), TENANT(endpoint_url), .form = form_base_url,
	  .sentence = "The host of the tenant's endpoints, where the flow is triggered; empty: base_url." },
	{ CHOICE("cognigy", "auth", "login", AUTHS), TENANT(auth), .cognigy_ai = "api-key",
	  .sentence =
		  "How the worker proves who it is: a token by login_path, a token by token_url (OAuth2 client "
		  "credentials, in the form or as Basic), the secret as X-API-Key, or the secret as bearer token." },
	{ TEXT("cognigy", "client_id", "", 0, 1024), TENANT(client_id),
	  .sentence = "The client's name at login; required, but for api-key and bearer." },
	{ TEXT("cognigy", "client_secret", "", 0, 4096), TENANT(client_secret), .secret = true,
	  .sentence = "The client's secret, the API key or the bearer token; this or client_secret_file is required." },
	{ TEXT("cognigy", "client_secret_file", "", 0, 4096), TENANT(client_secret_file),
	  .sentence = "A file that holds the secret, read again before each login and at SIGHUP." },
	{ MILLIS("cognigy", "login_timeout_ms", "10000", 1, ONE_HOUR_MS), TENANT(login_timeout_ms),
	  .sentence = "How long a login may take." },
	{ MILLIS("cognigy", "fetch_timeout_ms", "10000", 1, ONE_HOUR_MS), TENANT(fetch_timeout_ms),
	  .sentence = "How long reading the session may take." },
	{ MILLIS("cognigy", "update_timeout_ms", "15000", 1, ONE_HOUR_MS), TENANT(update_timeout_ms),
	  .sentence = "How long updating the session may take." },
	{ MILLIS("cognigy", "trigger_timeout_ms", "15000", 1, ONE_HOUR_MS), TENANT(trigger_timeout_ms),
	  .sentence = "How long triggering the flow may take." },
	{ MILLIS("cognigy", "connect_timeout_ms", "3000", 1, ONE_HOUR_MS), TENANT(connect_timeout_ms),
	  .sentence = "How long a connection may take to stand, TLS included." },
	{ TEXT("cognigy", "login_path", "/auth/login", 1, 1024), TENANT(login_path), .form = form_path,
	  .sentence = "The path of the login, behind base_url." },
	{ TEXT("cognigy", "token_url", "", 0, 2048), TENANT(token_url), .form = form_base_url,
	  .sentence = "The whole URL that gives OAuth2 tokens; required for oauth2 and oauth2-basic." },
	{ TEXT("cognigy", "scope", "", 0, 1024), TENANT(scope),
	  .sentence = "The scope that an OAuth2 token is asked for." },
	{ TEXT("cognigy", "session_path", "/session/{sessionId}", 1, 1024), TENANT(session_path),
	  .form = form_session_path, .cognigy_ai = "/v2.0/conversations/{sessionId}",
	  .sentence = "The path of a session; {sessionId} stands for its percent-encoded id." },
	{ TEXT("cognigy", "update_path", "", 0, 1024), TENANT(update_path), .form = form_update_path,
	  .cognigy_ai = "/v2.0/sessions/{sessionId}/context/inject",
	  .sentence = "The path of a session's update; empty: session_path." },
	{ TEXT("cognigy", "flow_path", "/flow", 1, 1024), TENANT(flow_path), .form = form_flow_path,
	  .cognigy_ai = "/inject/{urlToken}",
	  .sentence = "The path of the flow's trigger, behind endpoint_url; {sessionId}, {userId} and {urlToken} stand "
		      "for the request's, percent-encoded." },
	{ TEXT("cognigy", "intent", "__system_transfer__", 1, 1024), TENANT(intent),
	  .sentence = "The intent that the flow is triggered with." },
	{ TEXT("cognigy", "text", "agent_handoff_requested", 1, 4096), TENANT(text),
	  .sentence = "The text that the flow is triggered with." },
	{ TRUTH("cognigy", "preserve_media_stream", "true"), TENANT(preserve_media_stream),
	  .sentence = "Ask for the media stream to be kept over the transfer." },
	{ TEXT("cognigy", "marker_variable", "handoffdId", 0, 128), TENANT(marker_variable), .form = form_variable,
	  .sentence = "The session variable by which an attempt recognises its predecessors' work; empty: none." },
	{ CHOICE("cognigy", "retrigger", "keyed", RETRIGGERS), TENANT(retrigger_keyed), .cognigy_ai = "never",
	  .sentence = "Trigger again, with the same Idempotency-Key, after a trigger that may have been executed?" },
	{ BYTES("cognigy", "max_body_bytes", "1048576", 1024, INT64_C(67108864)), TENANT(max_body_bytes),
	  .sentence = "The longest reply that is read." },
	{ TEXT("cognigy", "ca_file", "", 0, 4096), TENANT(ca_file),
	  .sentence = "PEM file of the certificate authorities to trust; empty: the system's." },
	{ TEXT("cognigy", "client_cert", "", 0, 4096), TENANT(client_cert),
	  .sentence = "PEM file of our own certificate, for tenants that ask for one." },
	{ TEXT("cognigy", "client_key", "", 0, 4096), TENANT(client_key), .sentence = "PEM file of its private key." },

	{ TEXT("tenants", "name", "default", 1, 64), TENANT(name), .form = form_tenant,
	  .sentence = "The name that requests call the tenant by." },

	{ WHOLE("limits", "max_in_flight", "256", 1, 100000), TENANT(max_in_flight),
	  .sentence = "The most calls of the tenant that this worker has open at a time." },
	{ TRUTH("limits", "adaptive_concurrency", "true"), TENANT(adaptive_concurrency),
	  .sentence = "Begin with few calls at a time, open more while all goes well, and fewer on 503, time-outs and "
		      "broken connections; false: always up to max_in_flight." },
	{ ROW("limits", "requests_per_second", SETTING_NUMBER, "0.0", 0, 1000000, "calls/s"),
	  TENANT(requests_per_second),
	  .sentence = "The most calls a second, over the whole pool of workers; 0: no limit." },
	{ WHOLE("limits", "burst", "0", 0, 1000000), TENANT(burst),
	  .sentence = "The most calls at once under that limit, over the whole pool; 0: one after the other, evenly "
		      "spaced." },
	{ WHOLE("limits", "breaker_failures", "5", 1, 1000000), TENANT(breaker_failures),
	  .sentence = "So many failures to reach the tenant in a row stop dispatch." },
	{ MILLIS("limits", "breaker_open_ms", "5000", 1, ONE_HOUR_MS), TENANT(breaker_open_ms),
	  .sentence = "How often one real request tries whether it answers again." },

	{ MILLIS("retry", "base_delay_ms", "1000", 1, ONE_HOUR_MS), IN(retry.base_delay_ms),
	  .sentence = "The first delay of the back-off, which doubles." },
	{ MILLIS("retry", "max_delay_ms", "60000", 1, INT64_C(24) * ONE_HOUR_MS), IN(retry.max_delay_ms),
	  .sentence = "Where the back-off stops growing." },
	{ MILLIS("retry", "locked_delay_ms", "2000", 1, ONE_HOUR_MS), IN(retry.locked_delay_ms),
	  .sentence = "The delay after a locked session that names no Retry-After." },
	{ MILLIS("retry", "max_age_ms", "900000", 1, ONE_WEEK_MS), IN(retry.max_age_ms),
	  .sentence = "The deadline of a request that names none, counted from its timestamp." },
	{ WHOLE("retry", "budget_rate_limited", "20", 1, 1000000), IN(retry.budgets[BUDGET_RATE_LIMITED]),
	  .sentence = "The request fails at so many replies 429." },
	{ WHOLE("retry", "budget_locked", "30", 1, 1000000), IN(retry.budgets[BUDGET_LOCKED]),
	  .sentence = "The request fails when its session was found locked so often." },
	{ WHOLE("retry", "budget_server", "3", 1, 1000000), IN(retry.budgets[BUDGET_SERVER]),
	  .sentence = "The request fails at so many connector errors (500 to 599)." },
	{ WHOLE("retry", "budget_timeout", "5", 1, 1000000), IN(retry.budgets[BUDGET_TIMEOUT]),
	  .sentence = "The request fails when so many calls of it got no reply." },

	{ MILLIS("worker", "drain_ms", "20000", 0, ONE_HOUR_MS), IN(worker.drain_ms),
	  .sentence = "How long calls in flight may take to finish after SIGTERM; the rest is parked." },
	{ MILLIS("worker", "revoke_ms", "5000", 0, ONE_HOUR_MS), IN(worker.revoke_ms),
	  .sentence = "How long calls in flight may take to finish when partitions move to another worker." },
	{ WHOLE("worker", "window", "20000", 64, 1000000), IN(worker.window),
	  .sentence = "The most records of one partition held at a time." },
	{ ROW("worker", "memory_mb", SETTING_INT, "256", 16, 1048576, "MiB"), IN(worker.memory_mb),
	  .sentence = "Reading rests while the records held and fetched ahead need more than this." },
	{ BYTES("worker", "max_record_bytes", "524288", 1024, INT64_C(104857600)), IN(worker.max_record_bytes),
	  .sentence = "The largest request; a larger one is rejected." },

	{ TEXT("admin", "listen", "127.0.0.1:9464", 0, 255), IN(admin_listen), .form = form_listen,
	  .sentence = "HOST:PORT of the health, metrics and status pages; empty: none; port 0: a free one, which is "
		      "logged." },

	{ CHOICE("log", "level", "info", LEVELS), IN(log_level),
	  .sentence = "The least important line that is logged." },
	{ CHOICE("log", "format", "json", FORMATS), IN(log_format),
	  .sentence = "One JSON object a line, or text for people." },
	{ LIST("log", "redact", "userId,callerName,phone", 0, 256), IN(redact),
	  .sentence = "Keys whose values are masked in logs and in the error bodies of outcomes." },
};
const size_t settings_table_count = ARRAY_SIZE(settings_table);

bool setting_is_of_tenant(const struct setting *setting)
{
	return !strcmp(setting->section, "cognigy") || !strcmp(setting->section, "limits") ||
	       !strcmp(setting->section, "tenants");
}

size_t settings_table_find(const char *section, struct span key)
{
	for (size_t i = 0; i < settings_table_count; i++)
		if (!strcmp(settings_table[i].section, section) && span_is(key, settings_table[i].key))
			return i;
	return settings_table_count;
}

#define GUESS_MAX 64

/* Levenshtein's distance; texts over GUESS_MAX bytes are far from everything. */
static size_t distance(const char *a, const char *b)
{
	const size_t n = strlen(a);
	const size_t m = strlen(b);
	size_t row[GUESS_MAX + 1];
	if (n > GUESS_MAX || m > GUESS_MAX)
		return GUESS_MAX;
	for (size_t j = 0; j <= m; j++)
		row[j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[m];
}

const char *settings_table_guess(const char *section, const char *key)
{
	const char *guess = NULL;
	size_t nearest = 3;
	for (size_t i = 0; i < settings_table_count; i++) {
		const struct setting *setting = &settings_table[i];
		if (strcmp(setting->section, section) != 0)
			continue;
		const size_t d = strcasecmp(setting->key, key) == 0 ? 0 : distance(setting->key, key);
		if (d < nearest) {
			nearest = d;
			guess = setting->key;
		}
	}
	return guess;
}
