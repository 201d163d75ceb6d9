/* settings: what is refused, with which sentence, and where a value comes from */
#include "settings_bench.h"

#define TENANT "base_url = \"https://t.example/api\"; client_id = \"me\"; "
#define SECRET "client_secret = \"s\"; "

struct refusal {
	const char *text;
	const char *sentence;
};

static void refuses(const struct refusal *cases, size_t count, bool need_cognigy)
{
	for (size_t i = 0; i < count; i++) {
		struct settings settings;
		const char *sentence = bench_read(cases[i].text, need_cognigy, &settings);
		if (!*sentence)
			settings_fini(&settings);
		assert_string_equal(sentence, cases[i].sentence);
	}
}

#define REFUSES(cases, need) refuses(cases, ARRAY_SIZE(cases), need)

static void names_what_is_not_a_setting(void **state)
{
	(void)state;
	static const struct refusal CASES[] = {
		{ "kafka: {\n broker = \"a:1\"; };",
		  "h.conf:2: kafka.broker: there is no such setting; is kafka.brokers meant?" },
		{ "kafka: { Group = \"g\"; };",
		  "h.conf:1: kafka.Group: there is no such setting; is kafka.group meant?" },
		{ "log: { colour = true; };",
		  "h.conf:1: log.colour: there is no such setting; handoffd.conf(5) lists them" },
		{ "\n\nkafak: { };",
		  "h.conf:3: kafak: there is no such section; there are kafka, cognigy, tenants, limits, "
		  "retry, worker, admin and log" },
		{ "kafka = 5;", "h.conf:1: kafka: must be a section, { ... }" },
		{ "tenants = { };", "h.conf:1: tenants: must be a list of groups, ( { ... }, { ... } )" },
		{ "tenants = ( 5 );", "h.conf:1: tenants[0]: must be a group, { name = \"...\"; ... }" },
		{ "tenants = ( { name = \"a\"; },\n { name = \"b\"; burts = 5; } );",
		  "h.conf:2: tenants[1].burts: there is no such setting; handoffd.conf(5) lists them" },
		{ "tenants = ( { brokers = \"a\"; } );",
		  "h.conf:1: tenants[0].brokers: there is no such setting; handoffd.conf(5) lists them" },
		{ "cognigy: { name = \"a\"; };",
		  "h.conf:1: cognigy.name: there is no such setting; handoffd.conf(5) lists them" },
		{ "kafka: {\n group = \"a\";\n group = \"b\"; };", "h.conf:3: duplicate setting name" },
		{ "kafka: {\n group = \"a\"\n", "h.conf:3: syntax error" },
		{ "kafka: {\n group = \"a;\n};\n",
		  "h.conf:2: a text begins here and is not closed by a quote: put one at its end" },
		{ "kafka: {\n@include \"other.conf\"\n};",
		  "h.conf:2: @include is not supported: put all settings into one file" },
	};
	REFUSES(CASES, false);
}

static void names_a_wrong_type(void **state)
{
	(void)state;
	static const struct refusal CASES[] = {
		{ "kafka: { partitions = 1.0; };",
		  "h.conf:1: kafka.partitions: must be a whole number, not a number with a fraction" },
		{ "kafka: { partitions = \"12\"; };",
		  "h.conf:1: kafka.partitions: must be a whole number, not a text in quotes" },
		{ "kafka: { delivery = \"exactly\nonce\"; };",
		  "h.conf:1: kafka.delivery: must not contain control characters" },
		{ "kafka: { group = 5; };", "h.conf:1: kafka.group: must be a text in quotes, not a whole number" },
		{ "kafka: { delivery = true; };",
		  "h.conf:1: kafka.delivery: must be a text in quotes, not true or false" },
		{ "kafka: { create_topics = 1; };",
		  "h.conf:1: kafka.create_topics: must be true or false, not a whole number" },
		{ "kafka: { requests = \"a\"; };",
		  "h.conf:1: kafka.requests: must be a list of texts, [ \"...\" ], not a text in quotes" },
		{ "kafka: { requests = [ 1, 2 ]; };",
		  "h.conf:1: kafka.requests: must be a list of at most 256 texts, [ \"...\" ]" },
		{ "kafka: { group: { }; };", "h.conf:1: kafka.group: must be a value, not a group" },
		{ "kafka: { group = [ \"a\" ]; };",
		  "h.conf:1: kafka.group: must be a text in quotes, not a list of texts, [ \"...\" ]" },
		{ "limits: { requests_per_second = \"5\"; };",
		  "h.conf:1: limits.requests_per_second: must be a number, not a text in quotes" },
	};
	REFUSES(CASES, false);
}

static void names_the_bounds(void **state)
{
	(void)state;
	static const struct refusal CASES[] = {
		{ "kafka: { partitions = 0; };", "h.conf:1: kafka.partitions: must be between 1 and 10000, not 0" },
		{ "kafka: { commit_interval_ms = -1; };",
		  "h.conf:1: kafka.commit_interval_ms: must be between 1 and 10000 ms, not -1" },
		/* libconfig by itself would read 1, -1 and 0. */
		{ "kafka: { partitions = 4294967297; };",
		  "h.conf:1: kafka.partitions: must be between 1 and 10000, not 4294967297" },
		{ "kafka: { partitions = 99999999999999999999999; };",
		  "h.conf:1: kafka.partitions: must be between 1 and 10000, not 9223372036854775807" },
		{ "kafka: { partitions = 0x100000000; };",
		  "h.conf:1: kafka.partitions: must be between 1 and 10000, not 4294967296" },
		{ "kafka: { partitions = 5000000000L; };",
		  "h.conf:1: kafka.partitions: must be between 1 and 10000, not 5000000000" },
		{ "limits: { requests_per_second = -0.5; };",
		  "h.conf:1: limits.requests_per_second: must be between 0 and 1000000 calls/s, not -0.5" },
		{ "limits: { requests_per_second = 1e999; };",
		  "h.conf:1: limits.requests_per_second: must be between 0 and 1000000 calls/s, not inf" },
		{ "worker: { window = 63; };", "h.conf:1: worker.window: must be between 64 and 1000000, not 63" },
		{ "worker: { memory_mb = 15; };",
		  "h.conf:1: worker.memory_mb: must be between 16 and 1048576 MiB, not 15" },
		{ "retry: { budget_server = 0; };",
		  "h.conf:1: retry.budget_server: must be between 1 and 1000000, not 0" },
		{ "kafka: { delivery = \"twice\"; };",
		  "h.conf:1: kafka.delivery: must be \"at-least-once\" or \"exactly-once\", not \"twice\"" },
		{ "log: { level = \"INFO\"; };",
		  "h.conf:1: log.level: must be \"error\", \"warn\", \"info\" or \"debug\", not \"INFO\"" },
		{ "kafka: { group = \"\"; };", "h.conf:1: kafka.group: must not be empty" },
		{ "kafka: { requests = [ ]; };", "h.conf:1: kafka.requests: must not be empty" },
		{ "log: { redact = [ \"a\",\n \"\" ]; };", "h.conf:2: log.redact: must not contain an empty text" },
		{ "cognigy: { intent = \"a\nb\"; };", "h.conf:1: cognigy.intent: must not contain control characters" },
		{ "cognigy: { intent = \"\xff\"; };", "h.conf:1: cognigy.intent: must be UTF-8" },
	};
	REFUSES(CASES, false);
}

#define TOPIC_RULE "must be a topic's name: 1 to 249 of A-Z a-z 0-9 . _ - and neither \".\" nor \"..\""

static void names_a_wrong_form(void **state)
{
	(void)state;
	static const struct refusal CASES[] = {
		{ "kafka: { retry = \"a b\"; };", "h.conf:1: kafka.retry: " TOPIC_RULE },
		{ "kafka: { retry = \"..\"; };", "h.conf:1: kafka.retry: " TOPIC_RULE },
		{ "kafka: { requests = [ \"ok\",\n\"\xc3\xa4\" ]; };", "h.conf:2: kafka.requests: " TOPIC_RULE },
		{ "kafka: { brokers = \"a:1,,b:2\"; };",
		  "h.conf:1: kafka.brokers: must be HOST:PORT, comma-separated; \"\" is not one" },
		{ "kafka: { brokers = \"a:70000\"; };",
		  "h.conf:1: kafka.brokers: must be HOST:PORT, comma-separated; \"a:70000\" is not one" },
		{ "kafka: { brokers = \"a:1, b:1\"; };",
		  "h.conf:1: kafka.brokers: must be HOST:PORT, comma-separated, without blanks" },
		{ "kafka: { group = \"my group\"; };",
		  "h.conf:1: kafka.group: must be printable ASCII without blanks" },
		{ "kafka: { instance = \"a/b\"; };", "h.conf:1: kafka.instance: must consist of A-Z a-z 0-9 . _ -" },
		{ "admin: { listen = \"9464\"; };",
		  "h.conf:1: admin.listen: must be HOST:PORT (port 0: a free one), or \"\" for none" },
		{ "cognigy: { base_url = \"https://{tenant}.cognigy.com/api/v1\"; };",
		  "h.conf:1: cognigy.base_url: still holds a placeholder in braces: put the tenant's own name there" },
		{ "cognigy: { base_url = \"ftp://a/b\"; };",
		  "h.conf:1: cognigy.base_url: must begin with https:// or http://" },
		{ "cognigy: { base_url = \"https://a/b?c=d\"; };",
		  "h.conf:1: cognigy.base_url: must not have a query or a fragment" },
		{ "cognigy: { base_url = \"https://u:p@a/b\"; };",
		  "h.conf:1: cognigy.base_url: must not contain a user name: client_id and client_secret are settings "
		  "of "
		  "their own" },
		{ "cognigy: { base_url = \"https:///b\"; };",
		  "h.conf:1: cognigy.base_url: must name a host, and a port from 1 to 65535 if any" },
		{ "cognigy: { base_url = \"https://a b\"; };",
		  "h.conf:1: cognigy.base_url: must not contain blanks, non-ASCII or any of \" < > \\ ^ ` |" },
		{ "cognigy: { flow_path = \"flow\"; };", "h.conf:1: cognigy.flow_path: must begin with a slash" },
		{ "cognigy: { flow_path = \"/{flow}\"; };",
		  "h.conf:1: cognigy.flow_path: must have no other braces than {sessionId}, {userId} and {urlToken}" },
		{ "cognigy: { flow_path = \"/{urlToken\"; };",
		  "h.conf:1: cognigy.flow_path: must have no other braces than {sessionId}, {userId} and {urlToken}" },
		{ "cognigy: { update_path = \"/session\"; };",
		  "h.conf:1: cognigy.update_path: must contain {sessionId} once" },
		{ "cognigy: { session_path = \"/session\"; };",
		  "h.conf:1: cognigy.session_path: must contain {sessionId} once" },
		{ "cognigy: { session_path = \"/{a}/{sessionId}\"; };",
		  "h.conf:1: cognigy.session_path: must not contain blanks, non-ASCII, # or other braces than "
		  "{sessionId}" },
		{ "cognigy: { marker_variable = \"transferTarget\"; };",
		  "h.conf:1: cognigy.marker_variable: must not be \"transferTarget\", which every handoff sets "
		  "itself" },
		{ "tenants = ( { name = \"a b\"; } );",
		  "h.conf:1: tenants[0].name: must be 1 to 64 of A-Z a-z 0-9 . _ -" },
	};
	REFUSES(CASES, false);
}

static void names_what_does_not_fit_together(void **state)
{
	(void)state;
	static const struct refusal CASES[] = {
		{ "kafka: { retry = \"handoff.requests\"; };",
		  "h.conf:1: kafka.retry: \"handoff.requests\" must not be both kafka.requests and kafka.retry: give "
		  "each a topic of its own" },
		{ "kafka: {\n requests = [ \"handoff.dlq\" ]; };",
		  "h.conf:2: kafka.requests: \"handoff.dlq\" must not be both kafka.requests and kafka.dead_letters: "
		  "give each a topic of its own" },
		{ "kafka: { outcomes = \"handoff.dlq\"; };",
		  "h.conf:1: kafka.outcomes: \"handoff.dlq\" must not be both kafka.outcomes and kafka.dead_letters: "
		  "give each a topic of its own" },
		{ "kafka: { requests = [ \"a\",\n \"a\" ]; };",
		  "h.conf:2: kafka.requests: names \"a\" twice: leave one of them" },
		{ "kafka: { properties = [ \"linger.ms=1\", \"linger.ms=2\" ]; };",
		  "h.conf:1: kafka.properties: linger.ms is set twice: leave one of them" },
		{ "kafka: { static_membership = true; };",
		  "h.conf:1: kafka.static_membership: needs kafka.instance: a name that comes back after a restart" },
		{ "worker: { revoke_ms = 15000; };",
		  "h.conf:1: worker.revoke_ms: must be below session.timeout.ms (15000), not "
		  "15000: the whole group waits for it" },
		{ "kafka: { properties = [ \"session.timeout.ms=90000\", \"max.poll.interval.ms=80000\" ]; };",
		  "h.conf:1: kafka.properties: max.poll.interval.ms (80000) must not be below session.timeout.ms "
		  "(90000)" },
		{ "kafka: { properties = [ \"heartbeat.interval.ms=20000\" ]; };",
		  "h.conf:1: kafka.properties: heartbeat.interval.ms (20000) must be below session.timeout.ms "
		  "(15000)" },
		{ "kafka: { properties = [ \"session.timeout.ms=4000\", \"max.poll.interval.ms=5000\" ]; };",
		  "h.conf:1: kafka.properties: max.poll.interval.ms (5000) must be above worker.revoke_ms (5000)" },
		{ "kafka: { commit_interval_ms = 2000; properties = [ \"transaction.timeout.ms=2000\" ]; };",
		  "h.conf:1: kafka.commit_interval_ms: kafka.commit_interval_ms (2000) must be below "
		  "transaction.timeout.ms "
		  "(2000)" },
		{ "retry: {\n max_delay_ms = 500; };", "h.conf:2: retry.max_delay_ms: retry.base_delay_ms (1000) must "
						       "not be above retry.max_delay_ms (500)" },
		{ "worker: { memory_mb = 16; max_record_bytes = 5000000; };",
		  "h.conf:1: worker.max_record_bytes: worker.max_record_bytes (5000000) must not be above a quarter of "
		  "worker.memory_mb (16 MiB)" },
		{ "limits: { burst = 5; };",
		  "h.conf:1: limits.burst: needs limits.requests_per_second: set it, or leave burst out" },
		{ "cognigy: { client_cert = \"c\"; };",
		  "h.conf:1: cognigy.client_cert: needs client_key: the two go together" },
		{ "cognigy: { client_key = \"c\"; };",
		  "h.conf:1: cognigy.client_key: needs client_cert: the two go together" },
		{ "tenants = ( { base_url = \"https://a\"; } );",
		  "h.conf:1: tenants[0].name: is missing: give each tenant one" },
		{ "tenants = ( { name = \"a\"; },\n { name = \"a\"; } );",
		  "h.conf:2: tenants[1].name: \"a\" is the name of tenants[0] already: give each its own" },
		{ "tenants = ( { name = \"a\";\n burst = 3; } );",
		  "h.conf:2: tenants[0].burst: needs limits.requests_per_second: set it, or leave burst out" },
	};
	REFUSES(CASES, false);
}

static void names_what_no_login_can_do_with(void **state)
{
	(void)state;
	static const struct refusal CASES[] = {
		{ "kafka: { properties = [ \"security.protocol=ssl\",\n\"ssl.certificate.location=nowhere\" ]; };",
		  "h.conf:1: kafka.properties: ssl.certificate.location: nowhere cannot be read: No such file or "
		  "directory" },
		{ "kafka: { properties = [ \"security.protocol=sasl_ssl\", \"sasl.mechanism=PLAIN\" ]; };",
		  "h.conf:1: kafka.properties: kafka client: sasl.username and sasl.password must be set" },
		{ "kafka: { properties = [ \"sasl.mechanism=OAUTHBEARER\" ]; };",
		  "h.conf:1: kafka.properties: sasl.mechanism OAUTHBEARER takes the token from a file: set "
		  "sasl.oauthbearer.config=token_file=PATH" },
		{ "kafka: { properties = [ \"sasl.mechanisms=OAUTHBEARER\", \"sasl.oauthbearer.config=file=x\" ]; };",
		  "h.conf:1: kafka.properties: sasl.mechanism OAUTHBEARER takes the token from a file: set "
		  "sasl.oauthbearer.config=token_file=PATH" },
	};
	REFUSES(CASES, false);
}

static void names_missing_credentials(void **state)
{
	(void)state;
	bench_write("empty", " \n", 2);
	bench_write("multiline", "a\nb\n", 4);
	static const struct refusal CASES[] = {
		{ "",
		  "h.conf: cognigy.base_url: is missing: give it, or HANDOFFD_COGNIGY_BASE_URL in the environment" },
		{ NULL, "cognigy.base_url: is missing: give it, or HANDOFFD_COGNIGY_BASE_URL in the environment" },
		{ "\ncognigy: { base_url = \"https://a\"; };",
		  "h.conf:2: cognigy.client_id: is missing: give it, or COGNIGY_CLIENT_ID in the environment" },
		{ "cognigy: { " TENANT "};", "h.conf:1: cognigy.client_secret: is missing: give it, or "
					     "client_secret_file, or COGNIGY_CLIENT_SECRET or "
					     "COGNIGY_CLIENT_SECRET_FILE in the environment" },
		{ "cognigy: { " TENANT SECRET "client_secret_file = \"secret\"; };",
		  "h.conf:1: cognigy.client_secret_file: must not stand beside client_secret: give one of them" },
		{ "cognigy: { " TENANT "\n client_secret_file = \"nowhere\"; };",
		  "h.conf:2: cognigy.client_secret_file: nowhere cannot be read: No such file or directory" },
		{ "cognigy: { " TENANT "\n client_secret_file = \"/\"; };",
		  "h.conf:2: cognigy.client_secret_file: / cannot be read: Is a directory" },
		{ "cognigy: { " TENANT "\n client_secret_file = \"empty\"; };",
		  "h.conf:2: cognigy.client_secret_file: empty holds no secret: it is empty" },
		{ "cognigy: { " TENANT "\n client_secret_file = \"multiline\"; };",
		  "h.conf:2: cognigy.client_secret_file: multiline holds no secret: there are control characters in "
		  "it" },
		{ "cognigy: { " TENANT SECRET "auth = \"oauth2\"; };",
		  "h.conf:1: cognigy.token_url: is missing: cognigy.auth needs it" },
		{ "cognigy: { base_url = \"https://a\"; profile = \"cognigy-ai\"; };",
		  "h.conf:1: cognigy.endpoint_url: is missing: give the host of the tenant's endpoints, or flow_path = "
		  "\"/v2.0/endpoint/inject\" for the API's own call, which is deprecated" },
		{ "cognigy: { base_url = \"https://a\"; endpoint_url = \"https://e\"; profile = \"cognigy-ai\"; };",
		  "h.conf:1: cognigy.client_secret: is missing: give it, or client_secret_file, or "
		  "COGNIGY_CLIENT_SECRET or COGNIGY_CLIENT_SECRET_FILE in the environment" },
		{ "cognigy: { " TENANT SECRET "endpoint_url = \"https://e\"; profile = \"cognigy-ai\";\nretrigger = "
		  "\"keyed\"; };",
		  "h.conf:2: cognigy.retrigger: must be \"never\" for a tenant of this profile, whose calls carry no "
		  "Idempotency-Key: a second trigger could ring a second agent" },
		{ "cognigy: { " TENANT SECRET "retrigger = \"keyed\"; };\ntenants = ( { name = \"a\"; }, { name = "
		  "\"b\"; profile = \"cognigy-ai\"; endpoint_url = \"https://e\"; } );",
		  "h.conf:1: cognigy.retrigger: must be \"never\" for a tenant of this profile, whose calls carry no "
		  "Idempotency-Key: a second trigger could ring a second agent" },
		{ "cognigy: { " TENANT SECRET "ca_file = \"nowhere\"; };",
		  "h.conf:1: cognigy.ca_file: nowhere cannot be read: No such file or directory" },
		{ "cognigy: { " TENANT "};\ntenants = (\n{ name = \"a\"; " SECRET "}, { name = \"b\"; } );",
		  "h.conf:3: tenants[1].client_secret: is missing: give it, or client_secret_file, or "
		  "COGNIGY_CLIENT_SECRET "
		  "or COGNIGY_CLIENT_SECRET_FILE in the environment" },
	};
	REFUSES(CASES, true);
}

static void names_a_file_that_is_none(void **state)
{
	(void)state;
	static const struct {
		const char *file;
		const char *sentence;
	} CASES[] = {
		{ "nowhere.conf", "nowhere.conf: cannot be read: No such file or directory" },
		/* Given these, libconfig 1.5 ends the process, or never comes back. */
		{ ".", ".: cannot be read: Is a directory" },
		{ "/dev/zero", "/dev/zero: cannot be read: it is not a regular file" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
		struct settings settings;
		struct buf error;
		buf_init(&error, 1024);
		assert_int_equal(settings_read(CASES[i].file, false, &settings, &error), -EINVAL);
		assert_string_equal(buf_text(&error), CASES[i].sentence);
		buf_fini(&error);
	}
}

static void refuses_a_nul_byte(void **state)
{
	(void)state;
	struct settings settings;
	struct buf error;
	buf_init(&error, 1024);
	bench_write("h.conf", "kafka: {};\n\0nonsense", 20);
	assert_int_equal(settings_read("h.conf", false, &settings, &error), -EINVAL);
	assert_string_equal(buf_text(&error), "h.conf:2: the file holds a NUL byte: save it as UTF-8 text");
	buf_fini(&error);
}

/* No sentence may repeat a secret, wherever it was written. */
static void keeps_secrets_to_itself(void **state)
{
	(void)state;
	static const char *const CASES[] = {
		"cognigy: { client_secret = \"hush\n\"; };",
		"cognigy: { " TENANT "client_secret = \"hush\"; client_secret_file = \"secret\"; };",
		"kafka: { properties = [ \"sasl.password=hush\", \"sasl.password=hush\" ]; };",
		"kafka: { properties = [ \"sasl.passwort=hush\" ]; };",
		"kafka: { properties = [ \"linger.ms=hush\" ]; };",
		"kafka: { properties = [ \"hush\" ]; };",
		"cognigy: { base_url = \"https://user:hush@host\"; };",
	};
	for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
		struct settings settings;
		const char *sentence = bench_read(CASES[i], false, &settings);
		assert_string_not_equal(sentence, "");
		assert_null(strstr(sentence, "hush"));
	}
}

int main(void)
{
	static const struct CMUnitTest TESTS[] = {
		cmocka_unit_test_setup(names_what_is_not_a_setting, bench_clean),
		cmocka_unit_test_setup(names_a_wrong_type, bench_clean),
		cmocka_unit_test_setup(names_the_bounds, bench_clean),
		cmocka_unit_test_setup(names_a_wrong_form, bench_clean),
		cmocka_unit_test_setup(names_what_does_not_fit_together, bench_clean),
		cmocka_unit_test_setup(names_what_no_login_can_do_with, bench_clean),
		cmocka_unit_test_setup(names_missing_credentials, bench_clean),
		cmocka_unit_test_setup(names_a_file_that_is_none, bench_clean),
		cmocka_unit_test_setup(refuses_a_nul_byte, bench_clean),
		cmocka_unit_test_setup(keeps_secrets_to_itself, bench_clean),
	};
	return cmocka_run_group_tests(TESTS, bench_open, bench_close);
}
