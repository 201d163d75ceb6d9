#include "worker/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "doors/kafka_trial.h"

#define BROKER_TIME  (5 * USEC_PER_SEC)
#define BROKERS_TIME (20 * USEC_PER_SEC)

void check_say(struct check *check, enum check_mark mark, const char *subject, const char *name, const char *format,
	       ...)
{
	static const char *const marks[] = { [CHECK_OK] = "ok", [CHECK_WARN] = "warn", [CHECK_FAIL] = "FAIL" };
	va_list args;
	check->failed = check->failed || mark == CHECK_FAIL;
	printf("%-6s%s%s%s: ", marks[mark], subject, *name ? " " : "", name);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout); /* the next may take seconds */
}

static void say_broker(struct check *check, const struct kafka_trial_broker *broker, bool others_answer)
{
	if (broker->answers)
		check_say(check, CHECK_OK, "broker", broker->address, "answers");
	else if (broker->advertised)
		check_say(check, CHECK_FAIL, "broker", broker->address,
			  "the cluster names it, but it cannot be used from here: %s", broker->fault.message);
	else
		check_say(check, others_answer ? CHECK_WARN : CHECK_FAIL, "broker", broker->address, "%s",
			  broker->fault.message);
}

/* False when none answers. */
static bool check_brokers(struct check *check, const struct kafka_options *options)
{
	static struct kafka_trial_brokers brokers; /* large */
	bool any = false;
	kafka_trial_brokers(options, BROKER_TIME, BROKERS_TIME, &brokers);
	for (size_t i = 0; i < brokers.count; i++)
		any = any || brokers.items[i].answers;
	for (size_t i = 0; i < brokers.count; i++)
		say_broker(check, &brokers.items[i], any);
	return any;
}

int check_run(const struct settings *settings)
{
	struct check check = { .settings = settings };
	const struct kafka_options options = settings_kafka_options(settings);
	if (check_brokers(&check, &options))
		check_kafka(&check, &options);
	else
		check_say(&check, CHECK_FAIL, "topics", "", "not asked, for no broker answers: mend that first");
	check_cognigy(&check);
	return check.failed || ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
