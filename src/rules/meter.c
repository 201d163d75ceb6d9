#include "rules/meter.h"

#include <string.h>

void meter_count(struct meter *m, usec_t now)
{
	const int64_t second = now / USEC_PER_SEC;
	if (second - m->newest >= METER_SECONDS)
		memset(m->counts, 0, sizeof(m->counts));
	else
		for (int64_t s = m->newest + 1; s <= second; s++)
			m->counts[s % METER_SECONDS] = 0;
	if (second > m->newest)
		m->newest = second;
	m->counts[m->newest % METER_SECONDS]++;
}

uint64_t meter_sum(const struct meter *m, usec_t now, int64_t ago, int64_t seconds)
{
	const int64_t end = now / USEC_PER_SEC - ago;
	const int64_t remembered = m->newest - METER_SECONDS + 1;
	uint64_t sum = 0;
	for (int64_t s = end - seconds; s < end; s++)
		if (s >= 0 && s >= remembered && s <= m->newest)
			sum += m->counts[s % METER_SECONDS];
	return sum;
}
