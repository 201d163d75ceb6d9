/* macros - the few compiler attributes this house uses, spelled once */
#ifndef HANDOFF_MACROS_H
#define HANDOFF_MACROS_H

#include <stddef.h>

#define MUST_CHECK              __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
/* The struct that `ptr` is the `member` of: how an intrusive link finds its owner. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
