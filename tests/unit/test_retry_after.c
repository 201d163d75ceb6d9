/* retry_after: how long a server asks us to wait, and how long we wait when it does not say */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "rules/retry_after.h"

#define NOW INT64_C(1700000000000) /* Tue, 14 Nov 2023 22:13:20 GMT */

static void test_seconds(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ms;
	} table[] = {
		{ "0", 0 },
		{ "1", 1000 },
		{ "120", 120000 },
		{ "007", 7000 },
		{ " 5\t", 5000 },
		{ "86400", RETRY_AFTER_MAX_MS },
		{ "86401", RETRY_AFTER_MAX_MS },
		{ "9223372036854775807", RETRY_AFTER_MAX_MS },
		{ "99999999999999999999999999999999999999", RETRY_AFTER_MAX_MS },
		/* Not in the RFC, but clear; never earlier than asked. */
		{ "1.5", 1500 },
		{ "0.0001", 1 },
		{ "2.0000", 2000 },
		{ "2.0009", 2001 },
		{ "2.", -1 },
		{ ".5", -1 },
		{ "1.5.1", -1 },
		{ "", -1 },
		{ " ", -1 },
		{ "-5", -1 },
		{ "+7", -1 },
		{ "1e9", -1 },
		{ "0x10", -1 },
		{ "120, 60", -1 },
		{ "5 s", -1 },
		{ "soon", -1 },
		{ "12 Dec", -1 },
		{ "Wed, 32 Nov 2023 22:13:20 GMT", -1 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const int64_t ms = retry_after_ms(span_of(table[i].text), SPAN_NONE, NOW);
		if (ms != table[i].ms)
			fail_msg("\"%s\" is %lld ms, not %lld", table[i].text, (long long)ms, (long long)table[i].ms);
	}
	assert_int_equal(retry_after_ms(SPAN_NONE, SPAN_NONE, NOW), -1);
}

/* The reply's own Date is the clock that its Retry-After was written by. */
static void test_dates_are_corrected_by_the_servers_clock(void **state)
{
	(void)state;
	static const struct {
		const char *retry_after;
		const char *date;
		int64_t ms;
	} table[] = {
		{ "Tue, 14 Nov 2023 22:13:30 GMT", NULL, 10000 },
		{ "Tuesday, 14-Nov-23 22:13:30 GMT", NULL, 10000 },
		{ "Tue Nov 14 22:13:30 2023", NULL, 10000 },
		{ "Tue, 14 Nov 2023 22:13:20 GMT", NULL, 0 },
		{ "Tue, 14 Nov 2023 22:13:19 GMT", NULL, -1 },
		{ "Wed, 15 Nov 2023 22:13:21 GMT", NULL, RETRY_AFTER_MAX_MS },
		{ "Tue, 14 Nov 2023 23:00:05 GMT", "Tue, 14 Nov 2023 23:00:00 GMT", 5000 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:30 GMT", 7000 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:30 GMT", 7000 },
		{ "Tue, 14 Nov 2023 22:13:30 GMT", "no date", 10000 },
		{ "7", "Sun, 06 Nov 1994 08:49:30 GMT", 7000 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const int64_t ms = retry_after_ms(span_of(table[i].retry_after), span_of(table[i].date), NOW);
		if (ms != table[i].ms)
			fail_msg("%s: %lld ms, not %lld", table[i].retry_after, (long long)ms, (long long)table[i].ms);
	}
}

static void test_http_dates(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ms; /* -1: none */
	} table[] = {
		{ "Sun, 06 Nov 1994 08:49:37 GMT", 784111777000 },
		{ "Sunday, 06-Nov-94 08:49:37 GMT", 784111777000 },
		{ "Sun Nov  6 08:49:37 1994", 784111777000 },
		{ "sun, 06 nov 1994 08:49:37 GMT", 784111777000 },
		{ "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
		{ "Tue, 29 Feb 2000 00:00:00 GMT", 951782400000 },
		{ "Thu, 29 Feb 2024 12:00:00 GMT", 1709208000000 },
		{ "Fri, 31 Dec 9999 23:59:59 GMT", 253402300799000 },
		{ "Sat, 31 Dec 2016 23:59:60 GMT", 1483228800000 },
		{ "Wed, 29 Feb 2023 12:00:00 GMT", -1 },
		{ "Wed, 29 Feb 1900 12:00:00 GMT", -1 },
		{ "Sun, 00 Nov 1994 08:49:37 GMT", -1 },
		{ "Sun, 06 Nov 1994 24:00:00 GMT", -1 },
		{ "Sun, 06 Nov 1994 08:60:00 GMT", -1 },
		{ "Sun, 06 Nov 1994 08:49:61 GMT", -1 },
		{ "Sun, 6 Nov 1994 08:49:37 GMT", -1 },
		{ "Sun, 06 Nov 1994 08:49:37 UTC", -1 },
		{ "Sun, 06 Nov 1994 08:49:37", -1 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT ", -1 },
		{ "Sun, 06 Nov 94 08:49:37 GMT", -1 },
		{ "Son, 06 Nov 1994 08:49:37 GMT", -1 },
		{ "Sun, 06 Nox 1994 08:49:37 GMT", -1 },
		{ "Sunday, 31-Feb-94 08:49:37 GMT", -1 },
		{ "06 Nov 1994 08:49:37 GMT", -1 },
		{ "1994-11-06T08:49:37Z", -1 },
		{ "Sun", -1 },
		{ "", -1 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		int64_t ms = 42;
		const int r = http_date_read(span_of(table[i].text), NOW, &ms);
		if (r != (table[i].ms < 0 ? -EINVAL : 0) || (r == 0 && ms != table[i].ms))
			fail_msg("\"%s\": %d, %lld", table[i].text, r, (long long)ms);
	}
	int64_t ms;
	assert_int_equal(http_date_read(SPAN_NONE, NOW, &ms), -EINVAL);
}

/* RFC 9110, 5.6.7: what seems more than 50 years ahead lies in the past. */
static void test_two_digit_years(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t now_ms;
		const char *same_as;
	} table[] = {
		{ "Monday, 13-Nov-73 22:13:20 GMT", NOW, "Mon, 13 Nov 2073 22:13:20 GMT" },
		{ "Monday, 16-Nov-73 22:13:20 GMT", NOW, "Fri, 16 Nov 1973 22:13:20 GMT" },
		{ "Friday, 01-Jan-99 00:00:00 GMT", NOW, "Fri, 01 Jan 1999 00:00:00 GMT" },
		{ "Friday, 01-Jan-00 00:00:00 GMT", 4102444799000, "Fri, 01 Jan 2100 00:00:00 GMT" }, /* 2099-12-31 */
		{ "Friday, 31-Dec-99 00:00:00 GMT", 0, "Wed, 31 Dec 1999 00:00:00 GMT" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		int64_t ms, same;
		assert_int_equal(http_date_read(span_of(table[i].text), table[i].now_ms, &ms), 0);
		assert_int_equal(http_date_read(span_of(table[i].same_as), 0, &same), 0);
		assert_true(ms == same);
	}
}

static void test_back_off(void **state)
{
	(void)state;
	static const struct {
		int64_t base_ms;
		int64_t max_ms;
		int32_t failures;
		int64_t delay_ms;
	} table[] = {
		{ 1000, 60000, 1, 1000 },
		{ 1000, 60000, 2, 2000 },
		{ 1000, 60000, 3, 4000 },
		{ 1000, 60000, 6, 32000 },
		{ 1000, 60000, 7, 60000 },
		{ 1000, 60000, INT32_MAX, 60000 },
		{ 1000, INT64_MAX / 8, INT32_MAX, INT64_MAX / 8 },
		{ 1000, 60000, 0, 1000 },
		{ 1000, 500, 1, 500 },
		{ 0, 60000, 1, 1 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const int64_t delay = table[i].delay_ms;
		assert_true(back_off_ms(table[i].base_ms, table[i].max_ms, table[i].failures, 0) == delay);
		for (uint64_t random = 1; random < 10000; random = random * 3 + 1) {
			const int64_t ms = back_off_ms(table[i].base_ms, table[i].max_ms, table[i].failures, random);
			assert_true(ms >= delay && ms <= delay + delay / 4);
		}
	}
	assert_true(back_off_ms(1000, 60000, 1, 250) == 1250);
	assert_true(back_off_ms(1000, 60000, 1, 251) == 1000);
}

static void test_how_far_a_clock_is_ahead(void **state)
{
	(void)state;
	int64_t ms = 1;
	assert_true(http_date_ahead(span_of("Tue, 14 Nov 2023 22:13:25 GMT"), NOW, &ms));
	assert_int_equal(ms, 5500);
	assert_true(http_date_ahead(span_of("Tue, 14 Nov 2023 22:12:20 GMT"), NOW, &ms));
	assert_int_equal(ms, -59500);
	assert_false(http_date_ahead(SPAN_NONE, NOW, &ms));
	assert_int_equal(ms, 0);
	assert_false(http_date_ahead(span_of("yesterday"), NOW, &ms));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seconds),    cmocka_unit_test(test_dates_are_corrected_by_the_servers_clock),
		cmocka_unit_test(test_http_dates), cmocka_unit_test(test_two_digit_years),
		cmocka_unit_test(test_back_off),   cmocka_unit_test(test_how_far_a_clock_is_ahead),
	};
	return cmocka_run_group_tests_name("retry_after", tests, NULL, NULL);
}
