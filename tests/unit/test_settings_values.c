/* settings: which value holds, the environment, tenants, secrets, printing, and config/handoffd.conf */
#include "settings_bench.h"

#include "doors/settings_table.h"
#include "handoff/contract.h"
#include "torture.h"

#define TENANT "base_url = \"https://t.example/api\"; client_id = \"me\"; "
#define SECRET "client_secret = \"s\"; "

static void accepts(const char *text, bool need_cognigy, struct settings *ret)
{
	assert_string_equal(bench_read(text, need_cognigy, ret), "");
}

static void has_the_contract_s_defaults(void **state)
{
	(void)state;
	struct settings s;
	accepts(NULL, false, &s);
	assert_string_equal(s.kafka.brokers, "localhost:9092");
	assert_string_equal(s.kafka.group, "handoffd");
	assert_int_equal(s.kafka.requests.count, 1);
	assert_string_equal(s.kafka.requests.items[0], "handoff.requests");
	assert_true(s.kafka.exactly_once);
	assert_int_equal(s.kafka.commit_interval_ms, 50);
	assert_int_equal(s.tenant_count, 1);
	assert_string_equal(s.tenants[0].name, "default");
	assert_string_equal(s.tenants[0].session_path, "/session/{sessionId}");
	assert_true(s.tenants[0].retrigger_keyed && s.tenants[0].preserve_media_stream);
	assert_int_equal(s.tenants[0].trigger_timeout_ms, 15000);
	assert_int_equal(s.retry.budgets[BUDGET_RATE_LIMITED], 20);
	assert_int_equal(s.retry.budgets[BUDGET_LOCKED], 30);
	assert_int_equal(s.retry.budgets[BUDGET_SERVER], 3);
	assert_int_equal(s.retry.budgets[BUDGET_TIMEOUT], 5);
	assert_int_equal(s.worker.max_record_bytes, 524288);
	assert_string_equal(s.admin_listen, "127.0.0.1:9464");
	assert_int_equal(s.log_level, LOG_INFO);
	assert_int_equal(s.log_format, LOG_JSON);
	assert_int_equal(s.redact.count, 3);
	settings_fini(&s);
}

static void reads_every_type_from_the_file(void **state)
{
	(void)state;
	struct settings s;
	accepts("# comment @include\nkafka: { requests = ( \"high\", \"low\" ); delivery = \"at-least-once\"; "
		"create_topics = TRUE;\n"
		"partitions = 0x10; /* 99999999999\n \"*/ properties = [ \"linger.ms=7\" ]; };\n"
		"limits: { requests_per_second = 5; burst = 10L; }; retry: { max_age_ms = 604800000; };\n"
		"worker = { drain_ms = 0; }; log: { level = \"debug\"; format = \"te\" \"xt\"; redact = [ ]; };\n"
		"admin: { listen = \"\"; };",
		false, &s);
	assert_int_equal(s.kafka.requests.count, 2);
	assert_string_equal(s.kafka.requests.items[1], "low");
	assert_false(s.kafka.exactly_once);
	assert_true(s.kafka.create_topics);
	assert_int_equal(s.kafka.partitions, 16);
	assert_string_equal(s.kafka.properties.items[0], "linger.ms=7");
	assert_true(s.tenants[0].requests_per_second == 5.0);
	assert_int_equal(s.tenants[0].burst, 10);
	assert_int_equal(s.retry.max_age_ms, 604800000);
	assert_int_equal(s.worker.drain_ms, 0);
	assert_int_equal(s.log_level, LOG_DEBUG);
	assert_int_equal(s.log_format, LOG_TEXT);
	assert_int_equal(s.redact.count, 0);
	assert_string_equal(s.admin_listen, "");
	settings_fini(&s);
}

static void names_an_instance_for_who_has_none(void **state)
{
	(void)state;
	struct settings a;
	struct settings b;
	accepts(NULL, false, &a);
	accepts("kafka: { instance = \"\"; };", false, &b);
	assert_string_not_equal(a.kafka.instance, "");
	assert_string_not_equal(a.kafka.instance, b.kafka.instance);
	settings_fini(&a);
	settings_fini(&b);
	accepts("kafka: { instance = \"one\"; static_membership = true; };", false, &a);
	assert_string_equal(a.kafka.instance, "one");
	settings_fini(&a);
}

static void the_environment_beats_the_file(void **state)
{
	(void)state;
	struct settings s;
	setenv("HANDOFFD_KAFKA_BROKERS", "env:1", 1);
	setenv("HANDOFFD_KAFKA_REQUESTS", "a,b", 1);
	setenv("HANDOFFD_KAFKA_PROPERTIES", "sasl.password=a\\,b,linger.ms=1", 1);
	setenv("HANDOFFD_KAFKA_CREATE_TOPICS", "true", 1);
	setenv("HANDOFFD_LIMITS_REQUESTS_PER_SECOND", "2.5", 1);
	setenv("HANDOFFD_RETRY_MAX_AGE_MS", "5000", 1);
	setenv("HANDOFFD_LOG_REDACT", "", 1);
	accepts("kafka: { brokers = \"file:1\"; group = \"g\"; };", false, &s);
	assert_string_equal(s.kafka.brokers, "env:1");
	assert_string_equal(s.kafka.group, "g");
	assert_int_equal(s.kafka.requests.count, 2);
	assert_string_equal(s.kafka.properties.items[0], "sasl.password=a,b");
	assert_string_equal(s.kafka.properties.items[1], "linger.ms=1");
	assert_true(s.kafka.create_topics);
	assert_true(s.tenants[0].requests_per_second == 2.5);
	assert_int_equal(s.retry.max_age_ms, 5000);
	assert_int_equal(s.redact.count, 0);
	settings_fini(&s);
}

static void the_environment_is_refused_by_name(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		const char *value;
		const char *sentence;
	} CASES[] = {
		{ "HANDOFFD_KAFKA_PARTITIONS", "1e3", "HANDOFFD_KAFKA_PARTITIONS: must be a whole number" },
		{ "HANDOFFD_KAFKA_PARTITIONS", " 5", "HANDOFFD_KAFKA_PARTITIONS: must be a whole number" },
		{ "HANDOFFD_KAFKA_PARTITIONS", "0", "HANDOFFD_KAFKA_PARTITIONS: must be between 1 and 10000, not 0" },
		{ "HANDOFFD_KAFKA_CREATE_TOPICS", "yes", "HANDOFFD_KAFKA_CREATE_TOPICS: must be true or false" },
		{ "HANDOFFD_LIMITS_REQUESTS_PER_SECOND", "inf",
		  "HANDOFFD_LIMITS_REQUESTS_PER_SECOND: must be a number" },
		{ "HANDOFFD_LIMITS_BURST", "3",
		  "HANDOFFD_LIMITS_BURST: needs limits.requests_per_second: set it, or leave burst out" },
		{ "HANDOFFD_KAFKA_REQUESTS", "", "HANDOFFD_KAFKA_REQUESTS: must not be empty" },
		{ "HANDOFFD_KAFKA_REQUESTS", "a,,b", "HANDOFFD_KAFKA_REQUESTS: must not contain an empty text" },
		{ "HANDOFFD_KAFKA_BROKER", "a", "HANDOFFD_KAFKA_BROKER: there is no setting kafka.broker" },
		{ "HANDOFFD_TENANTS_NAME", "a", "HANDOFFD_TENANTS_NAME: there is no setting tenants.name" },
		{ "COGNIGY_CLIENT_SECRET_FILE", "nowhere",
		  "COGNIGY_CLIENT_SECRET_FILE: nowhere cannot be read: No such file or directory" },
		/* Accepted: not ours, or told by Kubernetes about a service of that name. */
		{ "HANDOFFD_IMAGE", "a", "" },
		{ "HANDOFFD_SERVICE_HOST", "10.0.0.1", "" },
		{ "HANDOFFD_KAFKA_SERVICE_PORT_TCP", "9092", "" },
		{ "HANDOFFD_KAFKA_PORT", "tcp://10.0.0.1:9092", "" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
		struct settings s;
		clearenv();
		setenv(CASES[i].name, CASES[i].value, 1);
		const bool of_secret = strstr(CASES[i].name, "SECRET") != NULL;
		const char *sentence = bench_read("cognigy: { " TENANT "};", of_secret, &s);
		assert_string_equal(sentence, CASES[i].sentence);
		if (!*sentence)
			settings_fini(&s);
	}
}

static void one_secret_takes_the_place_of_another(void **state)
{
	(void)state;
	struct settings s;
	bench_write("secret", "from a file \r\n", 14);
	const char *in_file = "cognigy: { " TENANT "client_secret_file = \"nowhere\"; };";
	setenv("COGNIGY_CLIENT_SECRET", "short", 1);
	accepts(in_file, true, &s);
	assert_string_equal(s.tenants[0].client_secret, "short");
	assert_string_equal(s.tenants[0].client_secret_file, "");
	settings_fini(&s);
	setenv("HANDOFFD_COGNIGY_CLIENT_SECRET", "long", 1);
	accepts(in_file, true, &s);
	assert_string_equal(s.tenants[0].client_secret, "long");
	settings_fini(&s);
	setenv("COGNIGY_CLIENT_SECRET_FILE", "secret", 1);
	assert_string_equal(bench_read(in_file, true, &s),
			    "COGNIGY_CLIENT_SECRET_FILE: must not stand beside client_secret: give one of them");
	clearenv();
	setenv("COGNIGY_CLIENT_SECRET_FILE", "secret", 1);
	accepts("cognigy: { " TENANT "client_secret = \"hush\"; };", true, &s);
	assert_string_equal(s.tenants[0].client_secret, "");
	assert_string_equal(s.tenants[0].client_secret_file, "secret");
	settings_fini(&s);
}

static void the_secret_file_is_read_each_time(void **state)
{
	(void)state;
	struct settings s;
	struct buf secret;
	struct buf error;
	buf_init(&secret, 4096);
	buf_init(&error, 4096);
	bench_write("secret", "one\n", 4);
	accepts("cognigy: { " TENANT "client_secret_file = \"secret\"; };", true, &s);
	assert_int_equal(settings_secret(&s.tenants[0], &secret, &error), 0);
	assert_string_equal(buf_text(&secret), "one");
	bench_write("secret", "two", 3);
	buf_reset(&secret);
	assert_int_equal(settings_secret(&s.tenants[0], &secret, &error), 0);
	assert_string_equal(buf_text(&secret), "two");
	unlink("secret");
	buf_reset(&secret);
	assert_int_equal(settings_secret(&s.tenants[0], &secret, &error), -ENOENT);
	assert_string_equal(buf_text(&error), "secret cannot be read: No such file or directory");
	assert_string_equal(buf_text(&secret), "");
	settings_fini(&s);
	buf_fini(&secret);
	buf_fini(&error);
}

/* The profile's defaults are its own; what is given stays, be it the other profile's default. */
static void each_profile_has_its_defaults(void **state)
{
	(void)state;
	struct settings s;
	accepts("cognigy: { " TENANT SECRET "profile = \"cognigy-ai\"; };\n"
		"tenants = ( { name = \"a\"; endpoint_url = \"http://e/\"; },\n"
		"            { name = \"b\"; flow_path = \"/v2.0/endpoint/inject\"; auth = \"bearer\"; },\n"
		"            { name = \"c\"; profile = \"seed-v1\"; },\n"
		"            { name = \"d\"; flow_path = \"/flow\"; auth = \"login\"; session_path = "
		"\"/session/{sessionId}\"; } );",
		true, &s);
	assert_string_equal(s.tenants[0].endpoint_url, "http://e");
	assert_string_equal(s.tenants[0].session_path, "/v2.0/conversations/{sessionId}");
	assert_string_equal(s.tenants[0].update_path, "/v2.0/sessions/{sessionId}/context/inject");
	assert_string_equal(s.tenants[0].flow_path, "/inject/{urlToken}");
	assert_int_equal(s.tenants[0].auth, CREDENTIAL_API_KEY);
	assert_false(s.tenants[0].retrigger_keyed);
	assert_string_equal(s.tenants[1].flow_path, "/v2.0/endpoint/inject");
	assert_int_equal(s.tenants[1].auth, CREDENTIAL_BEARER);
	assert_int_equal(s.tenants[2].profile, PROFILE_SEED_V1);
	assert_string_equal(s.tenants[2].session_path, "/session/{sessionId}");
	assert_string_equal(s.tenants[2].flow_path, "/flow");
	assert_int_equal(s.tenants[2].auth, CREDENTIAL_LOGIN);
	assert_true(s.tenants[2].retrigger_keyed);
	assert_string_equal(s.tenants[3].session_path, "/session/{sessionId}");
	assert_string_equal(s.tenants[3].update_path, "/v2.0/sessions/{sessionId}/context/inject");
	assert_string_equal(s.tenants[3].flow_path, "/flow");
	assert_int_equal(s.tenants[3].auth, CREDENTIAL_LOGIN);
	assert_false(s.tenants[3].retrigger_keyed);
	settings_fini(&s);
}

static void a_tenant_begins_as_the_sections_are(void **state)
{
	(void)state;
	struct settings s;
	accepts("cognigy: { " TENANT "client_secret = \"s\"; intent = \"all\"; };\n"
		"limits: { max_in_flight = 7; requests_per_second = 3.0; };\n"
		"tenants = ( { name = \"a\"; intent = \"mine\"; base_url = \"http://a:8080//\"; },\n"
		"            { name = \"b\"; max_in_flight = 9; burst = 2; client_secret_file = \"/dev/null\"; } );",
		false, &s);
	assert_int_equal(s.tenant_count, 2);
	assert_string_equal(s.tenants[0].name, "a");
	assert_string_equal(s.tenants[0].base_url, "http://a:8080");
	assert_string_equal(s.tenants[0].intent, "mine");
	assert_int_equal(s.tenants[0].max_in_flight, 7);
	assert_string_equal(s.tenants[0].client_secret, "s");
	assert_string_equal(s.tenants[1].name, "b");
	assert_string_equal(s.tenants[1].base_url, "https://t.example/api");
	assert_string_equal(s.tenants[1].intent, "all");
	assert_int_equal(s.tenants[1].max_in_flight, 9);
	assert_true(s.tenants[1].requests_per_second == 3.0);
	assert_string_equal(s.tenants[1].client_secret, "");
	assert_string_equal(s.tenants[1].client_secret_file, "/dev/null");
	settings_fini(&s);
}

/* Without a file, for libconfig does not look at what its allocations return. */
static void survives_each_failing_allocation(void **state)
{
	(void)state;
	bool struck = true;
	setenv("HANDOFFD_LOG_REDACT", "a,b", 1);
	for (long n = 0; struck; n++) {
		struct settings s;
		struct buf error;
		buf_init(&error, 4096);
		torture_after(n);
		const int r = settings_read(NULL, false, &s, &error);
		struck = torture_end();
		assert_int_equal(r, struck ? -EINVAL : 0);
		if (r == 0)
			settings_fini(&s);
		else
			assert_true(!buf_ok(&error) || strstr(buf_text(&error), "out of memory"));
		buf_fini(&error);
	}
}

/* --- printing --- */

static char *printed(const struct settings *s)
{
	struct buf out;
	buf_init(&out, 1 << 20);
	settings_print(s, &out);
	assert_true(buf_ok(&out));
	char *text = buf_take(&out, NULL);
	assert_non_null(text);
	return text;
}

static void prints_what_it_would_accept_and_no_secret(void **state)
{
	(void)state;
	static const char *const CASES[] = {
		"",
		"cognigy: { " TENANT "client_secret = \"hush\"; text = \"a \\\"b\\\" \\\\ c\"; };",
		"tenants = ( { name = \"a\"; " TENANT "client_secret = \"hush\"; }, { name = \"b\"; } );",
		"limits: { requests_per_second = 0.1; };",
		"limits: { requests_per_second = 1e-300; };",
		"kafka: { properties = [ \"sasl.password=hush\", \"ssl.key.password=hush\", \"linger.ms=3\" ]; };",
		"kafka: { properties = [ \"ssl.keystore.password=hush\", \"sasl.oauthbearer.config=hush\" ]; };",
		"kafka = { properties = [\"sasl.mechanism=OAUTHBEARER\", \"sasl.oauthbearer.config=token_file=f\"]; };",
	};
	setenv("HANDOFFD_KAFKA_INSTANCE", "one", 1);
	for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
		struct settings s;
		accepts(CASES[i], false, &s);
		char *first = printed(&s);
		assert_null(strstr(first, "hush"));
		assert_true(!strstr(CASES[i], "hush") || strstr(first, "***"));
		settings_fini(&s);
		accepts(first, false, &s);
		char *second = printed(&s);
		assert_string_equal(first, second);
		settings_fini(&s);
		free(first);
		free(second);
	}
}

/* --- config/handoffd.conf --- */

/* The file's text, with "#" and runs of white space as one blank each. */
static char *example_words(const char *text)
{
	char *words = calloc(1, strlen(text) + 1);
	assert_non_null(words);
	char *to = words;
	for (; *text; text++) {
		const bool blank = strchr(" \t\n#", *text);
		if (!blank)
			*to++ = *text;
		else if (to > words && to[-1] != ' ')
			*to++ = ' ';
	}
	return words;
}

static char *example_text(char *path, size_t size)
{
	/* tests/unit/THIS: two folders below the project's. */
	snprintf(path, size, "%s", __FILE__);
	for (int i = 0; i < 3; i++)
		*strrchr(path, '/') = '\0';
	strcat(path, "/config/handoffd.conf");
	char *text = calloc(1, 65536);
	FILE *file = fopen(path, "r");
	assert_non_null(text);
	assert_non_null(file);
	assert_in_range(fread(text, 1, 65535, file), 1, 65534);
	fclose(file);
	return text;
}

static void the_example_is_the_defaults(void **state)
{
	(void)state;
	char path[4096];
	struct settings defaults;
	struct settings example;
	struct buf error;
	buf_init(&error, 4096);
	free(example_text(path, sizeof(path)));
	setenv("HANDOFFD_KAFKA_INSTANCE", "one", 1);
	accepts(NULL, false, &defaults);
	assert_int_equal(settings_read(path, false, &example, &error), 0);
	char *a = printed(&defaults);
	char *b = printed(&example);
	assert_string_equal(a, b);
	free(a);
	free(b);
	settings_fini(&defaults);
	settings_fini(&example);
	buf_fini(&error);
}

static bool is_required(const struct setting *setting)
{
	return !strcmp(setting->section, "tenants") || !strcmp(setting->key, "base_url") ||
	       !strncmp(setting->key, "client_id", 9) || !strncmp(setting->key, "client_secret", 13);
}

/* How the comment of a setting must begin; the defaults themselves are compared above. */
static void add_comment(struct buf *out, const struct setting *setting)
{
	buf_add_text(out, setting->sentence);
	if (setting->type == SETTING_INT || setting->type == SETTING_NUMBER)
		buf_add_format(out, " [%lld to %lld%s%s, default %s]", (long long)setting->min, (long long)setting->max,
			       *setting->unit ? " " : "", setting->unit, setting->fallback);
	else if (setting->type == SETTING_CHOICE)
		buf_add_format(out, " [\"%s\"", setting->choices[0]);
	else if (!is_required(setting))
		buf_add_text(out, " [default ");
}

static void the_example_explains_every_key(void **state)
{
	(void)state;
	char path[4096];
	char *text = example_text(path, sizeof(path));
	char *words = example_words(text);
	for (size_t i = 0; i < settings_table_count; i++) {
		const struct setting *setting = &settings_table[i];
		struct buf expected;
		buf_init(&expected, 4096);
		add_comment(&expected, setting);
		if (!strstr(words, buf_text(&expected)))
			fail_msg("config/handoffd.conf lacks of %s.%s: %s", setting->section, setting->key,
				 buf_text(&expected));
		buf_reset(&expected);
		/* What a profile sets is no default to be copied: it stands there as a comment. */
		if (setting->cognigy_ai)
			buf_add_format(&expected, " %s = \"%s\";", setting->key, setting->fallback);
		else
			buf_add_format(&expected, " %s = ", setting->key);
		assert_non_null(strstr(words, buf_text(&expected)));
		buf_fini(&expected);
	}
	free(words);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest TESTS[] = {
		cmocka_unit_test_setup(has_the_contract_s_defaults, bench_clean),
		cmocka_unit_test_setup(reads_every_type_from_the_file, bench_clean),
		cmocka_unit_test_setup(names_an_instance_for_who_has_none, bench_clean),
		cmocka_unit_test_setup(the_environment_beats_the_file, bench_clean),
		cmocka_unit_test_setup(the_environment_is_refused_by_name, bench_clean),
		cmocka_unit_test_setup(one_secret_takes_the_place_of_another, bench_clean),
		cmocka_unit_test_setup(the_secret_file_is_read_each_time, bench_clean),
		cmocka_unit_test_setup(each_profile_has_its_defaults, bench_clean),
		cmocka_unit_test_setup(a_tenant_begins_as_the_sections_are, bench_clean),
		cmocka_unit_test_setup(survives_each_failing_allocation, bench_clean),
		cmocka_unit_test_setup(prints_what_it_would_accept_and_no_secret, bench_clean),
		cmocka_unit_test_setup(the_example_is_the_defaults, bench_clean),
		cmocka_unit_test_setup(the_example_explains_every_key, bench_clean),
	};
	return cmocka_run_group_tests(TESTS, bench_open, bench_close);
}
