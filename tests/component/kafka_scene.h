/*
 * kafka_scene - one member with an exactly-once producer, and a reader that counts what they wrote
 */
#ifndef HANDOFF_KAFKA_SCENE_H
#define HANDOFF_KAFKA_SCENE_H

#define PATIENCE (120 * USEC_PER_SEC) /* before the fixture's own */
#include "doors/kafka_reader.h"
#include "kafka_apache.h"

#define SCENE_PARTITIONS 3

struct scene {
	struct corner corner;
	struct member member;
	struct kafka_producer *producer;
};

static inline bool scene_open(struct scene *s, const char *const *properties, size_t count)
{
	struct kafka_consumer_event event;
	if (!corner_open(&s->corner, SCENE_PARTITIONS, true))
		return false;
	for (size_t i = 0; i < count; i++)
		corner_property(&s->corner, properties[i]);
	join_group(&s->member, &s->corner.options, &event);
	producer_open(&s->producer, &s->corner.options, &s->member, s->member.wakeup);
	return true;
}

static inline void scene_close(struct scene *s)
{
	kafka_producer_free(s->producer);
	member_leave(&s->member);
	corner_close(&s->corner);
}

/* How often each number from 0 to `count` - 1 is the value of a record; returns how many records there are. */
static inline size_t tally(struct scene *s, unsigned *seen, size_t count)
{
	struct fault fault = { 0 };
	size_t records = 0;
	const char *topic = s->corner.options.outcomes;
	struct kafka_reader *reader =
		kafka_reader_new(&s->corner.options, &topic, 1, KAFKA_READER_EARLIEST, PATIENCE, &fault);
	if (!reader)
		fail_msg("%s", fault.message);
	memset(seen, 0, count * sizeof(*seen));
	while (!kafka_reader_caught_up(reader)) {
		struct record *record = NULL;
		assert_true(kafka_reader_next(reader, USEC_PER_SEC, &record, &fault) >= 0);
		if (!record)
			continue;
		char text[16];
		snprintf(text, sizeof(text), "%.*s", SPAN_FMT(record->value));
		const size_t number = strtoul(text, NULL, 10);
		if (number < count)
			seen[number]++;
		records++;
		record_free(record);
	}
	kafka_reader_free(reader);
	return records;
}

#endif
