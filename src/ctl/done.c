#include "ctl/done.h"

#include <errno.h>

#include "rules/done_map.h"

int done_read(const struct kafka_group_offset *committed, const char *topic, int32_t partition, struct offsets **ret)
{
	*ret = NULL;
	if (committed->offset < 0)
		return 0;
	*ret = offsets_new(committed->offset, DONE_MAP_SPAN_MAX);
	if (!*ret)
		return -ENOMEM;
	/* A map that is in doubt is ignored, and what it held is done again. */
	const int r = done_map_read(committed->metadata, topic, partition, *ret);
	return r == -ENOMEM ? r : 0;
}
